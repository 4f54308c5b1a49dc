"""The Kronecker-factored Gaussian against its dense form in float64."""

import pytest
import torch
from cases import gaussian, layer_and_input, noise
from torch.distributions import MultivariateNormal, kl_divergence

from incbayes.families import kron
from incbayes.families.kron import KroneckerGaussian, WidthError
from incbayes.networks.layers import Layer

FAMILY = KroneckerGaussian()
HELD = [
    "linear",
    "linear without bias",
    "conv",
    "conv without bias",
    "conv dilation",
    "conv 1d replicate",
]
REFUSED = ["conv groups", "transposed", "embedding"]


def semi_definite(size, seed):
    generator = torch.Generator().manual_seed(seed)
    # Of less than full rank: τ alone is left in some directions.
    root = torch.randn(size, max(1, size - 1), generator=generator, dtype=torch.float64)
    return root @ root.T


def member(layer, seed, tau=0.7):
    """Return a state with random factors, and its dense mean and precision, W row by row."""
    mean, _ = gaussian(layer, seed)
    one = {key: torch.full_like(value, tau**-0.5) for key, value in mean.items()}
    state = FAMILY.from_gaussian(layer, mean, one)
    outputs, inputs = FAMILY.size(layer)
    a, g = semi_definite(inputs, seed + 1), semi_definite(outputs, seed + 2)
    kron.set_factors(state, a, g, state["log_tau"])
    precision = torch.kron(g, a) + tau * torch.eye(outputs * inputs, dtype=torch.float64)
    return state, FAMILY.flattened(layer, mean).flatten(), precision


def dense(mean, precision):
    return MultivariateNormal(mean, precision_matrix=precision)


@pytest.mark.parametrize("geometry", HELD)
def test_density_divergence_width_and_penalty_are_those_of_the_dense_gaussian(geometry):
    layer, _ = layer_and_input(geometry)
    (q, q_mean, q_precision), (p, p_mean, p_precision) = member(layer, 3), member(layer, 7, 1.9)
    draw = FAMILY.sample(layer, q, noise(1))
    flat = FAMILY.flattened(layer, draw).flatten()
    reference = dense(q_mean, q_precision)
    torch.testing.assert_close(FAMILY.log_density(layer, q, draw), reference.log_prob(flat))
    expected = kl_divergence(reference, dense(p_mean, p_precision))
    torch.testing.assert_close(FAMILY.kl(layer, q, p, noise()), expected)
    assert abs(FAMILY.kl(layer, q, q, noise()).item()) < 1e-9
    variance = torch.linalg.inv(q_precision).diag().view(FAMILY.size(layer))
    widths = FAMILY.unflattened(layer, variance.sqrt())["weight"]
    torch.testing.assert_close(FAMILY.sigma(layer, q), widths)
    difference = q_mean - p_mean
    quadratic = 0.5 * difference @ p_precision @ difference
    torch.testing.assert_close(FAMILY.penalty(layer, q, p), quadratic)


@pytest.mark.parametrize("geometry", ["linear", "conv"])
def test_draws_have_the_covariance_of_the_dense_gaussian(geometry):
    """As W is linear in ε, its covariance is the product of that map with itself: exact."""
    layer, _ = layer_and_input(geometry)
    state, mean, precision = member(layer, 3)

    class OneOf:
        def __init__(self, place):
            self.place = place

        def normal(self, shape, like):
            ones = torch.zeros(shape, dtype=like.dtype)
            ones.view(-1)[self.place] = 1
            return ones

    columns = [
        FAMILY.flattened(layer, FAMILY.sample(layer, state, OneOf(place))).flatten() - mean
        for place in range(len(mean))
    ]
    root = torch.stack(columns, 1)
    torch.testing.assert_close(root @ root.T, torch.linalg.inv(precision))
    drawn = FAMILY.sample(layer, state, noise(4))
    assert {key: value.shape for key, value in drawn.items()} == layer.shapes


@pytest.mark.parametrize("geometry", HELD)
def test_factors_come_back_from_their_eigenvectors(geometry):
    layer, _ = layer_and_input(geometry)
    state, _, precision = member(layer, 5, tau=0.7)
    inputs, outputs = kron.factors(state)
    tau = state["log_tau"].exp() * torch.eye(len(precision), dtype=torch.float64)
    torch.testing.assert_close(torch.kron(outputs, inputs) + tau, precision)


@pytest.mark.parametrize("geometry", HELD)
def test_an_isotropic_gaussian_is_a_member_and_another_is_none(geometry):
    layer, x = layer_and_input(geometry)
    mean, sigma = gaussian(layer, seed=3)
    same = {key: torch.full_like(value, 0.3) for key, value in sigma.items()}
    state = FAMILY.from_gaussian(layer, mean, same)
    torch.testing.assert_close(FAMILY.sigma(layer, state), same["weight"])
    for key, value in FAMILY.mean(layer, state).items():
        torch.testing.assert_close(value, mean[key])
    fresh, _ = gaussian(layer, seed=4)
    begun = FAMILY.start(layer, state, fresh, noise())
    torch.testing.assert_close(FAMILY.mean(layer, begun)["weight"], fresh["weight"])
    torch.testing.assert_close(FAMILY.sigma(layer, begun), same["weight"])
    drawn = FAMILY.sample(layer, state, noise(2))
    expected = layer.apply(x, drawn["weight"], drawn.get("bias"))
    torch.testing.assert_close(FAMILY.forward(layer, state, x, noise(2)), expected)
    with pytest.raises(WidthError, match="^layer layer: a Gaussian with a width for every weight"):
        FAMILY.from_gaussian(layer, mean, sigma)


@pytest.mark.parametrize("geometry", REFUSED)
def test_layers_without_such_factors_are_refused(geometry):
    layer, _ = layer_and_input(geometry)
    assert FAMILY.refusal(layer).startswith("kron knows no ")
    assert isinstance(layer, Layer)
