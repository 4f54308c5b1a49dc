"""Start at the source task's weights; a prior without variance, for fine-tuning."""

from dataclasses import dataclass
from typing import Any, ClassVar

from incbayes.networks.layers import Layer, State
from incbayes.priors.base import FromSource, LayerGaussian, Source, default_gaussian, plain


@dataclass(frozen=True)
class Pretrained(FromSource):
    """Start at the source task's weights w*, with no scale: what fine-tuning does."""

    constraints: ClassVar[dict[str, Any]] = {
        "needs_source": True,
        "source": "weights",
        "distribution": False,
    }

    def carried_over(self, layer: Layer, fresh: State, source: Source) -> LayerGaussian:
        """Return a Gaussian centred on w*; its scale is the default and of no effect."""
        weights = plain(layer, source.state[layer.name])
        default = default_gaussian(layer, fresh)
        return LayerGaussian(mean=dict(weights), sigma=default.sigma, start=dict(weights))
