"""Planar maps of one vector, there and back: Wohlert et al. (2017) eqs. (7)-(12).

    f_k(z) = z + û_k tanh(a_kᵀz + b_k),   û(u, a) = u + [m(aᵀu) - aᵀu] a/‖a‖²,
    m(x) = -1 + log(1 + eˣ),  hence aᵀû = m(aᵀu) > -1, and f_k is invertible.

With α_k = a_kᵀz_{k-1} + b_k the whole flow is z_K = z_0 + Σ_k û_k tanh α_k, so that only the K
numbers α have to be found, from either end:

    forwards:   α_k - Σ_{j<k} a_kᵀû_j tanh α_j = a_kᵀz_0 + b_k
    backwards:  α_k + Σ_{j≥k} a_kᵀû_j tanh α_j = a_kᵀz_K + b_k

Both are triangular: one increasing function of one unknown after the other. The n weights
enter by products with [K, n] alone. This file knows nothing of layers or densities.
"""

import math
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from incbayes.families.autograd import leading, signed

IDENTITY = math.log(math.e - 1)
"""The aᵀu at which m(aᵀu) = 0, so that u = IDENTITY·a/‖a‖² gives û = 0 and the identity."""

LEAST_PRODUCT = -600.0
"""Least aᵀu that is told apart: below, log(1 + eˣ) would leave the range of float64."""

LEAST_SQUARE = 1e-30
"""Floor of ‖a‖²: at a = 0, where the map is a translation, the quotient a/‖a‖² stays finite."""

ITERATIONS = 100
"""Bound on Newton's steps for one unknown; 4 to 8 are usual."""


class PlanarFlow:
    """K planar maps of vectors [n], f_K ∘ … ∘ f_1.

    The [K, n] tensors are used in their own precision, also inside autocast; what they come
    down to, K numbers and K × K matrices, is float64.
    """

    def __init__(self, u: Tensor, a: Tensor, b: Tensor):
        """Take u [K, n], a [K, n], b [K]."""
        self._u, self._a, self._b = u, a, b.double()

    @cached_property
    def couplings(self) -> "Couplings":
        """What the maps are to each other, all of it in K numbers and K × K matrices."""
        with torch.autocast(self._a.device.type, enabled=False):
            return Couplings((self._a @ self._u.mT).double(), (self._a @ self._a.mT).double())

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Return z_K [n] and ln |det ∂z_K/∂z_0|, float64, for z_0 [n], eqs. (9)-(11)."""
        with torch.autocast(z.device.type, enabled=False):
            return _Forward.apply(z, self._u, self._a, self._b)[:2]

    def inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Return z_0 [n] for z_K [n], and ln |det ∂z_K/∂z_0|, float64, at it."""
        t = self.couplings.backwards(self._target(z)).tanh()
        return z - self._shift(t), self.couplings.log_determinant(t)

    def variance(self, z: Tensor, variance: Tensor) -> Tensor:
        """Return the diagonal [n] of J·diag(variance)·Jᵀ, with J = ∂z_K/∂z_0 at z_0 [n].

        J = I + Ûᵀ·D·A with A = [a_k], Û = [û_k] and D = H(I - L·H)⁻¹, where L is the strictly
        lower triangle of a_kᵀû_j and H the diagonal of tanh'(α_k).
        """
        couplings = self.couplings
        h = 1 - couplings.forwards(self._target(z)).tanh() ** 2
        one = torch.eye(len(h), dtype=h.dtype, device=h.device)
        through = h[:, None] * torch.linalg.inv(one - couplings.a_u_hat.tril(-1) * h)
        with torch.autocast(z.device.type, enabled=False):
            # Dᵀ·Û, with û = u + correction·a.
            left = through.mT.to(z) @ self._u
            left = left + (through.mT * couplings.correction).to(z) @ self._a
            spread = (self._a * variance) @ self._a.mT
            return variance + (left * (2 * self._a * variance + spread @ left)).sum(0)

    def _target(self, z: Tensor) -> Tensor:
        """Return a_kᵀz + b_k [K], float64."""
        with torch.autocast(z.device.type, enabled=False):
            return _products(self._a, z).double() + self._b

    def _shift(self, t: Tensor) -> Tensor:
        """Return Σ û_k·t_k [n]."""
        with torch.autocast(t.device.type, enabled=False):
            return _combined(t, self._u) + _combined(t * self.couplings.correction, self._a)


class Couplings:
    """What K maps are to each other, in K numbers and K × K matrices; n is gone.

    All tensors are float64 and may have leading axes.

    Attributes:
        slope: 1 + a_kᵀû_k = log(1 + exp(a_kᵀu_k)) [K], positive: the derivative of map k
            along a_k where α_k = 0.
        correction: [K], with which û = u + correction·a.
        a_u_hat: a_kᵀû_j [K, K].
    """

    def __init__(self, a_u: Tensor, a_a: Tensor):
        """Take a_kᵀu_j and a_kᵀa_j, [K, K]."""
        product, square = (m.diagonal(dim1=-2, dim2=-1) for m in (a_u, a_a))
        self._product, self._square, self._a_a = product, square, a_a
        self.slope = F.softplus(product.clamp_min(LEAST_PRODUCT), threshold=40.0)
        self.correction = (self.slope - 1 - product) / square.clamp_min(LEAST_SQUARE)
        self.a_u_hat = a_u + a_a * self.correction[..., None, :]

    def forwards(self, target: Tensor) -> Tensor:
        """Return α [K] for a_kᵀz_0 + b_k [K]."""
        one = torch.ones_like(self.slope)
        return _solution(-self.a_u_hat.tril(-1), one, target, upper=False)

    def backwards(self, target: Tensor) -> Tensor:
        """Return α [K] for a_kᵀz_K + b_k [K]."""
        return _solution(self.a_u_hat.triu(1), self.slope, target, upper=True)

    def log_determinant(self, t: Tensor) -> Tensor:
        """Return Σ ln |1 + ûᵀa·tanh'(α)| for t = tanh α [K], eqs. (10), (11).

        Eq. (11) prints w where a is meant.
        """
        return _derivative(t, self.slope).log().sum(-1)

    def pulled_back(
        self, t: Tensor, of_t: Tensor, of_corrected: Tensor, of_log_determinant: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return gradients in a_kᵀu_j, a_kᵀa_j [K, K] and in the target of `forwards` [K].

        Args:
            t: tanh α [K], which `forwards` has found.
            of_t: gradient in t [K].
            of_corrected: gradient in t·correction [K].
            of_log_determinant: gradient in ln |det| [1].
        """
        slope_of_tanh = 1 - t**2
        of_logarithm = of_log_determinant / _derivative(t, self.slope)
        of_alpha = of_t + of_corrected * self.correction + 2 * of_logarithm * t * (1 - self.slope)
        # Of the system α - L·tanh α = target, L strictly lower triangular.
        one = torch.eye(t.shape[-1], dtype=t.dtype, device=t.device)
        jacobian = one - self.a_u_hat.tril(-1) * slope_of_tanh[..., None, :]
        of_target = torch.linalg.solve_triangular(
            jacobian.mT, (of_alpha * slope_of_tanh)[..., None], upper=True
        )[..., 0]
        of_a_u_hat = (of_target[..., None] * t[..., None, :]).tril(-1)
        of_correction = of_corrected * t + (of_a_u_hat * self._a_a).sum(-2)
        # Of correction = (slope - 1 - aᵀu)/‖a‖², slope = log(1 + exp(aᵀu)), within their bounds.
        of_difference = of_correction / self._square.clamp_min(LEAST_SQUARE)
        of_slope = of_difference + of_logarithm * slope_of_tanh
        inside = self._product > LEAST_PRODUCT
        of_product = of_slope * self._product.sigmoid() * inside - of_difference
        of_square = -of_difference * self.correction * (self._square > LEAST_SQUARE)
        of_a_a = of_a_u_hat * self.correction[..., None, :]
        return of_a_u_hat + of_product.diag_embed(), of_a_a + of_square.diag_embed(), of_target


@signed
class _Forward(torch.autograd.Function):
    """z_0 to z_K and ln |det|, with a gradient that reads the [K, n] tensors a few times.

    Plain operations read and write them dozens of times, which is what a step would mostly consist
    of. The outputs after the second are what the gradient needs again.
    """

    @staticmethod
    def forward(z: Tensor, u: Tensor, a: Tensor, b: Tensor) -> tuple[Tensor, ...]:
        a_u, a_a = (a @ u.mT).double(), (a @ a.mT).double()
        couplings = Couplings(a_u, a_a)
        t = couplings.forwards(_products(a, z).double() + b).tanh()
        image = z + _combined(t, u) + _combined(t * couplings.correction, a)
        return image, couplings.log_determinant(t), a_u, a_a, t

    @staticmethod
    def setup_context(ctx, inputs: tuple[Tensor, ...], output: tuple[Tensor, ...]) -> None:
        ctx.mark_non_differentiable(*output[2:])
        ctx.save_for_backward(*inputs[:3], *output[2:])

    @staticmethod
    @once_differentiable
    def backward(ctx, of_image: Tensor, of_log_determinant: Tensor, *_: Tensor) -> tuple:
        z, u, a, a_u, a_a, t = ctx.saved_tensors
        couplings = Couplings(a_u, a_a)
        of_t, of_corrected = (_products(rows, of_image).double() for rows in (u, a))
        of_a_u, of_a_a, of_target = couplings.pulled_back(
            t, of_t, of_corrected, of_log_determinant[..., None]
        )
        of_u = of_a_u.mT.to(a) @ a
        _add_product(of_u, t.to(a)[..., None], of_image[..., None, :])
        of_a = of_a_u.to(a) @ u
        _add_product(of_a, (of_a_a + of_a_a.mT).to(a), a)
        coefficients = torch.stack([of_target, t * couplings.correction], -1).to(a)
        _add_product(of_a, coefficients, torch.stack([z, of_image], -2))
        return of_image + _combined(of_target, a), of_u, of_a, of_target

    @staticmethod
    def vmap(info, in_dims: tuple, *inputs: Tensor) -> tuple[tuple[Tensor, ...], tuple[int, ...]]:
        outputs = _Forward.apply(*leading(info.batch_size, in_dims, inputs))
        return outputs, (0,) * len(outputs)


def _products(rows: Tensor, vector: Tensor) -> Tensor:
    """Return the products [K] of rows [K, n] with a vector [n]."""
    return (rows @ vector[..., None])[..., 0]


def _combined(weights: Tensor, rows: Tensor) -> Tensor:
    """Return Σ weights_k·rows_k [n], in the precision of the rows."""
    return (weights.to(rows)[..., None, :] @ rows)[..., 0, :]


def _add_product(total: Tensor, left: Tensor, right: Tensor) -> None:
    """Add left @ right to a matrix, or to each of a batch of them, where it lies."""
    (total.addmm_ if total.dim() == 2 else total.baddbmm_)(left, right)


def identity_u(a: Tensor) -> Tensor:
    """Return the u [K, n] that makes every map with a [K, n] the identity.

    u = 0 would not: m(0) = -1 + log 2, so that û(0, a) points against a.
    """
    return IDENTITY * a / a.square().sum(-1, keepdim=True)


def cosine_rows(steps: int, like: Tensor) -> Tensor:
    """Return fixed rows [K, n] of unit length for vectors `like` [n], orthogonal for K ≤ n.

    They are those of the DCT-IV, sqrt(2/n)·cos(π(k + ½)(i + ½)/n), of which none vanishes.
    """
    n = like.numel()
    place = torch.arange(n, dtype=torch.float64, device=like.device) + 0.5
    order = torch.arange(steps, dtype=torch.float64, device=like.device) + 0.5
    return (math.sqrt(2 / n) * torch.cos(math.pi / n * torch.outer(order, place))).to(like.dtype)


def _derivative(t: Tensor, slope: Tensor) -> Tensor:
    """Return d/dα (α + (slope - 1)·tanh α) at t = tanh α: positive, and without cancellation."""
    return t**2 + slope * (1 - t**2)


def _solution(couplings: Tensor, slope: Tensor, target: Tensor, upper: bool) -> Tensor:
    """Return α [..., K]: α + (slope - 1)∘tanh α + couplings·tanh α = target, differentiably.

    The solution is found without gradients. One Newton step of the whole system then leaves
    its value as it is, and has the derivatives of the implicit function: dα = -J⁻¹·dF.

    Args:
        couplings: strictly triangular, [..., K, K].
        slope: positive, [..., K].
        target: [..., K].
        upper: whether `couplings` is upper and not lower triangular.
    """
    alpha = _Root.apply(couplings.detach(), slope.detach(), target.detach(), upper)
    t = alpha.tanh()
    residual = (alpha - t) + slope * t + _products(couplings, t) - target
    diagonal = _derivative(t, slope.detach()).diag_embed()
    jacobian = couplings.detach() * (1 - t**2)[..., None, :] + diagonal
    step = torch.linalg.solve_triangular(jacobian, residual[..., None], upper=upper)
    return alpha - step[..., 0]


class _Root(torch.autograd.Function):
    """Solves `_solution`'s equations on the CPU, number by number.

    Python's floats are several times faster here than the thousand operations on tensors of one
    element that it would take, and on a GPU cost one transfer in place of as many launches.
    """

    @staticmethod
    def forward(couplings: Tensor, slope: Tensor, target: Tensor, upper: bool) -> Tensor:
        """Solve systems with any leading axes: [..., K, K], [..., K], [..., K]."""
        size = target.shape[-1]
        systems = zip(
            couplings.reshape(-1, size, size).tolist(),
            slope.reshape(-1, size).tolist(),
            target.reshape(-1, size).tolist(),
            strict=True,
        )
        roots = [_substituted(*system, upper) for system in systems]
        return target.new_tensor(roots).view(target.shape)

    @staticmethod
    def setup_context(ctx, inputs: tuple, output: Tensor) -> None:
        """Note that derivatives do not pass here."""
        ctx.mark_non_differentiable(output)

    @staticmethod
    def vmap(info, in_dims: tuple, *systems: Tensor | bool) -> tuple[Tensor, int]:
        """Solve a batch of systems."""
        batch = [
            value.expand(info.batch_size, *value.shape) if dim is None else value.movedim(dim, 0)
            for value, dim in zip(systems[:3], in_dims[:3], strict=True)
        ]
        return _Root.apply(*batch, systems[3]), 0


def _substituted(
    couplings: list[list[float]], slope: list[float], target: list[float], upper: bool
) -> list[float]:
    """Return the solution of one triangular system by substitution."""
    size = len(target)
    alpha, t = [0.0] * size, [0.0] * size
    for k in reversed(range(size)) if upper else range(size):
        known = range(k + 1, size) if upper else range(k)
        rest = target[k] - sum(couplings[k][j] * t[j] for j in known)
        alpha[k] = scalar_root(rest, slope[k])
        t[k] = math.tanh(alpha[k])
    return alpha


def scalar_root(target: float, slope: float) -> float:
    """Return x with g(x) = x + (slope - 1)·tanh x = target, for slope > 0.

    g is odd and increasing. For x > 0 it is concave where slope > 1 and convex where slope < 1,
    so that Newton's steps approach the root from below, or from above, without overshooting,
    if they start on that side. Lower bounds of the root for c > 0 are c/slope, c - (slope - 1);
    upper bounds c/slope, c + (1 - slope) and, by x - tanh x ≥ x³/(3 + 1.2x²), the larger of
    (4.2c)^⅓ and 4.2c. nan and inf give nan.
    """
    c = abs(target)
    if slope >= 1.0:
        x = max(c / slope, c - (slope - 1.0))
    else:
        x = min(c / slope, c + (1.0 - slope), max((4.2 * c) ** (1 / 3), 4.2 * c))
    for _ in range(ITERATIONS):
        t = math.tanh(x)
        step = ((x - t) + slope * t - c) / (t * t + slope * (1.0 - t * t))
        x -= step
        if abs(step) <= 1e-13 * x:
            break
    return math.copysign(x, target)
