"""N(w*, σ²) with one σ² for all weights, chosen from a grid on validation data."""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from incbayes.core.options import PRECISION, option
from incbayes.networks.layers import Layer, State
from incbayes.priors.base import FromSource, LayerGaussian, Source, plain


@dataclass(frozen=True)
class Grid(FromSource):
    """N(w*, σ²) around the source task's weights, σ² from a grid (Kochurov et al. 2018, §2).

    σ² is chosen per replicate by the validation NLL of a first stage fitted to the first
    part less a validation cut; test data play no role.
    """

    variances: list[float] = option(
        [1e-4, 1e-3, 1e-2, 1e-1], "The variances σ² to choose from.", **PRECISION, minItems=1
    )
    validation_fraction: float = option(
        0.2,
        "Fraction of the target's first part that is held out to choose σ².",
        exclusiveMinimum=0,
        exclusiveMaximum=1,
    )

    constraints: ClassVar[dict[str, Any]] = {
        "needs_source": True,
        "source": "weights",
        "variances": "variances",
    }

    def carried_over(self, layer: Layer, fresh: State, source: Source) -> LayerGaussian:
        """Return N(w*, σ²) with the chosen σ².

        Raises:
            ValueError: no variance has been chosen.
        """
        if source.variance is None:
            raise ValueError("prior grid: no variance was chosen for this replicate")
        weights = plain(layer, source.state[layer.name])
        scale = source.variance**0.5
        sigma = {key: torch.full_like(value, scale) for key, value in weights.items()}
        return LayerGaussian(mean=dict(weights), sigma=sigma, start=dict(weights))
