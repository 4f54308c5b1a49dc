"""Every registered family, on every layer geometry, against brute force in float64."""

import pytest
import torch
from cases import (
    BAYESIAN,
    ESTIMATORS,
    HELD,
    LAYERS,
    SAMPLED_KL,
    TRAINED,
    TRAINED_BAYESIAN,
    gaussian,
    gaussian_family,
    layer_and_input,
    noise,
    random_member,
)
from torch import nn

from incbayes.kinds import FAMILIES
from incbayes.networks.layers import Layer

DRAWS = 20_000


def flat(weights):
    return torch.cat([value.flatten() for value in weights.values()])


@pytest.mark.parametrize("name", TRAINED)
@pytest.mark.parametrize("geometry", LAYERS)
def test_a_gaussian_keeps_its_mean_and_width_in_every_family(name, geometry):
    family, (layer, _) = gaussian_family(name), layer_and_input(geometry)
    mean, sigma = gaussian(layer, seed=3)
    state = family.from_gaussian(layer, mean, sigma)
    for key, value in family.mean(layer, state).items():
        torch.testing.assert_close(value, mean[key])
    if name in BAYESIAN:
        torch.testing.assert_close(family.sigma(layer, state), sigma["weight"])


@pytest.mark.parametrize("name", TRAINED)
@pytest.mark.parametrize("geometry", LAYERS)
def test_kl_of_equal_states_is_zero(name, geometry):
    family, (layer, _) = FAMILIES[name](), layer_and_input(geometry)
    state = random_member(family, layer, seed=5)
    kl = family.kl(layer, state, state, noise())
    assert abs(kl.item()) < 1e-9


@pytest.mark.parametrize("name", TRAINED_BAYESIAN)
@pytest.mark.parametrize("geometry", LAYERS)
def test_kl_between_gaussians_agrees_with_torch_distributions(name, geometry):
    family, (layer, _) = gaussian_family(name), layer_and_input(geometry)
    q, p = gaussian(layer, seed=3), gaussian(layer, seed=4)
    expected = sum(
        torch.distributions.kl_divergence(
            torch.distributions.Normal(q[0][key], q[1][key]),
            torch.distributions.Normal(p[0][key], p[1][key]),
        ).sum()
        for key in layer.shapes
    )
    states = [family.from_gaussian(layer, *parameters) for parameters in (q, p)]
    if name not in SAMPLED_KL:
        torch.testing.assert_close(family.kl(layer, *states, noise()), expected)
        return
    source = noise()
    draws = torch.stack([family.kl(layer, *states, source) for _ in range(DRAWS // 40)])
    assert abs(draws.mean() - expected) < 4 * draws.std() / len(draws) ** 0.5


@pytest.mark.parametrize(("estimator", "geometry"), HELD)
def test_stochastic_output_has_the_moments_of_sampled_weights(estimator, geometry):
    name, options = ESTIMATORS[estimator]
    family = FAMILIES[name](**options)
    layer, x = layer_and_input(geometry)
    q, source = random_member(family, layer, seed=7), noise(8)
    ours = torch.stack([family.forward(layer, q, x, source) for _ in range(DRAWS // 10)])
    weights = [family.sample(layer, q, source) for _ in range(DRAWS // 10)]
    brute = torch.stack([layer.apply(x, w["weight"], w.get("bias")) for w in weights])
    error = (ours.var(0) / len(ours) + brute.var(0) / len(brute)).sqrt() + 1e-9
    assert ((ours.mean(0) - brute.mean(0)).abs() / error).max() < 5
    # The standard error of a Gaussian's sample variance is sqrt(2/n) of it, for each of two.
    ratio = (ours.var(0) + 1e-12) / (brute.var(0) + 1e-12)
    assert (ratio - 1).abs().max() < 6 * (4 / len(ours)) ** 0.5


@pytest.mark.parametrize("name", TRAINED)
@pytest.mark.parametrize("geometry", LAYERS)
def test_every_parameter_has_a_gradient(name, geometry):
    family, (layer, x) = FAMILIES[name](), layer_and_input(geometry)
    x = x + 0.1 if x.is_floating_point() else x
    q = {k: v.requires_grad_() for k, v in random_member(family, layer, seed=9).items()}
    p = family.from_gaussian(layer, *gaussian(layer, seed=10))
    outputs = family.forward(layer, q, x, noise())
    loss = (outputs * torch.randn(outputs.shape, dtype=outputs.dtype)).sum()
    (loss + family.kl(layer, q, p, noise())).backward()
    for key, value in q.items():
        assert value.grad is not None, key
        assert torch.isfinite(value.grad).all(), key
        assert (value.grad != 0).any(), key


@pytest.mark.parametrize("name", TRAINED_BAYESIAN)
@pytest.mark.parametrize("sigma", [1e-8, 1e-4, 1.0, 10.0])
def test_extreme_widths_stay_finite(name, sigma):
    family = FAMILIES[name]()
    layer = Layer.of("layer", nn.Conv2d(2, 3, 3, padding=1))
    x = torch.zeros(2, 2, 6, 6)
    x[:, :, 2:4, 2:4] = 1.0
    mean = {key: torch.zeros(shape) for key, shape in layer.shapes.items()}
    width = {key: torch.full(shape, sigma) for key, shape in layer.shapes.items()}
    one = {key: torch.ones(shape) for key, shape in layer.shapes.items()}
    q = family.from_gaussian(layer, mean, width)
    q = {key: value.requires_grad_() for key, value in q.items()}
    p = family.from_gaussian(layer, mean, one)
    value = family.forward(layer, q, x, noise()).square().sum() + family.kl(layer, q, p, noise())
    value.backward()
    assert torch.isfinite(value)
    assert all(torch.isfinite(v.grad).all() for v in q.values() if v.grad is not None)


@pytest.mark.parametrize("name", TRAINED)
def test_no_nan_where_a_patch_of_zeros_meets_a_layer_without_bias(name):
    family = FAMILIES[name]()
    layer = Layer.of("layer", nn.Conv2d(1, 2, 3, bias=False))
    q = family.from_gaussian(layer, *gaussian(layer, seed=1))
    q = {key: value.requires_grad_() for key, value in q.items()}
    family.forward(layer, q, torch.zeros(1, 1, 5, 5, dtype=torch.float64), noise()).sum().backward()
    assert all(torch.isfinite(v.grad).all() for v in q.values() if v.grad is not None)


def test_l2_of_a_point_is_a_gaussian_pull():
    family = FAMILIES["point"](l2=3.0)
    layer, _ = layer_and_input("linear")
    q, _ = gaussian(layer, seed=1)
    p, _ = gaussian(layer, seed=2)
    expected = 1.5 * (flat(q) - flat(p)).square().sum()
    torch.testing.assert_close(family.kl(layer, q, p, noise()), expected)
