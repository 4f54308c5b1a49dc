"""The diagonal Gaussian: draws, densities and hand-written gradients, against torch's own."""

import pytest
import torch
from torch.distributions import Normal
from torch.func import grad, vmap

from incbayes.families.gaussian import diagonal_kl, draw, draw_with_log_density, log_density
from incbayes.networks.noise import Drawn, GeneratorNoise

SHAPE = (3, 2, 4)
NAMES = ("mean", "log_sigma", "value", "draws")


def made(*shape, seed=0):
    """Return mean, log σ, a value and standard draws of a shape, float64."""
    generator = torch.Generator().manual_seed(seed)
    tensors = torch.randn(len(NAMES), *shape, generator=generator, dtype=torch.float64)
    return dict(zip(NAMES, tensors, strict=True))


def state(mean, log_sigma):
    return {"w_mean": mean, "w_log_sigma": log_sigma}


def density_of(value, mean, log_sigma):
    return log_density(state(mean, log_sigma), "w", value)


def drawn_with_density(mean, log_sigma, draws):
    return draw_with_log_density(state(mean, log_sigma), "w", Drawn([draws]))


def kl_of(mean, log_sigma, prior_mean, prior_log_sigma):
    return diagonal_kl(state(mean, log_sigma), state(prior_mean, prior_log_sigma), "w")


def test_the_density_is_that_of_torch():
    of = made(*SHAPE)
    expected = Normal(of["mean"], of["log_sigma"].exp()).log_prob(of["value"]).sum()
    torch.testing.assert_close(density_of(of["value"], of["mean"], of["log_sigma"]), expected)


def test_a_draw_with_its_density_is_the_draw_and_the_density_there():
    of = made(*SHAPE)
    q = state(of["mean"], of["log_sigma"])
    noise = [GeneratorNoise(torch.Generator().manual_seed(1)) for _ in range(2)]
    value, density = draw_with_log_density(q, "w", noise[0])
    assert torch.equal(value, draw(q, "w", noise[1]))
    torch.testing.assert_close(density, log_density(q, "w", value))


@pytest.mark.parametrize("inputs", [("value",), ("mean",), ("log_sigma",), NAMES[:3]])
def test_gradients_of_the_density(inputs):
    of = made(*SHAPE)
    for name in inputs:
        of[name].requires_grad_()
    assert torch.autograd.gradcheck(density_of, (of["value"], of["mean"], of["log_sigma"]))


@pytest.mark.parametrize("output", [0, 1, None])
def test_gradients_of_a_draw_and_of_its_density(output):
    of = made(*SHAPE)
    inputs = [of[name].requires_grad_() for name in ("mean", "log_sigma")]

    def chosen(*inputs):
        found = drawn_with_density(*inputs, of["draws"])
        return found if output is None else found[output]

    assert torch.autograd.gradcheck(chosen, inputs)


@pytest.mark.parametrize("function", [density_of, kl_of, drawn_with_density])
@pytest.mark.parametrize("shared", [(), (0,), (1, 2)])
def test_mapping_over_replicates_gives_what_each_gives_alone(function, shared):
    stacked = list(made(5, *SHAPE).values())[: 4 if function is kl_of else 3]
    in_dims = [None if place in shared else 0 for place in range(len(stacked))]
    inputs = [t[0] if dim is None else t for t, dim in zip(stacked, in_dims, strict=True)]
    differentiable = range(3) if function is density_of else range(2)

    def total(*inputs):
        found = function(*inputs)
        return found if isinstance(found, torch.Tensor) else found[0].sin().sum() + found[1]

    def both(*inputs):
        return total(*inputs), grad(total, tuple(differentiable))(*inputs)

    found, gradients = vmap(both, tuple(in_dims))(*inputs)
    for row in range(5):
        own = [t if dim is None else t[row] for t, dim in zip(inputs, in_dims, strict=True)]
        expected, own_gradients = both(*own)
        torch.testing.assert_close(found[row], expected)
        for of_all, of_one in zip(gradients, own_gradients, strict=True):
            torch.testing.assert_close(of_all[row], of_one)


@pytest.mark.parametrize("scale", [0.0, 0.3, 1.0, 50.0])
def test_only_the_means_are_weighed_apart(scale):
    q, p = made(*SHAPE, seed=1), made(*SHAPE, seed=2)
    mean = q["mean"].requires_grad_()
    found = diagonal_kl(
        state(mean, q["log_sigma"]), state(p["mean"], p["log_sigma"]), "w", mean_scale=scale
    )
    normals = [Normal(of["mean"].detach(), of["log_sigma"].exp()) for of in (q, p)]
    squares = ((mean - p["mean"]) / p["log_sigma"].exp()).square()
    widths = torch.distributions.kl_divergence(*normals) - 0.5 * squares.detach()
    torch.testing.assert_close(found, (widths + 0.5 * scale * squares).sum())
    (gradient,) = torch.autograd.grad(found, mean)
    torch.testing.assert_close(gradient, scale * (mean - p["mean"]) / p["log_sigma"].exp() ** 2)
