"""N(w*, σ²) with σ² of every weight from a diagonal Laplace approximation."""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from incbayes.core.options import PRECISION, option
from incbayes.networks.layers import Layer, State
from incbayes.priors.base import FromSource, LayerGaussian, Source, default_sigma, plain


@dataclass(frozen=True)
class Laplace(FromSource):
    """The source task's diagonal Laplace approximation (Kochurov et al. 2018, §2, Pretraining).

    σ² = 1 / (N·F + prior precision), with F the diagonal Fisher information per image of
    the N images that w* was fitted to.
    """

    fisher: Literal["empirical", "mc", "ggn"] = option(
        "ggn",
        "Which Fisher information: `empirical` (squared gradients at the observed labels), "
        "`mc` (at one label per image drawn from the network), `ggn` (exact expectation over "
        "the network's labels, equal to the generalised Gauss-Newton diagonal).",
    )
    prior_precision: float | None = option(
        None,
        "Precision of the source task's own prior; null: fan_in / 2 of the layer, that of "
        "the default prior.",
        **PRECISION,
    )

    constraints: ClassVar[dict[str, Any]] = {
        "needs_source": True,
        "source": "weights",
        "fisher": "fisher",
    }

    def carried_over(self, layer: Layer, fresh: State, source: Source) -> LayerGaussian:
        """Return N(w*, 1 / (N·F + prior precision))."""
        weights, fisher = plain(layer, source.state[layer.name]), source.fisher[layer.name]
        precision = self.prior_precision or default_sigma(layer) ** -2
        sigma = {key: (source.images * fisher[key] + precision) ** -0.5 for key in weights}
        return LayerGaussian(mean=dict(weights), sigma=sigma, start=dict(weights))
