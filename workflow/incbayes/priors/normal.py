"""The default prior: N(0, σ²) on every weight."""

from dataclasses import dataclass

from incbayes.layers import Layer, State
from incbayes.options import option
from incbayes.priors.base import LayerGaussian, Prior, Source, default_gaussian


@dataclass(frozen=True)
class Normal(Prior):
    """N(0, σ²) on every weight and bias; no pretraining."""

    sigma: float | None = option(
        None,
        "Standard deviation σ of every weight; null: sqrt(2 / fan_in) of its layer.",
        exclusiveMinimum=0,
    )

    def hidden(self, layer: Layer, fresh: State, source: Source) -> LayerGaussian:
        """Return N(0, σ²), started at fresh weights."""
        return default_gaussian(layer, fresh, self.sigma)

    def output(self, layer: Layer, fresh: State, source: Source) -> LayerGaussian:
        """Return the same for the output layer."""
        return self.hidden(layer, fresh, source)
