"""The diagonal Gaussian over one tensor: its parameters, draws and divergence.

Shared by the families that keep a factorised Gaussian for all or part of a layer. It
knows nothing of layers.
"""

import math

import torch
from torch import Tensor

from incbayes.families.autograd import leading, signed
from incbayes.networks.layers import State
from incbayes.networks.noise import Noise

SMALLEST_VARIANCE = 1e-30
"""Floor below the square root: its slope at 0 is infinite, and patches of zeros reach 0."""


@signed
class _Perturbation(torch.autograd.Function):
    """mean + sqrt(variance)·ε and its gradient, in fewer passes over memory than plain ops.

    The second output is ε / (2·sqrt(variance)), the slope in the variance.
    """

    @staticmethod
    def forward(mean: Tensor, variance: Tensor, draws: Tensor) -> tuple[Tensor, Tensor]:
        scale = variance.clamp_min(SMALLEST_VARIANCE).sqrt_()
        return torch.addcmul(mean, scale, draws), (draws / scale).mul_(0.5)

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

    The further outputs are that gradient, in the mean and in the log-scale. The sum leaves
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
        return 0.5 * _summed(entries, kept), of_mean, of_log_sigma

    @staticmethod
    def setup_context(ctx, inputs: tuple[Tensor, ...], output: tuple[Tensor, ...]) -> None:
        ctx.mark_non_differentiable(*output[1:])
        ctx.save_for_backward(*output[1:])
        ctx.set_materialize_grads(False)

    @staticmethod
    def backward(ctx, gradient: Tensor, *_: None) -> tuple[Tensor | None, ...]:
        of_mean, of_log_sigma = ctx.saved_tensors
        gradient = _beside(gradient, of_mean)
        return gradient * of_mean, gradient * of_log_sigma, None, None, None

    @staticmethod
    def vmap(info, in_dims: tuple, *inputs: Tensor | int) -> tuple[tuple[Tensor, ...], int]:
        states = leading(info.batch_size, in_dims[:-1], inputs[:-1])
        return _DiagonalKL.apply(*states, inputs[-1] + 1), 0


@signed
class _Draw(torch.autograd.Function):
    """μ + σ·ε with ln q of it, and their gradients, in fewer passes over memory than plain ops.

    At a draw of its own ln q is -½ε² - ln σ - ½ ln 2π, whatever μ. The third output is σ·ε. The sum
    leaves the first `kept` axes: those of replicates that are mapped over.
    """

    @staticmethod
    def forward(
        mean: Tensor, log_sigma: Tensor, draws: Tensor, kept: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        offset = log_sigma.exp().mul_(draws)
        return mean + offset, _log_normal(draws, log_sigma, kept), offset

    @staticmethod
    def setup_context(ctx, inputs: tuple[Tensor, ...], output: tuple[Tensor, ...]) -> None:
        ctx.mark_non_differentiable(output[2])
        ctx.save_for_backward(output[2])
        ctx.set_materialize_grads(False)

    @staticmethod
    def backward(ctx, of_draw: Tensor | None, of_density: Tensor | None, _: None) -> tuple:
        (offset,) = ctx.saved_tensors
        of_log_sigma = None if of_draw is None else of_draw * offset
        if of_density is not None:
            slope = -_beside(of_density, offset)
            of_log_sigma = slope.expand_as(offset) if of_draw is None else of_log_sigma.add_(slope)
        return of_draw, of_log_sigma, None, None

    @staticmethod
    def vmap(info, in_dims: tuple, *inputs: Tensor | int) -> tuple[tuple[Tensor, ...], int]:
        return _Draw.apply(*leading(info.batch_size, in_dims[:-1], inputs[:-1]), inputs[-1] + 1), 0


@signed
class _LogDensity(torch.autograd.Function):
    """Σ ln N(value | μ, σ²) and its gradient, in fewer passes over memory than plain ops.

    The further outputs are (value - μ)/σ and that over σ. The sum leaves the first `kept` axes:
    those of replicates that are mapped over.
    """

    @staticmethod
    def forward(
        value: Tensor, mean: Tensor, log_sigma: Tensor, kept: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        inverse = log_sigma.neg().exp_()
        standard = (value - mean).mul_(inverse)
        return _log_normal(standard, log_sigma, kept), standard, inverse.mul_(standard)

    @staticmethod
    def setup_context(ctx, inputs: tuple[Tensor, ...], output: tuple[Tensor, ...]) -> None:
        ctx.mark_non_differentiable(*output[1:])
        ctx.save_for_backward(*output[1:])
        ctx.set_materialize_grads(False)

    @staticmethod
    def backward(ctx, gradient: Tensor | None, *_: None) -> tuple[Tensor | None, ...]:
        if gradient is None:
            return None, None, None, None
        standard, of_mean = ctx.saved_tensors
        gradient = _beside(gradient, standard)
        in_value, in_mean, in_log_sigma, _ = ctx.needs_input_grad
        return (
            of_mean * -gradient if in_value else None,
            of_mean * gradient if in_mean else None,
            (standard.square() - 1).mul_(gradient) if in_log_sigma else None,
            None,
        )

    @staticmethod
    def vmap(info, in_dims: tuple, *inputs: Tensor | int) -> tuple[tuple[Tensor, ...], int]:
        states = leading(info.batch_size, in_dims[:-1], inputs[:-1])
        return _LogDensity.apply(*states, inputs[-1] + 1), 0


def _log_normal(standard: Tensor, log_sigma: Tensor, kept: int) -> Tensor:
    """Return Σ (-½·standard² - ln σ - ½ ln 2π) over all axes but the first `kept`."""
    entries = torch.addcmul(log_sigma, standard, standard, value=0.5)
    count = math.prod(entries.shape[kept:])
    return -_summed(entries, kept) - 0.5 * math.log(2 * math.pi) * count


def _summed(entries: Tensor, kept: int) -> Tensor:
    return entries.flatten(kept).sum(-1) if kept else entries.sum()


def _beside(gradient: Tensor, entries: Tensor) -> Tensor:
    """Return the gradient of a sum over entries with their number of axes."""
    return gradient[(..., *(None,) * (entries.dim() - gradient.dim()))]


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


def draw_with_log_density(q: State, prefix: str, noise: Noise) -> tuple[Tensor, Tensor]:
    """Return what `draw` does, and ln q of it in nats, summed over the tensor `prefix`."""
    mean = q[f"{prefix}_mean"]
    draws = noise.normal(mean.shape, mean)
    return _Draw.apply(mean, q[f"{prefix}_log_sigma"], draws, 0)[:2]


def log_density(q: State, prefix: str, value: Tensor) -> Tensor:
    """Return ln N(value | μ, σ²) in nats, summed over the tensor `prefix`."""
    return _LogDensity.apply(value, q[f"{prefix}_mean"], q[f"{prefix}_log_sigma"], 0)[0]


def diagonal_kl(q: State, p: State, prefix: str, mean_scale: float = 1.0) -> Tensor:
    """Return KL(q‖p) in nats between two diagonal Gaussians over the tensor `prefix`.

    Σ log(σ_p/σ_q) + (σ_q² + (μ_q - μ_p)²) / (2σ_p²) - 1/2, written with the difference
    d = log σ_q - log σ_p so that it neither overflows nor cancels for σ from 1e-8 to 10:
    ½·(e^{2d} - 1 - 2d + ((μ_q - μ_p)/σ_p)²). Differentiable in q; p is a given. With a
    `mean_scale` λ other than 1 the square of the means is multiplied by it, and this is no KL.
    """
    log_sigma = f"{prefix}_log_sigma"
    means = [state[f"{prefix}_mean"] for state in (q, p)]
    if mean_scale != 1:
        means = [mean * math.sqrt(mean_scale) for mean in means]
    return _DiagonalKL.apply(means[0], q[log_sigma], means[1], p[log_sigma], 0)[0]
