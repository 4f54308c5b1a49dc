"""Planar normalising flows over the weights of a layer, Wohlert et al. (2017) eqs. (7)-(12).

The n weights of a layer, `weight` and `bias` flattened into one vector, are

    w = z_K = f_K ∘ … ∘ f_1(z_0),   z_0 ~ N(μ_0, diag σ_0²),                       (9), (12)
    ln q(w) = ln N(z_0 | μ_0, σ_0²) - Σ_k ln |det ∂f_k/∂z_{k-1}|,                      (10)

with the maps of `planar_flow`. The flow correlates the weights of a layer and bends their
distribution along K directions; in all others q stays Gaussian.

ln q of a draw of q itself is carried along. Under another member p, yesterday's posterior, a
draw's density needs the inverse: one monotone equation in one unknown for every map, solved
without gradients and differentiated implicitly. Hence the divergence by eq. (4) with one draw,
ln q(w) - ln p(w): unbiased, 0 for q = p at every draw, and below 0 at some draws otherwise.

In float32 the inverse leaves 0.2 nats of error at n = 314,000 for maps that move weights by a
few scales σ_0. Those of `as_published` move them by hundreds, and the weights as rounded have
another z_0: there only the density that is carried along can be relied on.
"""

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from incbayes.core.options import MULTIPLE, option
from incbayes.families.base import Family
from incbayes.families.flows.planar import PlanarFlow, cosine_rows, identity_u
from incbayes.families.gaussian import gaussian_state
from incbayes.families.initialisation import (
    INITIAL_SIGMA,
    INITIALISATION,
    Initialisation,
    initial_gaussian,
)
from incbayes.networks.layers import Layer, State
from incbayes.networks.noise import Noise

START_SPREAD = 0.5
"""Standard deviation of the aᵀz that the flow `small` starts at: tanh is bent, not flat."""


@dataclass(frozen=True)
class Planar(Family):
    """A Gaussian per weight, pushed through planar maps over all weights of a layer.

    The state of a layer is that of z_0, `weight_mean`, `weight_log_sigma` (shape of the
    weight) and, with a bias, `bias_mean`, `bias_log_sigma` [O], and of the maps `flow_u`,
    `flow_a` [K, n], `flow_b` [K], for the n weights in the order weight, bias. One set of
    weights is drawn per minibatch.
    """

    steps: int = option(16, "Number K of planar maps.", minimum=1, maximum=1000)
    initial_sigma: float = option(0.1, INITIAL_SIGMA, **MULTIPLE)
    initialisation: Initialisation = option("prior_scaled", INITIALISATION)
    flow_initialisation: Literal["small", "as_published"] = option(
        "small",
        "Where the maps start in the first stage. `small`: at the identity, with a scaled so "
        "that aᵀz is of order 1 whatever the number of weights. `as_published`: u and a from "
        "N(0, 1), b = 1, as the published code of Wohlert et al. draws them, where aᵀz grows "
        "with the square root of the number of weights and tanh is flat.",
    )
    log_determinant: Literal["once", "per_weight"] = option(
        "once",
        "How often ln q counts the log-determinant of the maps: `once`, as eq. (10) has it, or "
        "once `per_weight`, as the published code of Wohlert et al. does by subtracting it from "
        "every weight's term before the sum; q is then no density.",
    )

    constraints: ClassVar[dict[str, Any]] = {"bayesian": True, "step_cost": 12}
    scale_parameters: ClassVar[frozenset[str]] = frozenset({"weight_log_sigma", "bias_log_sigma"})

    def from_gaussian(self, layer: Layer, mean: State, sigma: State) -> State:
        """Return N(mean, sigma²): maps that are the identity, û = 0, along fixed directions."""
        state: State = {}
        for key in layer.shapes:
            state |= gaussian_state(key, mean[key], sigma[key])
        a = cosine_rows(self.steps, _joined(layer, mean))
        return state | _flow_state(identity_u(a), a, a.new_zeros(self.steps))

    def start(self, layer: Layer, prior: State, weights: State, noise: Noise) -> State:
        """Return z_0 according to `initialisation`, the maps to `flow_initialisation`."""
        mean, sigma = initial_gaussian(
            self.initialisation, layer, prior, weights, self.initial_sigma, noise
        )
        state: State = {}
        for key in layer.shapes:
            state |= gaussian_state(key, mean[key], sigma[key])
        maps = FLOW_STARTS[self.flow_initialisation]
        return state | maps(self.steps, _joined(layer, mean), _joined(layer, sigma), noise)

    def forward(self, layer: Layer, q: State, x: Tensor, noise: Noise) -> Tensor:
        """Return the output of the layer for x [N, …] under one draw of its weights."""
        weights = self.sample(layer, q, noise)
        return layer.apply(x, weights["weight"], weights.get("bias"))

    def sample(self, layer: Layer, q: State, noise: Noise) -> State:
        """Return weight and bias, eqs. (9), (12)."""
        return self.sample_with_log_density(layer, q, noise)[0]

    def sample_with_log_density(self, layer: Layer, q: State, noise: Noise) -> tuple[State, Tensor]:
        """Return one draw of weight and bias, and ln q of it in nats by eq. (10), float64."""
        mean, log_sigma = _joined(layer, q, "_mean"), _joined(layer, q, "_log_sigma")
        standard = noise.normal(mean.shape, mean)
        w, log_determinant = _flow(q).forward(mean + log_sigma.exp() * standard)
        return _split(layer, w), self._log_density(standard, log_sigma, log_determinant)

    def log_density(self, layer: Layer, q: State, draw: State) -> Tensor:
        """Return ln q(w) in nats at any weight and bias, by inversion of the maps."""
        return self._log_density_at(layer, q, draw).to(q["flow_a"].dtype)

    def mean(self, layer: Layer, q: State) -> State:
        """Return the weights that μ_0 is pushed to: the mean where the maps are linear."""
        return _split(layer, _flow(q).forward(_joined(layer, q, "_mean"))[0])

    def kl(self, layer: Layer, q: State, p: State, noise: Noise) -> Tensor:
        """Return ln q(w) - ln p(w) in nats at one draw w ~ q, eq. (4): KL(q‖p) in the mean."""
        draw, log_q = self.sample_with_log_density(layer, q, noise)
        return (log_q - self._log_density_at(layer, p, draw)).to(q["flow_a"].dtype)

    def sigma(self, layer: Layer, q: State) -> Tensor:
        """Return the standard deviation of every weight, to first order around μ_0.

        Exact where the maps are linear, hence for the identity; a weight whose distribution
        the maps split in two is wider than this says.
        """
        mean, log_sigma = _joined(layer, q, "_mean"), _joined(layer, q, "_log_sigma")
        variance = _flow(q).variance(mean, (2 * log_sigma).exp())
        return _split(layer, variance.clamp_min(0).sqrt())["weight"]

    def _log_density_at(self, layer: Layer, q: State, draw: State) -> Tensor:
        mean, log_sigma = _joined(layer, q, "_mean"), _joined(layer, q, "_log_sigma")
        z, log_determinant = _flow(q).inverse(_joined(layer, draw))
        return self._log_density((z - mean) * torch.exp(-log_sigma), log_sigma, log_determinant)

    def _log_density(self, standard: Tensor, log_sigma: Tensor, log_determinant: Tensor) -> Tensor:
        """Return eq. (10) from (z_0 - μ_0)/σ_0 [n].

        Summed in float64: ln q and ln p are of the order of n, their difference is not.
        """
        terms = -0.5 * standard**2 - log_sigma - 0.5 * math.log(2 * math.pi)
        count = {"once": 1, "per_weight": standard.numel()}[self.log_determinant]
        return terms.sum(dtype=torch.float64) - count * log_determinant


def _small(steps: int, mean: Tensor, sigma: Tensor, noise: Noise) -> State:
    """Return identity maps with a ~ N(0, ¼/E‖z_0‖²), so that aᵀz_0 has the spread ½."""
    scale = START_SPREAD / (mean.square() + sigma.square()).sum().sqrt()
    a = scale * noise.normal((steps, mean.numel()), mean)
    return _flow_state(identity_u(a), a, a.new_zeros(steps))


def _as_published(steps: int, mean: Tensor, sigma: Tensor, noise: Noise) -> State:
    """Return u, a ~ N(0, 1) and b = 1, whatever z_0."""
    u, a = (noise.normal((steps, mean.numel()), mean) for _ in range(2))
    return _flow_state(u, a, a.new_ones(steps))


FLOW_STARTS = {"small": _small, "as_published": _as_published}
"""How the maps start, by the name of a `flow_initialisation`."""


def _flow_state(u: Tensor, a: Tensor, b: Tensor) -> State:
    return {"flow_u": u, "flow_a": a, "flow_b": b}


def _flow(q: State) -> PlanarFlow:
    return PlanarFlow(q["flow_u"], q["flow_a"], q["flow_b"])


def _joined(layer: Layer, state: State, suffix: str = "") -> Tensor:
    """Return the tensors `weight{suffix}` and `bias{suffix}` as one vector [n]."""
    return torch.cat([state[f"{key}{suffix}"].flatten() for key in layer.shapes])


def _split(layer: Layer, vector: Tensor) -> State:
    """Return the vector [n] as weight and bias."""
    sizes = [math.prod(shape) for shape in layer.shapes.values()]
    pieces = vector.split(sizes)
    return {
        key: piece.view(shape)
        for (key, shape), piece in zip(layer.shapes.items(), pieces, strict=True)
    }
