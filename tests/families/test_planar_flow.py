"""Planar maps of a vector: the paper's formulas, their inverse and their derivatives."""

import math

import pytest
import torch
from planar_maps import maps, vector

from incbayes.families.flows.planar import PlanarFlow, cosine_rows, identity_u, scalar_root


def literal(u, a, b, z):
    """Return z_K, ln |det| and tanh α by the paper's formulas, one map after the other."""
    log_determinant = 0.0
    for u_k, a_k, b_k in zip(u, a, b, strict=True):
        m = -1 + torch.log1p(torch.exp(a_k @ u_k))
        u_hat = u_k + (m - a_k @ u_k) * a_k / (a_k @ a_k)
        t = torch.tanh(a_k @ z + b_k)
        log_determinant += torch.log(torch.abs(1 + u_hat @ a_k * (1 - t**2)))
        z = z + u_hat * t
    return z, log_determinant


@pytest.mark.parametrize("n", [1, 3, 30])
def test_maps_are_those_of_the_paper(n):
    u, a, b = maps(n)
    ours, expected = PlanarFlow(u, a, b).forward(vector(n)), literal(u, a, b, vector(n))
    torch.testing.assert_close(ours, expected)


@pytest.mark.parametrize("n", [1, 3, 30])
def test_log_determinant_is_that_of_the_jacobian(n):
    flow, z = PlanarFlow(*maps(n)), vector(n)
    jacobian = torch.autograd.functional.jacobian(lambda z: flow.forward(z)[0], z)
    sign, expected = torch.linalg.slogdet(jacobian)
    assert sign == 1
    torch.testing.assert_close(flow.forward(z)[1], expected)


@pytest.mark.parametrize("n, scale", [(1, 1.0), (3, 1.0), (30, 1.0), (30, 2.0)])
def test_inverse_undoes_forward(n, scale):
    flow, z = PlanarFlow(*maps(n, steps=16, scale=scale)), vector(n)
    image, log_determinant = flow.forward(z)
    back, same = flow.inverse(image)
    torch.testing.assert_close(back, z, rtol=0, atol=1e-10)
    torch.testing.assert_close(same, log_determinant, rtol=0, atol=1e-9)


@pytest.mark.parametrize("slope", [1e-200, 1e-9, 1e-3, 0.5, 1.0, 3.0, 1e4])
def test_scalar_root_solves_its_equation(slope):
    for target in (0.0, 1e-12, 1e-3, 0.7, -2.0, 30.0, 1e3, -1e8):
        x = scalar_root(target, slope)
        value = (x - math.tanh(x)) + slope * math.tanh(x)
        # For small x, x - tanh x has lost digits: it is x³/3, of numbers that are rounded to x.
        assert abs(value - target) <= 1e-12 * abs(target) + 1e-15 * abs(x)
    assert all(math.isnan(scalar_root(math.nan, slope)) for slope in (0.5, 2.0))


def test_a_u_hat_stays_above_minus_one_for_extreme_parameters():
    a = torch.ones(6, 4, dtype=torch.float64)
    products = torch.tensor([-1e30, -500.0, -30.0, 0.0, 500.0, 1e30], dtype=torch.float64)
    u = products[:, None] * a / 4
    flow = PlanarFlow(u, a, torch.zeros(6, dtype=torch.float64))
    assert (flow.couplings.slope > 0).all()
    expected = torch.log1p(torch.exp(products[1:5].clamp_max(40))).maximum(products[1:5])
    torch.testing.assert_close(flow.couplings.slope[1:5], expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("scale", [1e-12, 1e-3, 1.0, 1e3])
def test_extreme_maps_stay_finite_with_their_gradients(dtype, scale):
    u, a, b = (p.to(dtype).requires_grad_() for p in maps(8, scale=scale))
    z = vector(8).to(dtype).requires_grad_()
    flow = PlanarFlow(u, a, b)
    for image, log_determinant in (flow.forward(z), flow.inverse(z), flow.forward(0 * z)):
        total = image.sum() + log_determinant
        for value in (total, *torch.autograd.grad(total, (u, a, b, z), retain_graph=True)):
            assert torch.isfinite(value).all()


@pytest.mark.parametrize("direction", ["forward", "inverse"])
def test_gradients_are_those_of_finite_differences(direction):
    def run(u, a, b, z):
        return getattr(PlanarFlow(u, a, b), direction)(z)

    inputs = [p.requires_grad_() for p in (*maps(4, steps=3), vector(4))]
    assert torch.autograd.gradcheck(run, inputs)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("rows", ["cosine", "drawn"])
def test_identity_u_makes_every_map_the_identity(dtype, rows):
    z = vector(50).to(dtype)
    a = cosine_rows(16, z) if rows == "cosine" else maps(50, 16)[1].to(dtype)
    flow = PlanarFlow(identity_u(a), a, torch.ones(16, dtype=dtype))
    image, log_determinant = flow.forward(z)
    tight = {"rtol": 0, "atol": 100 * torch.finfo(dtype).eps}
    torch.testing.assert_close(image, z, **tight)
    torch.testing.assert_close(log_determinant, torch.zeros_like(log_determinant), **tight)


@pytest.mark.parametrize("n", [1, 7, 40])
def test_cosine_rows_have_unit_length_and_are_orthogonal(n):
    rows = cosine_rows(16, vector(n))
    torch.testing.assert_close(rows.square().sum(1), torch.ones(16, dtype=torch.float64))
    k = min(16, n)
    torch.testing.assert_close(rows[:k] @ rows[:k].T, torch.eye(k, dtype=torch.float64))
