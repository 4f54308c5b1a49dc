"""Estimators of the expected likelihood: which layers draw weights, and what flipout changes."""

import pytest
import torch
from cases import LAYERS, gaussian, layer_and_input, noise

from incbayes.kinds import FAMILIES

MIXED = ["ffg", "mnf"]
DRAWS = 4000


def started(family, layer):
    """Return a state of the family around a random Gaussian of the layer."""
    return family.from_gaussian(layer, *gaussian(layer, 2))


@pytest.mark.parametrize("name", MIXED)
@pytest.mark.parametrize("geometry", LAYERS)
def test_mixed_draws_weights_in_convolutions_and_pre_activations_elsewhere(geometry, name):
    layer, x = layer_and_input(geometry)
    as_in = "weight" if layer.is_convolution else "local"
    mixed, other = (FAMILIES[name](estimator=which) for which in ("mixed", as_in))
    state = started(mixed, layer)
    expected = other.forward(layer, state, x, noise())
    assert torch.equal(mixed.forward(layer, state, x, noise()), expected)


@pytest.mark.parametrize(("estimator", "correlated"), [("weight", True), ("flipout", False)])
@pytest.mark.parametrize("geometry", ["linear", "conv stride padding", "linear over positions"])
def test_flipout_decorrelates_images_and_no_more(geometry, estimator, correlated):
    layer, x = layer_and_input(geometry)
    x = x[:1].expand(2, *x.shape[1:]).contiguous()  # the same image twice
    family = FAMILIES["ffg"](estimator=estimator)
    state, source = started(family, layer), noise()
    drawn = torch.stack([family.forward(layer, state, x, source) for _ in range(DRAWS)])
    first, second = (drawn - drawn.mean(0)).unbind(1)
    variance = first.square().mean(0)
    correlation = (first * second).mean(0) / variance
    if correlated:
        torch.testing.assert_close(correlation, torch.ones_like(correlation))
    else:
        assert correlation.abs().max() < 6 / DRAWS**0.5
    # Of one image alone nothing differs: μ and A(x²; σ²), as `local` draws it.
    expected = layer.variance(
        x[0:1], (2 * state["weight_log_sigma"]).exp(), (2 * state["bias_log_sigma"]).exp()
    )[0]
    torch.testing.assert_close(variance, expected, rtol=0.2, atol=0.0)
