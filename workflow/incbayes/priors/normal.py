"""The default prior: N(0, σ²) on every weight."""

from dataclasses import dataclass

from incbayes.core.options import SCALE, option
from incbayes.networks.layers import Layer, State
from incbayes.priors.base import LayerGaussian, Prior, Source, default_gaussian


@dataclass(frozen=True)
class Normal(Prior):
    """N(0, σ²) on every weight and bias; no pretraining."""

    sigma: float | None = option(
        None,
        "Standard deviation σ of every weight; null: sqrt(2 / fan_in) of its layer.",
        **SCALE,
    )

    def gaussian(
        self, layer: Layer, layers: list[Layer], fresh: State, source: Source
    ) -> LayerGaussian:
        """Return N(0, σ²), started at fresh weights."""
        return default_gaussian(layer, fresh, self.sigma)
