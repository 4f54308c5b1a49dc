"""The point family: one value per weight, no distribution; training it is fine-tuning."""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from incbayes.core.options import option
from incbayes.families.base import Family
from incbayes.networks.layers import Layer, State
from incbayes.networks.noise import Noise


@dataclass(frozen=True)
class Point(Family):
    """Plain weights: ordinary training, and fine-tuning over the parts.

    The state of a layer is `weight` and `bias`.
    """

    l2: float = option(
        0.0,
        "Precision of a penalty on the distance from the previous stage's weights: adds "
        "l2/2 · ‖w - w_prev‖² nats to the objective of the part, scaled by kl_scale as a KL is. "
        "0 is plain fine-tuning.",
        minimum=0,
        maximum=1e12,
    )

    constraints: ClassVar[dict[str, Any]] = {"bayesian": False, "step_cost": 1, "penalty": "l2"}

    def from_gaussian(self, layer: Layer, mean: State, sigma: State) -> State:
        """Return the mean; a point has no scale."""
        return dict(mean)

    def start(self, layer: Layer, prior: State, weights: State, noise: Noise) -> State:
        """Return the weights themselves."""
        return dict(weights)

    def forward(self, layer: Layer, q: State, x: Tensor, noise: Noise) -> Tensor:
        """Return the layer's output, which is not stochastic."""
        return layer.apply(x, q["weight"], q.get("bias"))

    def sample(self, layer: Layer, q: State, noise: Noise) -> State:
        """Return the weights themselves."""
        return {key: q[key] for key in layer.shapes}

    def mean(self, layer: Layer, q: State) -> State:
        """Return the weights themselves."""
        return {key: q[key] for key in layer.shapes}

    def kl(self, layer: Layer, q: State, p: State, noise: Noise) -> Tensor:
        """Return l2/2 · ‖w - w_prev‖², the only penalty that a point has."""
        if self.l2 == 0 or not layer.shapes:
            like = next(iter(q.values()))
            return torch.zeros((), dtype=like.dtype, device=like.device)
        return 0.5 * self.l2 * sum(((q[key] - p[key]) ** 2).sum() for key in layer.shapes)

    def sigma(self, layer: Layer, q: State) -> None:
        """Return None: there is no scale."""
