"""Start at the source task's weights; a prior without variance, for fine-tuning."""

from dataclasses import dataclass
from typing import Any, ClassVar

from incbayes.layers import Layer, State
from incbayes.priors.base import LayerGaussian, Prior, Source, default_gaussian


@dataclass(frozen=True)
class Pretrained(Prior):
    """Start at the source task's weights w*, with no width: what fine-tuning does."""

    constraints: ClassVar[dict[str, Any]] = {"needs_source": True, "source": "weights"}

    def hidden(self, layer: Layer, fresh: State, source: Source) -> LayerGaussian:
        """Return a Gaussian centred on w*; its width is the default and of no effect."""
        weights = source.state[layer.name]
        default = default_gaussian(layer, fresh)
        return LayerGaussian(mean=dict(weights), sigma=default.sigma, start=dict(weights))
