"""The posterior of the source task as the prior of the target's: Wohlert et al. (2017)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from incbayes.errors import UserError
from incbayes.families.base import Family
from incbayes.layers import Layer, State
from incbayes.noise import Noise
from incbayes.options import option
from incbayes.priors.base import LayerGaussian, Prior, Source, Start, default_gaussian


class TransferError(UserError, ValueError):
    """A source posterior that does not fit the target's network."""


@dataclass(frozen=True)
class Transfer(Prior):
    """p(w) = q_A(w̃)·p(w̄), Wohlert et al. (2017) eq. (13): all layers but the last from task A.

    The method itself is fitted to the source task A first, with the prior N(0, sigma²).
    Whatever its family, the posterior q_A is then the prior of every layer but the last; the
    output layer, w̄, gets N(0, sigma²) and fresh weights.
    """

    sigma: float = option(
        1.0,
        "Standard deviation of the source task's own prior and of the output layer's.",
        exclusiveMinimum=0,
    )
    restart: Literal["posterior", "random"] = option(
        "posterior",
        "Where q starts on the target task: at q_A, as stage t starts at the posterior of t-1, "
        "or, as in the published code, drawn anew, with q_A as prior only.",
    )
    output_layer: Literal["fresh", "transferred"] = option(
        "fresh",
        "Prior of the output layer: N(0, sigma²), or, as in the published code, q_A there too, "
        "although its outputs stand for other classes.",
    )

    constraints: ClassVar[dict[str, Any]] = {"needs_source": True, "source": "posterior"}

    def hidden(self, layer: Layer, fresh: State, source: Source) -> LayerGaussian:
        """Return N(0, sigma²), which `start` replaces where q_A is transferred."""
        return default_gaussian(layer, fresh, self.sigma)

    def output(self, layer: Layer, fresh: State, source: Source) -> LayerGaussian:
        """Return N(0, sigma²)."""
        return default_gaussian(layer, fresh, self.sigma)

    def start(
        self,
        family: Family,
        layers: list[Layer],
        fresh: Mapping[str, State],
        source: Source,
        noise: Noise,
    ) -> Start:
        """Return q_A as prior of the transferred layers, and where q starts.

        Raises:
            TransferError: a layer of q_A has other shapes than the target's.
        """
        own = super().start(family, layers, fresh, source, noise)
        for layer in layers if self.output_layer == "transferred" else layers[:-1]:
            transferred = source.state[layer.name]
            for key, value in own.prior[layer.name].items():
                if transferred[key].shape != value.shape:
                    raise TransferError(
                        f"prior transfer: {key} of layer {layer.name} has the shape "
                        f"{list(transferred[key].shape)} in the source task and "
                        f"{list(value.shape)} in the target; use output_layer: fresh"
                    )
            own.prior[layer.name] = dict(transferred)
            if self.restart == "posterior":
                own.state[layer.name] = dict(transferred)
        return own
