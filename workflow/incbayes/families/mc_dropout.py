"""Dropout as a distribution over weights (Gal & Ghahramani 2016): drawn in training and after."""

from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from incbayes.core.options import option
from incbayes.families.point import Point
from incbayes.networks.dropout import in_single, kept_units
from incbayes.networks.layers import Layer, State
from incbayes.networks.noise import Noise


@dataclass(frozen=True)
class McDropout(Point):
    """W = M diag(z) / (1 - rate), z_i ~ Bernoulli(1 - rate) for every unit i that feeds a layer.

    Gal & Ghahramani (2016), section 3. The first layer, whose inputs are the data, embeddings and
    normalisation are points. A convolution drops input channels, as its weights are those of all
    positions. In training every image has its own z, and a draw of weights has one for all images.
    The state of a layer is that of `point`: M and the bias.
    """

    rate: float = option(
        0.1, "Chance of every unit to be dropped.", exclusiveMinimum=0, exclusiveMaximum=1
    )

    constraints: ClassVar[dict[str, Any]] = {
        "bayesian": False,
        "drawn": True,
        "step_cost": 1.5,
        "penalty": "l2",
    }

    def drops(self, layer: Layer) -> bool:
        """Return whether units that feed the layer are dropped."""
        return not layer.is_input and layer.kind not in ("embedding", "normalisation")

    def forward(self, layer: Layer, q: State, x: Tensor, noise: Noise) -> Tensor:
        """Return the layer's output for x [N, …], with units dropped for each of N images alone.

        A unit of several positions is dropped at all of them, as under one draw of the weights.
        """
        if self.drops(layer):
            draws = noise.normal(layer.unit_shape(x), in_single(x[:0]))
            x = (x * kept_units(draws, self.rate)).to(x.dtype)
        return super().forward(layer, q, x, noise)

    def sample(self, layer: Layer, q: State, noise: Noise) -> State:
        """Return M diag(z) / (1 - rate) and the bias for one z: a network that is one draw."""
        weights = super().sample(layer, q, noise)
        if not self.drops(layer):
            return weights
        weight = weights["weight"]
        factors = kept_units(noise.normal((_feeding(layer),), weight), self.rate)
        return weights | {"weight": weight * _by_input(layer, factors)}


def _feeding(layer: Layer) -> int:
    """Return how many units, or channels, feed a layer."""
    own = layer.weight_shape[0] if layer.is_transposed else layer.weight_shape[1]
    return own if layer.is_transposed else own * layer.groups


def _by_input(layer: Layer, factors: Tensor) -> Tensor:
    """Return factors [I] of the units that feed a layer so that they broadcast over its weight."""
    positions = (1,) * len(layer.kernel)
    if layer.is_transposed:
        return factors.view(-1, 1, *positions)
    # Outputs of a group are fed by the channels of that group.
    own = factors.view(layer.groups, 1, -1, *positions)
    each = layer.weight_shape[0] // layer.groups
    return own.expand(-1, each, *own.shape[2:]).flatten(0, 1)
