"""Multiplicative normalising flows with the joint bound, Kochurov et al. (2018) Appendix C.

Latent z scale the means of the weights, eqs. (5), (13): z per (filter, channel) in a
convolution, per input in a dense layer, and

    q(w, z) = q(z) Π N(w_i | z_i·μ_i, σ_i²),   z = m + ρ·NF(ε),  ε ~ N(0, I).               (18)

z is a parameter like w, so that yesterday's q̃(w, z) is today's prior, eq. (9). Because
q(w, z) = q(z)·q(w | z) and the entropy (22) of q(w | z) does not depend on z, eqs. (14)-(17)
split the divergence of the bound (10), with one z ~ q(z), the *new* flow:

    KL(q(w,z)‖q̃(w,z)) = E_q(z) [ ln q(z) - ln q̃(z) + KL(q(w | z)‖q̃(w | z)) ]
                       ≃ ln q(ẑ) - ln q̃(ẑ)                                            (19), (20)
                         + Σ ½ ln 2πσ̃² + (σ² + ẑ²(μ - μ̃)²) / (2σ̃²)                        (21)
                         - Σ ½ ln 2πeσ²                                                    (22)

The last two lines are the closed form between Gaussians whose means are both taken at ẑ.
ln q(ẑ) needs no inverse, as ẑ was pushed forward; ln q̃(ẑ) inverts the *old* flow, exactly.
The estimate is unbiased, and 0 for q = q̃ at every ẑ. As KL(q(w,z)‖q̃(w,z)) bounds
KL(q(w)‖q̃(w)) from above, the bound is looser than that on the marginals, and holds.

The flow maps standardised variables, and the affine map m + ρ·(·) is its last step: s and t
then mean the same for any scale ρ of z, and the flow sees inputs of unit scale.

Stage 1. A Gaussian prior N(μ, σ²) on w says nothing of z. It becomes z ~ N(1, τ²), an
identity flow with τ = `prior_z_sigma`, and w | z ~ N(z·μ, σ²): E w = μ and Var w = σ² + τ²μ².
For a prior of zero mean the marginal of w is N(0, σ²) exactly, whatever τ; τ then only fixes
the scale that z and μ could trade between them.
"""

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from incbayes.core.options import MULTIPLE, SCALE, option
from incbayes.core.streams import numpy_stream
from incbayes.families.base import Family
from incbayes.families.estimators import Estimator, draws_weights
from incbayes.families.flows.real_nvp import RealNVP
from incbayes.families.gaussian import diagonal_kl, draw, gaussian_state, log_density, perturbed
from incbayes.networks.layers import Layer, State
from incbayes.networks.noise import Noise

MOMENT_POINTS = 64
"""Points at which the mean and the variance of z are taken; half of them mirror the others."""

HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)


@dataclass(frozen=True)
class MultiplicativeNormalisingFlow(Family):
    """A Gaussian per weight whose mean is scaled by latent z of a normalising flow.

    The state of a layer is that of `ffg`, `weight_mean`, `weight_log_sigma` (shape of the
    weight), `bias_mean`, `bias_log_sigma` [O], and `z_mean`, `z_log_sigma`, [O, I / groups]
    in a convolution ([I, O / groups] in a transposed one), [I] in a dense layer and [E] in an
    embedding, with the parameters `flow_…` of `RealNVP`. The bias is not scaled.

    `batch` is the default of `z_draw` by measurement (CPU, one thread). A training step costs
    1.1 times that of `ffg` on LeNet-5 at 128 images, and 1.6 times with a z per `example`,
    whose convolutions have the whole weight once per image, in memory too. On digits in five
    parts (five replicates) `example` leads after part 1, NLL 0.280 against 0.320, and hardly
    after part 5, 0.083 against 0.085; `ffg` ends at 0.100.
    """

    flow_steps: int = option(
        2,
        "Coupling steps of the flow of z; 0 leaves z Gaussian and independent.",
        minimum=0,
        maximum=100,
    )
    flow_width: int = option(50, "Hidden units of a coupling step.", minimum=1, maximum=10_000)
    estimator: Estimator = option(
        "local",
        "How the expected likelihood is sampled: `local` draws z and then every pre-activation "
        "on its own (local reparameterisation given z), `weight` draws one z and one set of "
        "weights per minibatch, `mixed` is `weight` in convolutions and `local` elsewhere.",
    )
    z_draw: Literal["example", "batch"] = option(
        "batch",
        "Where pre-activations are drawn: a z of its own for every `example`, or one z per layer "
        "for the minibatch (`batch`).",
    )
    initial_sigma: float = option(
        0.1,
        "Scales of q at the start of the first stage, of w and of z, as multiples of the prior's.",
        **MULTIPLE,
    )
    prior_z_sigma: float = option(
        1.0,
        "Scale τ of z ~ N(1, τ²) under the prior of the first stage.",
        **SCALE,
    )

    constraints: ClassVar[dict[str, Any]] = {"bayesian": True, "step_cost": 8}
    scale_parameters: ClassVar[frozenset[str]] = frozenset(
        {"weight_log_sigma", "bias_log_sigma", "z_log_sigma"}
    )

    def from_gaussian(self, layer: Layer, mean: State, sigma: State) -> State:
        """Return w | z ~ N(z·mean, sigma²) with z ~ N(1, prior_z_sigma²): see the module.

        The mean of w is `mean`; its variance is sigma² + (prior_z_sigma·mean)², hence that of
        the Gaussian where the mean is 0.
        """
        state: State = {}
        for key in layer.shapes:
            state |= gaussian_state(key, mean[key], sigma[key])
        one = mean["weight"].new_ones(_z_shape(layer))
        state |= gaussian_state("z", one, self.prior_z_sigma * one)
        return state | self._flow(layer).identity(one)

    def start(self, layer: Layer, prior: State, weights: State, noise: Noise) -> State:
        """Return q centred on `weights`, its scales `initial_sigma` times the prior's.

        The flow is the identity, with hidden layers drawn so that it can learn.
        """
        sigma = {key: self.initial_sigma * prior[f"{key}_log_sigma"].exp() for key in layer.shapes}
        state = self.from_gaussian(layer, weights, sigma)
        z_sigma = self.initial_sigma * prior["z_log_sigma"].exp()
        state |= gaussian_state("z", torch.ones_like(z_sigma), z_sigma)
        return state | self._flow(layer).start(noise, z_sigma)

    def forward(self, layer: Layer, q: State, x: Tensor, noise: Noise) -> Tensor:
        """Return one stochastic output of the layer for x [N, …].

        `local`: given x and z, the output is Gaussian with mean A(x; z·μ) and variance
        A(x²; σ²), where A is the layer; one draw per output entry, and one z for the
        minibatch or for each example, according to `z_draw`.
        """
        if draws_weights(self.estimator, layer):
            weights = self.sample(layer, q, noise)
            return layer.apply(x, weights["weight"], weights.get("bias"))
        batch = (len(x),) if self.z_draw == "example" else ()
        mean = _apply_mean(layer, q, x, self._draw_z(layer, q, noise, *batch)[0])
        bias_variance = (2 * q["bias_log_sigma"]).exp() if layer.has_bias else None
        variance = layer.variance(x, (2 * q["weight_log_sigma"]).exp(), bias_variance)
        return perturbed(mean, variance, noise)

    def sample(self, layer: Layer, q: State, noise: Noise) -> State:
        """Return `weight` and `bias`, eqs. (12), (13), and the `z` that the weight was drawn at."""
        z, _ = self._draw_z(layer, q, noise)
        given = _given(q, z)
        return {key: draw(given, key, noise) for key in layer.shapes} | {"z": z}

    def log_density(self, layer: Layer, q: State, draw: State) -> Tensor:
        """Return ln q(w, z) = ln q(z) + ln q(w | z) in nats, at `weight`, `bias` and `z`."""
        given = _given(q, draw["z"])
        density = sum(log_density(given, key, draw[key]) for key in layer.shapes)
        return density + self._log_density_of_z(layer, q, draw["z"]).sum()

    def mean(self, layer: Layer, q: State) -> State:
        """Return E[z]·μ and the bias's mean: the weights' means, with E[z] as in `_moments`."""
        given = _given(q, self._moments(layer, q)[0])
        return {key: given[f"{key}_mean"] for key in layer.shapes}

    def kl(self, layer: Layer, q: State, p: State, noise: Noise) -> Tensor:
        """Return the joint KL(q(w, z)‖p(w, z)) in nats, estimated at one z ~ q(z).

        Eqs. (14)-(22) as in the module's docstring: unbiased, and exact given z.
        """
        z, log_q = self._draw_z(layer, q, noise)
        # Subtracted entry by entry: a sum over thousands of z would lose what differs.
        of_z = (log_q - self._log_density_of_z(layer, p, z)).sum()
        of_bias = diagonal_kl(q, p, "bias") if layer.has_bias else 0.0
        return of_z + _conditional_kl(q, p, z) + of_bias

    def sigma(self, layer: Layer, q: State) -> Tensor:
        """Return sqrt(σ² + μ²·Var z), the marginal scale of every weight.

        The law of total variance; Var z is as in `_moments`.
        """
        _, variance = self._moments(layer, q)
        spread = q["weight_mean"].square() * _over_weight(q, variance)
        return ((2 * q["weight_log_sigma"]).exp() + spread).sqrt()

    def _flow(self, layer: Layer) -> RealNVP:
        return RealNVP(math.prod(_z_shape(layer)), self.flow_steps, self.flow_width)

    def _push(self, layer: Layer, q: State, standard: Tensor) -> tuple[Tensor, Tensor]:
        """Return z [..., *z_shape] at ε [..., D], and the log-stretch of every entry of it."""
        v, stretch = self._flow(layer).forward(q, standard)
        shape = (*standard.shape[:-1], *q["z_mean"].shape)
        z = q["z_mean"] + q["z_log_sigma"].exp() * v.reshape(shape)
        return z, stretch.reshape(shape) + q["z_log_sigma"]

    def _draw_z(self, layer: Layer, q: State, noise: Noise, *batch: int) -> tuple[Tensor, Tensor]:
        """Return ẑ ~ q(z), eq. (18), [*batch, *z_shape], and the summands of ln q(ẑ), eq. (19)."""
        standard = noise.normal((*batch, q["z_mean"].numel()), q["z_mean"])
        z, stretch = self._push(layer, q, standard)
        return z, -0.5 * standard.reshape(z.shape).square() - HALF_LOG_2PI - stretch

    def _log_density_of_z(self, layer: Layer, q: State, z: Tensor) -> Tensor:
        """Return the summands of ln q(z), eq. (20), by the inverse of the flow; shape of z."""
        v = (z - q["z_mean"]) * torch.exp(-q["z_log_sigma"])
        standard, stretch = self._flow(layer).inverse(q, v.flatten())
        density = -0.5 * standard.square() - HALF_LOG_2PI - stretch
        return density.reshape(z.shape) - q["z_log_sigma"]

    def _moments(self, layer: Layer, q: State) -> tuple[Tensor, Tensor]:
        """Return approximate mean and variance of z, both of its shape.

        A flow has no closed form for them. They are averages over `MOMENT_POINTS` fixed ε,
        the same in every run, drawn in pairs ±ε and scaled to unit variance per entry, so that
        they are exact where the flow is affine in each entry, hence for the identity.
        """
        half = numpy_stream(0, "mnf", "moments").standard_normal(
            (MOMENT_POINTS // 2, q["z_mean"].numel())
        )
        half /= (half**2).mean(0) ** 0.5
        points = torch.from_numpy(half).to(q["z_mean"])
        z, _ = self._push(layer, q, torch.cat([points, -points]))
        return z.mean(0), z.var(0, correction=0)


def _z_shape(layer: Layer) -> tuple[int, ...]:
    """Return [O, I / groups] of a convolution, eq. (5), or [I] of a dense layer, eq. (13).

    Of an embedding [E], as for the thousands of numbers that it knows a flow would be too large.
    """
    return layer.weight_shape[:2] if layer.is_convolution else layer.weight_shape[1:]


def _over_weight(q: State, z: Tensor) -> Tensor:
    """Return z [..., *z_shape] so that it broadcasts over the weight."""
    return z[(..., *(None,) * _kernel_axes(q))]


def _kernel_axes(q: State) -> int:
    """Return the number of a kernel's axes: those of the weight beyond two."""
    return q["weight_mean"].dim() - 2


def _given(q: State, z: Tensor) -> State:
    """Return the diagonal Gaussian q(w, bias | z), whose weight has the mean z·μ."""
    return q | {"weight_mean": _over_weight(q, z) * q["weight_mean"]}


def _conditional_kl(q: State, p: State, z: Tensor) -> Tensor:
    """Return KL(q(w | z)‖p(w | z)) in nats: eq. (21) less eq. (22), for z [*z_shape].

    With d = ln σ - ln σ̃ it is Σ ½(e^{2d} - 1) - d + ½·z²·((μ - μ̃)/σ̃)², where the weights that
    share a z are added up before z² comes in.
    """
    d = q["weight_log_sigma"] - p["weight_log_sigma"]
    shift = (q["weight_mean"] - p["weight_mean"]) * torch.exp(-p["weight_log_sigma"])
    axes = tuple(range(-_kernel_axes(q), 0))
    shared = shift.square().sum(axes or -2)
    return (0.5 * torch.expm1(2 * d) - d).sum() + 0.5 * (z.square() * shared).sum()


def _apply_mean(layer: Layer, q: State, x: Tensor, z: Tensor) -> Tensor:
    """Return A(x; z·μ) + bias for one z [*z_shape], or one for every example [N, *z_shape].

    A dense layer scales its inputs instead of its weights. In a convolution z differs by
    filter and channel: where every example has its own, it has filters of its own, and the
    minibatch is one convolution of N times as many groups.
    """
    if layer.kind == "embedding":
        chosen = layer.apply(x, q["weight_mean"], None)
        return chosen * _of_examples(z, chosen)
    if layer.kind == "linear":
        return layer.apply(x * _of_examples(z, x), q["weight_mean"], q.get("bias_mean"))
    weight = _over_weight(q, z) * q["weight_mean"]
    if weight.dim() == q["weight_mean"].dim():
        return layer.apply(x, weight, q.get("bias_mean"))
    grouped = dataclasses.replace(layer, groups=len(x) * layer.groups)
    output = grouped.apply(x.reshape(1, -1, *x.shape[2:]), weight.flatten(0, 1), None)
    output = output.reshape(len(x), -1, *output.shape[2:])
    return output + layer.over_positions(q["bias_mean"]) if layer.has_bias else output


def _of_examples(z: Tensor, values: Tensor) -> Tensor:
    """Return z [I], or [N, I] of N examples, so that it broadcasts over values [N, …, I]."""
    return z if z.dim() == 1 else z[(slice(None), *(None,) * (values.dim() - 2))]
