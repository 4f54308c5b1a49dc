"""The diagonal Gaussian over one tensor: its parameters, draws and divergence.

Shared by the families that keep a factorised Gaussian for all or part of a layer. It
knows nothing of layers.
"""

import math

import torch
from torch import Tensor

from incbayes.autograd import leading, signed
from incbayes.layers import State
from incbayes.noise import Noise

SMALLEST_VARIANCE = 1e-30
"""Floor below the square root: its slope at 0 is infinite, and patches of zeros reach 0."""


@signed
class _Perturbation(torch.autograd.Function):
    """mean + sqrt(variance)·ε and its gradient, in fewer passes over memory than plain ops.

    The second output is ε / (2·sqrt(variance)), the slope in the variance.
    """

    @staticmethod
    def forward(mean: Tensor, variance: Tensor, draws: Tensor) -> tuple[Tensor, Tensor]:
        width = variance.clamp_min(SMALLEST_VARIANCE).sqrt_()
        return torch.addcmul(mean, width, draws), (draws / width).mul_(0.5)

    @staticmethod
    def setup_context(ctx, inputs: tuple[Tensor, ...], output: tuple[Tensor, Tensor]) -> None:
        ctx.mark_non_differentiable(output[1])
        ctx.save_for_backward(output[1])
        ctx.set_materialize_grads(False)

    @staticmethod
    def backward(ctx, gradient: Tensor, _: None) -> tuple[Tensor, Tensor, None]:
        (slope,) = ctx.saved_tensors
        return gradient, gradient * slope, None

    @staticmethod
    def vmap(info, in_dims: tuple, *inputs: Tensor) -> tuple[tuple[Tensor, ...], int]:
        return _Perturbation.apply(*leading(info.batch_size, in_dims, inputs)), 0


@signed
class _DiagonalKL(torch.autograd.Function):
    """KL between diagonal Gaussians and its gradient in q, in fewer passes than plain ops.

    The further outputs are that gradient, in the mean and in the log-width. The sum leaves
    the first `kept` axes: those of replicates that are mapped over.
    """

    @staticmethod
    def forward(
        mean: Tensor, log_sigma: Tensor, prior_mean: Tensor, prior_log_sigma: Tensor, kept: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        d = log_sigma - prior_log_sigma
        precision = (-2 * prior_log_sigma).exp_()
        difference = mean - prior_mean
        of_mean = difference * precision
        of_log_sigma = (2 * d).expm1_()
        # Subtracted entry by entry: of two sums the small difference would be lost.
        of_widths = torch.sub(of_log_sigma, d, alpha=2)
        entries = torch.addcmul(of_widths, difference, of_mean)
        kl = 0.5 * (entries.flatten(kept).sum(-1) if kept else entries.sum())
        return kl, of_mean, of_log_sigma

    @staticmethod
    def setup_context(ctx, inputs: tuple[Tensor, ...], output: tuple[Tensor, ...]) -> None:
        ctx.mark_non_differentiable(*output[1:])
        ctx.save_for_backward(*output[1:])
        ctx.set_materialize_grads(False)

    @staticmethod
    def backward(ctx, gradient: Tensor, *_: None) -> tuple[Tensor | None, ...]:
        of_mean, of_log_sigma = ctx.saved_tensors
        gradient = gradient[(..., *(None,) * (of_mean.dim() - gradient.dim()))]
        return gradient * of_mean, gradient * of_log_sigma, None, None, None

    @staticmethod
    def vmap(info, in_dims: tuple, *inputs: Tensor | int) -> tuple[tuple[Tensor, ...], int]:
        states = leading(info.batch_size, in_dims[:-1], inputs[:-1])
        return _DiagonalKL.apply(*states, inputs[-1] + 1), 0


def perturbed(mean: Tensor, variance: Tensor, noise: Noise) -> Tensor:
    """Return a draw of N(mean, variance) for pre-activations of that mean and variance.

    The local reparameterisation of Kingma et al. (2015): mean + sqrt(variance)·ε, with one
    ε for every entry.
    """
    return _Perturbation.apply(mean, variance, noise.normal_like(mean))[0]


def gaussian_state(prefix: str, mean: Tensor, sigma: Tensor) -> State:
    """Return the parameters `{prefix}_mean` and `{prefix}_log_sigma` of N(mean, sigma²)."""
    return {f"{prefix}_mean": mean.clone(), f"{prefix}_log_sigma": sigma.log()}


def draw(q: State, prefix: str, noise: Noise) -> Tensor:
    """Return one reparameterised draw μ + σ·ε of the tensor `prefix`."""
    mean = q[f"{prefix}_mean"]
    return mean + q[f"{prefix}_log_sigma"].exp() * noise.normal(mean.shape, mean)


def log_density(q: State, prefix: str, value: Tensor) -> Tensor:
    """Return ln N(value | μ, σ²) in nats, summed over the tensor `prefix`."""
    log_sigma = q[f"{prefix}_log_sigma"]
    standard = (value - q[f"{prefix}_mean"]) * torch.exp(-log_sigma)
    return (-0.5 * standard**2 - log_sigma - 0.5 * math.log(2 * math.pi)).sum()


def diagonal_kl(q: State, p: State, prefix: str) -> Tensor:
    """Return KL(q‖p) in nats between two diagonal Gaussians over the tensor `prefix`.

    Σ log(σ_p/σ_q) + (σ_q² + (μ_q - μ_p)²) / (2σ_p²) - 1/2, written with the difference
    d = log σ_q - log σ_p so that it neither overflows nor cancels for σ from 1e-8 to 10:
    ½·(e^{2d} - 1 - 2d + ((μ_q - μ_p)/σ_p)²). Differentiable in q; p is a given.
    """
    mean, log_sigma = f"{prefix}_mean", f"{prefix}_log_sigma"
    return _DiagonalKL.apply(q[mean], q[log_sigma], p[mean], p[log_sigma], 0)[0]
