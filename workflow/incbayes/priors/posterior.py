"""The posterior of a finished chain as the prior of the next: Bayes' rule across studies."""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass
from typing import Any, ClassVar

from incbayes.core.options import option
from incbayes.families.base import Family
from incbayes.networks.layers import Layer, State
from incbayes.networks.noise import Noise
from incbayes.priors.base import LayerGaussian, Prior, Source, Start


@dataclass(frozen=True)
class Continued(Prior):
    """The posterior of an earlier chain, of the same family, network, classes and pixel scaling.

    Stage 1 starts from it and is regularised to it, as stage t is by the posterior of stage t-1
    (Kochurov et al. 2018, Algorithm 1). So a chain goes on where another one ended, whatever study
    that was of. Images are scaled by the numbers of that chain.
    """

    continue_from: str = option(
        MISSING,
        "The posterior to go on from: a `posterior.safetensors`, or the folder of a chain, such as "
        "`results/STUDY/EXPERIMENT/METHOD/T3`, of which the last stage is taken. Each replicate "
        "goes on from the one of its number; all do from the only one where there is one alone.",
    )

    constraints: ClassVar[dict[str, Any]] = {"needs_source": False, "continues": "continue_from"}

    def gaussian(
        self, layer: Layer, layers: list[Layer], fresh: State, source: Source
    ) -> LayerGaussian:
        """Refuse: a posterior need not be a Gaussian over plain weights.

        Raises:
            TypeError: always; `start` needs none.
        """
        raise TypeError("a posterior that is continued is a prior in its family's own form")

    def start(
        self,
        family: Family,
        layers: list[Layer],
        fresh: Mapping[str, State],
        source: Source,
        noise: Noise,
    ) -> Start:
        """Return the posterior that is continued, both as the prior and as where q starts."""
        return Start(
            state={layer.name: dict(source.state[layer.name]) for layer in layers},
            prior={layer.name: dict(source.state[layer.name]) for layer in layers},
        )
