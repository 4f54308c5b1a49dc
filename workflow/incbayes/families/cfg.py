"""The channel-factorised Gaussian, Kochurov et al. (2018) eq. (4): every kernel on its own.

Entries of one (filter, channel) kernel are correlated, kernels are independent. Layers
without such kernels (dense, 1x1) and biases are the fully factorised Gaussian's.
"""

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from incbayes.core.options import MULTIPLE, option
from incbayes.families.base import Family
from incbayes.families.ffg import FullyFactorisedGaussian
from incbayes.families.gaussian import (
    SMALLEST_VARIANCE,
    diagonal_kl,
    draw,
    gaussian_state,
    log_density,
)
from incbayes.networks.layers import Layer, State
from incbayes.networks.noise import Noise


@dataclass(frozen=True)
class ChannelFactorisedGaussian(Family):
    """A Gaussian per convolution kernel, q(w) = Π_nc N(w_nc | μ_nc, L_nc L_ncᵀ), eq. (4).

    n runs over the O filters, c over the I / groups channels of a filter, and w_nc holds the
    K = kH·kW entries of a kernel, row by row; kernels of one and three axes are taken alike, and
    those of transposed convolutions, [I, O / groups, …]. The state of a convolution is

    - `weight_mean` [O, I / groups, kH, kW],
    - `weight_log_diagonal` [O, I / groups, K]: log of the diagonal d of L,
    - `weight_lower` [O, I / groups, K·(K-1)/2]: the strictly lower triangle A of
      L = diag(d)(I + A), row by row,
    - with a bias, `bias_mean`, `bias_log_sigma` [O].

    d has the unit of the weights, A has none: it holds correlations relative to the scale of
    its row. One learning rate therefore serves kernels of every scale, where Adam's steps in
    L itself would be enormous beside a scale of 1e-4, and widening d alone, as happens where
    data say nothing, leaves the correlations as they are. With A = 0 this is `ffg`. A
    kernel's KL costs a triangular solve with K + 1 right-hand sides, K³/2 products.

    `weight` is the default estimator because it is by far the cheaper one here: a training
    step takes about 2 times a `point` step on LeNet5 and on DigitsNet, where `local` takes
    about 22 and 7 times (`python benchmarks/estimators.py`; `ffg` with `local`: 2.6 times).
    A correlated kernel has K(K+1)/2 covariances where a diagonal one has K variances.
    """

    estimator: Literal["local", "weight"] = option(
        "weight",
        "How the expected likelihood is sampled in convolutions: `weight` draws one set of "
        "kernels per minibatch (one product), `local` draws every pre-activation on its own "
        "(local reparameterisation: lower variance, but 9 products for 3x3 kernels and 24 for "
        "5x5). Dense layers and 1x1 convolutions are always `local`.",
    )
    initial_sigma: float = option(
        0.1,
        "Scale of q at the start of the first stage, as a multiple of the prior's.",
        **MULTIPLE,
    )

    constraints: ClassVar[dict[str, Any]] = {
        "bayesian": True,
        "step_cost": 5,
        "step_cost_of": {"estimator": {"local": 30}},
    }
    scale_parameters: ClassVar[frozenset[str]] = FullyFactorisedGaussian.scale_parameters | {
        "weight_log_diagonal"
    }

    def refusal(self, layer: Layer) -> str | None:
        """Return why the estimator `local` cannot be had: only of kernels of one or two axes."""
        flat = len(layer.kernel) < 3 and not layer.is_transposed
        if self.estimator == "weight" or flat or not _has_kernels(layer):
            return None
        return "its estimator local is for convolutions of one or two axes; give estimator: weight"

    @property
    def _diagonal(self) -> FullyFactorisedGaussian:
        """The family of layers that have no kernels to correlate."""
        return FullyFactorisedGaussian("local", self.initial_sigma)

    def from_gaussian(self, layer: Layer, mean: State, sigma: State) -> State:
        """Return N(mean, sigma²) itself, with d = sigma and A = 0."""
        if not _has_kernels(layer):
            return self._diagonal.from_gaussian(layer, mean, sigma)
        scale = sigma["weight"].flatten(2)
        entries = scale.shape[-1]
        state = {
            "weight_mean": mean["weight"].clone(),
            "weight_log_diagonal": scale.log(),
            "weight_lower": scale.new_zeros(*scale.shape[:2], entries * (entries - 1) // 2),
        }
        bias = gaussian_state("bias", mean["bias"], sigma["bias"]) if layer.has_bias else {}
        return state | bias

    def start(self, layer: Layer, prior: State, weights: State, noise: Noise) -> State:
        """Return q centred on `weights`, with L of the prior times `initial_sigma`."""
        if not _has_kernels(layer):
            return self._diagonal.start(layer, prior, weights, noise)
        scale = self.initial_sigma * prior["weight_log_diagonal"].exp()
        sigma = {"weight": scale.view_as(weights["weight"])}
        if layer.has_bias:
            sigma["bias"] = self.initial_sigma * prior["bias_log_sigma"].exp()
        lower = {"weight_lower": prior["weight_lower"].clone()}
        return self.from_gaussian(layer, weights, sigma) | lower

    def forward(self, layer: Layer, q: State, x: Tensor, noise: Noise) -> Tensor:
        """Return one stochastic output of the layer for x [N, …].

        `weight`: one product with kernels that all images share, K²/2 products per kernel to
        draw them. `local`: given x, each output is Gaussian with mean A(x; μ), where A is the
        layer, and the variance of `_patch_variance`, which states its cost; one draw per
        output entry, independent of its neighbours, as in `ffg`.
        """
        if not _has_kernels(layer):
            return self._diagonal.forward(layer, q, x, noise)
        if self.estimator == "weight":
            weights = self.sample(layer, q, noise)
            return layer.apply(x, weights["weight"], weights.get("bias"))
        mean = layer.apply(x, q["weight_mean"], q.get("bias_mean"))
        variance = _patch_variance(layer, q, layer.padded(x.to(q["weight_mean"].dtype)))
        if layer.has_bias:
            variance = variance + layer.over_positions((2 * q["bias_log_sigma"]).exp())
        std = variance.clamp_min(SMALLEST_VARIANCE).sqrt().to(mean.dtype)
        return mean + std * noise.normal(mean.shape, mean)

    def sample(self, layer: Layer, q: State, noise: Noise) -> State:
        """Return μ + L·ε for the kernels, μ + σ·ε for the bias."""
        if not _has_kernels(layer):
            return self._diagonal.sample(layer, q, noise)
        mean = q["weight_mean"]
        epsilon = noise.normal(mean.shape, mean).flatten(2)
        with _full_precision(mean):
            correlated = (_triangle(q["weight_lower"]) @ epsilon[..., None]).squeeze(-1)
        deviation = q["weight_log_diagonal"].exp() * (epsilon + correlated)
        weight = {"weight": mean + deviation.view_as(mean)}
        return weight | ({"bias": draw(q, "bias", noise)} if layer.has_bias else {})

    def log_density(self, layer: Layer, q: State, draw: State) -> Tensor:
        """Return ln q(draw) in nats.

        A kernel's is Σ_k ln N(z_k | 0, 1) - ln d_k at z = L⁻¹(w - μ), one triangular solve.
        """
        if not _has_kernels(layer):
            return self._diagonal.log_density(layer, q, draw)
        scaled = (draw["weight"] - q["weight_mean"]).flatten(2) * (-q["weight_log_diagonal"]).exp()
        z = _solve(_triangle(q["weight_lower"]), scaled[..., None])
        density = log_density(_standard(z), "z", z) - q["weight_log_diagonal"].sum()
        return density + (log_density(q, "bias", draw["bias"]) if layer.has_bias else 0)

    def mean(self, layer: Layer, q: State) -> State:
        """Return the means."""
        return self._diagonal.mean(layer, q)

    def kl(self, layer: Layer, q: State, p: State, noise: Noise) -> Tensor:
        """Return KL(q‖p) in nats in closed form, the second term of eq. (2)."""
        if not _has_kernels(layer):
            return self._diagonal.kl(layer, q, p, noise)
        return _kernel_kl(q, p) + (diagonal_kl(q, p, "bias") if layer.has_bias else 0)

    def sigma(self, layer: Layer, q: State) -> Tensor:
        """Return the marginal σ_k = d_k·sqrt(1 + Σ_l A_kl²) of every weight."""
        if not _has_kernels(layer):
            return self._diagonal.sigma(layer, q)
        lengths = (1 + _triangle(q["weight_lower"]).square().sum(-1)).sqrt()
        return (q["weight_log_diagonal"].exp() * lengths).view_as(q["weight_mean"])


def _has_kernels(layer: Layer) -> bool:
    """Return whether the layer's kernels have more than one entry."""
    return layer.is_convolution and math.prod(layer.kernel) > 1


def _full_precision(like: Tensor) -> torch.autocast:
    """Return a context in which products are those of the parameters' own precision."""
    return torch.autocast(like.device.type, enabled=False)


def _triangle(packed: Tensor) -> Tensor:
    """Return the strictly lower triangular [..., K, K] of K·(K-1)/2 entries, row by row."""
    entries = math.isqrt(2 * packed.shape[-1]) + 1
    row, column = torch.tril_indices(entries, entries, -1, device=packed.device)
    place = (row * entries + column).expand(packed.shape)
    zeros = packed.new_zeros(*packed.shape[:-1], entries**2)
    return zeros.scatter(-1, place, packed).unflatten(-1, (entries, entries))


def _solve(triangle: Tensor, right: Tensor) -> Tensor:
    """Return (I + A)⁻¹·right for A [..., K, K] and right [..., K, M], batched over kernels."""
    return torch.linalg.solve_triangular(triangle, right, upper=False, unitriangular=True)


def _standard(like: Tensor) -> State:
    """Return the state of a standard normal variable `z`."""
    return {"z_mean": torch.zeros_like(like), "z_log_sigma": torch.zeros_like(like)}


def _kernel_kl(q: State, p: State) -> Tensor:
    """Return KL(q‖p) in nats between the kernels of two states.

    In coordinates in which p is N(0, I), q is N(m, M·Mᵀ) with m = L_p⁻¹(μ_q - μ_p) and
    M = L_p⁻¹·L_q, again lower triangular, with diagonal e^δ for δ = ln d_q - ln d_p. Then
    KL = ½·(‖M‖² - K) - Σδ + ½·‖m‖² is that of N(m, e^2δ) from N(0, I) entry by entry, which
    `diagonal_kl` gives without cancellation, plus half the squares of R = M - diag(e^δ).

    R itself is solved for, and not M, as (I + A_p)·R = diag(e^δ)·A_q - A_p·diag(e^δ): the
    right side, with differences of A and of e^δ - 1, keeps its leading digits where q is
    close to p, and is exactly 0 where they are equal.
    """
    delta = q["weight_log_diagonal"] - p["weight_log_diagonal"]
    growth = torch.expm1(delta)
    of_p = _triangle(p["weight_lower"])
    turned = (1 + growth)[..., None] * _triangle(q["weight_lower"] - p["weight_lower"])
    turned = torch.addcmul(turned, of_p, growth[..., :, None] - growth[..., None, :])
    shift = (q["weight_mean"] - p["weight_mean"]).flatten(2)
    shift = shift * (-p["weight_log_diagonal"]).exp()
    solved = _solve(of_p, torch.cat([turned, shift[..., None]], -1))
    white = {"z_mean": solved[..., -1], "z_log_sigma": delta}
    return diagonal_kl(white, _standard(delta), "z") + 0.5 * solved[..., :-1].square().sum()


def _patch_variance(layer: Layer, q: State, image: Tensor) -> Tensor:
    """Return the variance of a convolution's outputs without bias, [N, O, H', W'].

    Args:
        layer: with kernels of one or two axes; one is taken for a row of two.
        q: its state.
        image: padded inputs [N, I, H, W].

    Of filter n at a patch of x it is Σ_c ‖L_ncᵀ x_c‖² = Σ_c Σ_kl Σ_nc[k, l]·x_ck·x_cl, with
    Σ_nc = L_nc·L_ncᵀ. Pairs (k, l) whose entries lie equally far apart, `down` rows and
    `across` columns, multiply the same image of products x·shifted(x). So kH dense
    convolutions, one for each `down`, over the images of all `across`, give the sum.

    Cost: 8 times the products of the layer for 3x3 kernels, 23 for 5x5, and as many times
    13 or 41 copies of x for the backward pass, whatever the number of filters. (The K
    components of L_ncᵀ x_c as outputs of a grouped convolution take 9 or 25 times the
    products, in a form that is ten times slower, and O·K copies of x.)

    Computed in the parameters' precision, also under autocast, as covariances of both signs
    cancel. What rounding may then leave below 0 is for the caller to clamp.
    """
    if len(layer.kernel) == 1:
        rows = dataclasses.replace(
            layer,
            kind="conv2d",
            weight_shape=(*layer.weight_shape[:2], 1, *layer.kernel),
            stride=(1, *layer.stride),
            dilation=(1, *layer.dilation),
        )
        return _patch_variance(rows, q, image.unsqueeze(2)).squeeze(2)
    with _full_precision(q["weight_mean"]):
        triangle = _triangle(q["weight_lower"])
        identity = torch.eye(triangle.shape[-1], dtype=triangle.dtype, device=triangle.device)
        root = q["weight_log_diagonal"].exp()[..., None] * (identity + triangle)
        kernel = layer.kernel
        covariance = (root @ root.mT).unflatten(-1, kernel).unflatten(-3, kernel)
        return sum(_pairs_variance(layer, covariance, image, down) for down in range(kernel[0]))


def _pairs_variance(layer: Layer, covariance: Tensor, image: Tensor, down: int) -> Tensor:
    """Return the share in the variance of the pairs of entries that lie `down` rows apart.

    Args:
        layer: the convolution.
        covariance: of the entries (row, column, row, column) of every kernel,
            [O, I / groups, kH, kW, kH, kW].
        image: padded inputs [N, I, H, W].
        down: rows from the first entry of a pair to the second, from 0 to kH - 1.
    """
    columns, (rows_apart, columns_apart) = layer.weight_shape[3], layer.dilation
    height, width = image.shape[-2:]
    margin = (columns - 1) * columns_apart
    first = image[:, :, : height - down * rows_apart]
    second = F.pad(image[:, :, down * rows_apart :], (margin, margin))
    in_rows = covariance.diagonal(down, 2, 4)  # [O, I / groups, kW, kW, kH - down]
    products, kernels = [], []
    # Each pair once: of those in one row only the ones to the right.
    for across in range(1 - columns if down else 0, columns):
        start = margin + across * columns_apart
        products.append(first * second[..., start : start + width])
        # [O, I / groups, kH - down, kW - |across|], at the columns of the first entries.
        pairs = F.pad(in_rows.diagonal(across, 2, 3), (max(0, -across), max(0, across)))
        kernels.append(2 * pairs if down or across else pairs)
    # Products of one channel lie side by side, as the groups of a convolution want them.
    images, weight = torch.stack(products, 2).flatten(1, 2), torch.stack(kernels, 2).flatten(1, 2)
    return F.conv2d(images, weight, None, layer.stride, 0, layer.dilation, layer.groups)
