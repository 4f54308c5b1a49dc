"""The diagonal Gaussian over one tensor: its parameters, draws and divergence.

Shared by the families that keep a factorised Gaussian for all or part of a layer. It
knows nothing of layers.
"""

import math

import torch
from torch import Tensor

from incbayes.layers import State
from incbayes.noise import Noise, normal_like

SMALLEST_VARIANCE = 1e-30
"""Floor below the square root: its slope at 0 is infinite, and patches of zeros reach 0."""


class _Perturbation(torch.autograd.Function):
    """mean + sqrt(variance)·ε and its gradient, in half the passes over memory of plain ops."""

    generate_vmap_rule = True

    @staticmethod
    def forward(mean: Tensor, variance: Tensor, draws: Tensor) -> Tensor:
        return torch.addcmul(mean, variance.clamp_min(SMALLEST_VARIANCE).sqrt(), draws)

    @staticmethod
    def setup_context(ctx, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        _, variance, draws = inputs
        ctx.save_for_backward(draws / variance.clamp_min(SMALLEST_VARIANCE).sqrt())

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        (ratio,) = ctx.saved_tensors
        return gradient, (gradient * ratio) * 0.5, None


def perturbed(mean: Tensor, variance: Tensor, noise: Noise) -> Tensor:
    """Return a draw of N(mean, variance) for pre-activations of that mean and variance.

    The local reparameterisation of Kingma et al. (2015): mean + sqrt(variance)·ε, with one
    ε for every entry.
    """
    return _Perturbation.apply(mean, variance, normal_like(noise, mean))


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
    ½·(e^{2d} - 1) - d + ½·((μ_q - μ_p)/σ_p)².
    """
    d = q[f"{prefix}_log_sigma"] - p[f"{prefix}_log_sigma"]
    shift = (q[f"{prefix}_mean"] - p[f"{prefix}_mean"]) * torch.exp(-p[f"{prefix}_log_sigma"])
    return (0.5 * torch.expm1(2 * d) - d + 0.5 * shift**2).sum()
