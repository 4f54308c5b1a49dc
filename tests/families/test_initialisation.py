"""Where a Gaussian starts: ranges and moments of each initialisation, and which draw."""

import math

import pytest
import torch
from cases import gaussian, noise
from torch import nn

from incbayes.families.initialisation import alpha, initial_gaussian
from incbayes.kinds import FAMILIES
from incbayes.networks.layers import Layer

LINEAR = Layer.of("layer", nn.Linear(400, 300))
CONV = Layer.of("layer", nn.Conv2d(8, 500, 5))
DRAWN = ["wohlert2017", "as_published"]
WITH_INITIALISATION = ["ffg", "planar"]


def start(name, layer, seed=0, initial_sigma=0.1):
    weights, sigma = gaussian(layer, seed=1)
    prior = {f"{key}_log_sigma": sigma[key].log() for key in sigma}
    return initial_gaussian(name, layer, prior, weights, initial_sigma, noise(seed))


def assert_uniform(values, low, high):
    """Assert range, mean and variance of U(low, high), each within five standard errors."""
    count, width = values.numel(), high - low
    assert values.min() >= low and values.max() <= high
    assert values.min() < low + 20 * width / count and values.max() > high - 20 * width / count
    assert abs(values.mean() - (low + high) / 2) < 5 * width / math.sqrt(12 * count)
    # The fourth central moment of U(0, 1) is 1/80, so that of a variance 1/80 - 1/144 = 1/180.
    assert abs(values.var() / width**2 - 1 / 12) < 5 / math.sqrt(180 * count)


def test_prior_scaled_is_centred_on_the_weights_and_scales_the_prior():
    mean, sigma = start("prior_scaled", LINEAR, initial_sigma=0.25)
    weights, width = gaussian(LINEAR, seed=1)
    for key in LINEAR.shapes:
        assert torch.equal(mean[key], weights[key])
        torch.testing.assert_close(sigma[key], 0.25 * width[key])


@pytest.mark.parametrize("layer, fan_in", [(LINEAR, 400), (CONV, 200)], ids=["linear", "conv"])
@pytest.mark.parametrize("name", DRAWN)
def test_drawn_widths_are_those_of_eq_14b(name, layer, fan_in):
    a = 10 / math.sqrt(fan_in)
    assert alpha(layer) == pytest.approx(a)
    _, sigma = start(name, layer)
    for key in layer.shapes:
        assert_uniform(2 * sigma[key].log(), -a - 8, a - 8)


@pytest.mark.parametrize("layer, fan_in", [(LINEAR, 400), (CONV, 200)], ids=["linear", "conv"])
def test_drawn_means_are_those_of_eq_14a_or_of_the_published_code(layer, fan_in):
    a = 10 / math.sqrt(fan_in)
    paper, published = start("wohlert2017", layer)[0], start("as_published", layer)[0]
    for key in layer.shapes:
        assert_uniform(paper[key], 0, 1)
        assert_uniform(published[key], -a, a)


@pytest.mark.parametrize("name", DRAWN)
def test_a_drawn_start_hangs_on_the_noise_and_not_on_the_weights(name):
    layer = Layer.of("layer", nn.Linear(4, 3))
    weights, sigma = gaussian(layer, seed=1)
    prior = {f"{key}_log_sigma": value.log() for key, value in sigma.items()}
    others = {key: value + 1 for key, value in weights.items()}
    one = initial_gaussian(name, layer, prior, weights, 0.1, noise(5))
    same = initial_gaussian(name, layer, prior, others, 0.7, noise(5))
    other = initial_gaussian(name, layer, prior, weights, 0.1, noise(6))
    for key in layer.shapes:
        for part in (0, 1):
            assert torch.equal(one[part][key], same[part][key])
            assert not torch.equal(one[part][key], other[part][key])


@pytest.mark.parametrize("name", DRAWN)
def test_means_and_widths_are_independent(name):
    mean, sigma = start(name, LINEAR)
    together = torch.stack([mean["weight"].flatten(), sigma["weight"].log().flatten()])
    assert abs(torch.corrcoef(together)[0, 1]) < 5 / math.sqrt(together.shape[1])


@pytest.mark.parametrize("family", WITH_INITIALISATION)
@pytest.mark.parametrize("name", ["prior_scaled", *DRAWN])
def test_families_start_where_the_initialisation_says(family, name):
    layer = Layer.of("layer", nn.Linear(4, 3))
    built = FAMILIES[family](initialisation=name, initial_sigma=0.3)
    prior = built.from_gaussian(layer, *gaussian(layer, 1))
    weights, _ = gaussian(layer, 2)
    q = built.start(layer, prior, weights, noise(5))
    mean, sigma = initial_gaussian(name, layer, prior, weights, 0.3, noise(5))
    for key in layer.shapes:
        torch.testing.assert_close(q[f"{key}_mean"], mean[key])
        torch.testing.assert_close(q[f"{key}_log_sigma"].exp(), sigma[key])


def test_float32_draws_stay_in_their_range():
    layer = Layer.of("layer", nn.Linear(300, 300))
    weights = {key: torch.zeros(shape) for key, shape in layer.shapes.items()}
    prior = {f"{key}_log_sigma": value for key, value in weights.items()}
    mean, sigma = initial_gaussian("wohlert2017", layer, prior, weights, 0.1, noise())
    assert mean["weight"].dtype == sigma["weight"].dtype == torch.float32
    assert mean["weight"].min() >= 0 and mean["weight"].max() <= 1
