"""The point family: one value per weight, no distribution; training it is fine-tuning."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from incbayes.families.base import Family
from incbayes.layers import Layer, State
from incbayes.noise import Noise
from incbayes.options import option


@dataclass(frozen=True)
class Point(Family):
    """Plain weights: ordinary training, and fine-tuning over the parts.

    The state of a layer is `weight` and `bias`.
    """

    l2: float = option(
        0.0,
        "Precision of a pull to the previous stage's weights: adds l2/2 · ‖w - w_prev‖² nats "
        "to the objective of the part, scaled by kl_scale as a KL is. 0 is plain fine-tuning.",
        minimum=0,
    )

    constraints: ClassVar[dict[str, bool]] = {"bayesian": False}

    def from_gaussian(self, layer: Layer, mean: State, sigma: State) -> State:
        """Return the mean; a point has no width."""
        return dict(mean)

    def start(self, layer: Layer, prior: State, weights: State, noise: Noise) -> State:
        """Return the weights themselves."""
        return dict(weights)

    def forward(self, layer: Layer, q: State, x: Tensor, noise: Noise) -> Tensor:
        """Return the layer's output, which is not stochastic."""
        return layer.apply(x, q["weight"], q.get("bias"))

    def sample(self, layer: Layer, q: State, noise: Noise) -> State:
        """Return the weights themselves."""
        return dict(q)

    def mean(self, layer: Layer, q: State) -> State:
        """Return the weights themselves."""
        return dict(q)

    def kl(self, layer: Layer, q: State, p: State, noise: Noise) -> Tensor:
        """Return l2/2 · ‖w - w_prev‖², the only pull that a point can feel."""
        if self.l2 == 0:
            return torch.zeros((), dtype=q["weight"].dtype, device=q["weight"].device)
        return 0.5 * self.l2 * sum(((q[key] - p[key]) ** 2).sum() for key in q)

    def sigma(self, layer: Layer, q: State) -> None:
        """Return None: there is no width."""
