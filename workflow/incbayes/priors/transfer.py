"""The posterior of the source task as the prior of the target's: Wohlert et al. (2017)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from incbayes.core.errors import UserError
from incbayes.core.options import SCALE, option
from incbayes.families.base import Family
from incbayes.networks.layers import Layer, State
from incbayes.networks.noise import Noise
from incbayes.priors.base import FromSource, LayerGaussian, Source, Start, default_gaussian


class TransferError(UserError, ValueError):
    """A source posterior that does not fit the target's network."""


@dataclass(frozen=True)
class Transfer(FromSource):
    """p(w) = q_A(w̃)·p(w̄), Wohlert et al. (2017) eq. (13): all layers but the last from task A.

    The method itself is fitted to the source task A first, with the prior N(0, sigma²).
    Whatever its family, the posterior q_A is then the prior of every layer but the last; the
    output layer, w̄, gets N(0, sigma²). q starts as it does without transfer, section 3, eq. (14).
    """

    sigma: float = option(
        1.0,
        "Standard deviation of the source task's own prior and of the output layer's.",
        **SCALE,
    )
    restart: Literal["random", "posterior"] = option(
        "random",
        "Where q starts on the target task. `random`: drawn anew, with q_A as prior only, as the "
        "paper has it (section 3, eq. 14: “regardless of considering transfer learning or not”). "
        "`posterior`: at q_A, as stage t starts at the posterior of t-1 (Kochurov et al. 2018, "
        "Algorithm 1); a fresh output layer is drawn anew all the same.",
    )
    output_layer: Literal["fresh", "transferred"] = option(
        "fresh",
        "Prior of the output layer: N(0, sigma²), or, as in the published code, q_A there too, "
        "although its outputs stand for other classes.",
    )

    constraints: ClassVar[dict[str, Any]] = {"needs_source": True, "source": "posterior"}

    def carried(self, layers: list[Layer]) -> list[Layer]:
        """Return the layers that `transfer` names, and the output layer where that is."""
        if self.output_layer == "transferred":
            return [*super().carried(layers), *(layer for layer in layers if layer.is_output)]
        return super().carried(layers)

    def carried_over(self, layer: Layer, fresh: State, source: Source) -> LayerGaussian:
        """Return N(0, sigma²), which `start` replaces by q_A."""
        return self.afresh(layer, fresh)

    def afresh(self, layer: Layer, fresh: State) -> LayerGaussian:
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
        for layer in self.carried(layers):
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
