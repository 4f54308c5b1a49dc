"""A masked RealNVP flow (Dinh et al. 2017) on R^D, with exact inverse and log-determinant.

Knows vectors and its own parameters; the caller knows what they stand for.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from incbayes.networks.layers import State
from incbayes.networks.noise import Noise


@dataclass(frozen=True)
class RealNVP:
    """K coupling steps with fixed masks that alternate between the two halves of a vector.

    Step k leaves the half u_A and maps the other, u_B → u_B·exp(s) + t, where

        h = tanh(W u_A + b),   (t, r) = V h + c,   s = tanh(r).

    As u_A is left, s and t are at hand for the inverse, and the Jacobian is triangular with
    ln|det| = Σ s. As |s| < 1, a step stretches by at most a factor of e either way, so that
    the inverse is stable as well. Where V and c are 0 the step is the identity. A vector of
    one entry has no other half to look at: it has no steps, and its flow is the identity.

    The parameters of step k, with A and B entries in the halves and a hidden layer of `width`:
    `flow_{k}_hidden_weight` W [width, A], `flow_{k}_hidden_bias` b [width],
    `flow_{k}_output_weight` V [2B, width], `flow_{k}_output_bias` c [2B].

    Attributes:
        size: D, the length of a vector.
        steps: K, as asked for; 0 is the identity.
        width: units of the hidden layer.
    """

    size: int
    steps: int
    width: int

    def identity(self, like: Tensor) -> State:
        """Return parameters of the identity, all zero, with dtype and device of `like`."""
        state: State = {}
        for step in self._order:
            moved = self._cut if step % 2 == 0 else self.size - self._cut
            state[f"flow_{step}_hidden_weight"] = like.new_zeros(self.width, self.size - moved)
            state[f"flow_{step}_hidden_bias"] = like.new_zeros(self.width)
            state[f"flow_{step}_output_weight"] = like.new_zeros(2 * moved, self.width)
            state[f"flow_{step}_output_bias"] = like.new_zeros(2 * moved)
        return state

    def start(self, noise: Noise, like: Tensor) -> State:
        """Return parameters of the identity that can learn: with hidden layers drawn at random.

        W ~ N(0, 1/A) and b ~ N(0, 1) give hidden units in the bent part of tanh for inputs of
        unit width. V and c stay 0: they have a gradient at once, W and b from the second
        step of an optimisation on.
        """
        state = self.identity(like)
        for step in self._order:
            weight, bias = (state[f"flow_{step}_hidden_{key}"] for key in ("weight", "bias"))
            scale = 1.0 / math.sqrt(weight.shape[1])
            state[f"flow_{step}_hidden_weight"] = scale * noise.normal(weight.shape, like)
            state[f"flow_{step}_hidden_bias"] = noise.normal(bias.shape, like)
        return state

    def forward(self, state: State, u: Tensor) -> tuple[Tensor, Tensor]:
        """Return the image v of u, both [..., D], and the log-stretch of every entry.

        The log-stretch [..., D] sums to ln|det ∂v/∂u|; entries are kept apart so that a
        difference of two densities can be taken before it is summed over a long vector.
        """
        halves, stretch = self._halves(u), self._halves(torch.zeros_like(u))
        for step in self._order:
            moved = step % 2
            shift, scale = self._shift_and_scale(state, step, halves[1 - moved])
            halves[moved] = halves[moved] * scale.exp() + shift
            stretch[moved] = stretch[moved] + scale
        return torch.cat(halves, -1), torch.cat(stretch, -1)

    def inverse(self, state: State, v: Tensor) -> tuple[Tensor, Tensor]:
        """Return u with `forward(u)` = v, both [..., D], and the log-stretch of that forward."""
        halves, stretch = self._halves(v), self._halves(torch.zeros_like(v))
        for step in reversed(self._order):
            moved = step % 2
            shift, scale = self._shift_and_scale(state, step, halves[1 - moved])
            halves[moved] = (halves[moved] - shift) * (-scale).exp()
            stretch[moved] = stretch[moved] + scale
        return torch.cat(halves, -1), torch.cat(stretch, -1)

    @property
    def _cut(self) -> int:
        """Entries in the first half, the larger one where D is odd."""
        return (self.size + 1) // 2

    def _halves(self, vector: Tensor) -> list[Tensor]:
        return [vector[..., : self._cut], vector[..., self._cut :]]

    @property
    def _order(self) -> range:
        return range(self.steps if self.size > 1 else 0)

    def _shift_and_scale(self, state: State, step: int, kept: Tensor) -> tuple[Tensor, Tensor]:
        """Return t and s, [..., B], of a step whose half A is `kept`."""
        # Never in bfloat16: what an inverse rounds differently from the forward is divided by
        # the width of z, and the density would be that of another point.
        with torch.autocast(kept.device.type, enabled=False):
            prefix = f"flow_{step}"
            hidden = F.linear(
                kept, state[f"{prefix}_hidden_weight"], state[f"{prefix}_hidden_bias"]
            )
            output = F.linear(
                hidden.tanh(), state[f"{prefix}_output_weight"], state[f"{prefix}_output_bias"]
            )
        shift, raw = output.chunk(2, -1)
        return shift, raw.tanh()
