"""The Gaussian likelihood, against torch's own distributions in float64."""

import math

import pytest
import torch
from torch.distributions import Normal

from incbayes.kinds import LIKELIHOODS
from incbayes.likelihoods.gaussian import WIDEST, Gaussian


def drawn(*shape, seed=3):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("noise", [1e-3, 0.5, 1e3])
def test_the_nll_of_a_given_noise_is_that_of_the_normal_distribution(noise):
    outputs, targets = drawn(7, 1), drawn(7, seed=4)
    expected = -Normal(outputs[:, 0], noise).log_prob(targets).sum()
    torch.testing.assert_close(Gaussian(noise).nll(outputs, targets), expected)


def test_a_learnt_noise_is_the_bounded_second_output():
    outputs, targets = drawn(7, 2) * 3, drawn(7, seed=4)
    sigma = (WIDEST * torch.tanh(outputs[:, 1] / WIDEST)).exp()
    expected = -Normal(outputs[:, 0], sigma).log_prob(targets).sum()
    torch.testing.assert_close(Gaussian().nll(outputs, targets), expected)
    outputs[:, 1] = 1e6
    assert Gaussian().predicted(outputs)[..., 1].log().flatten().tolist() == [WIDEST] * 7


@pytest.mark.parametrize(("noise", "outputs"), [("learnt", 2), (0.1, 1)])
def test_the_network_has_an_output_for_what_is_learnt(noise, outputs):
    likelihood = LIKELIHOODS.build({"kind": "gaussian", "noise": noise})
    assert likelihood.outputs(1) == outputs
    assert likelihood.predicted(drawn(5, outputs)).shape == (5, 1, 2)
    assert LIKELIHOODS.build({"kind": "categorical"}).outputs(3) == 3


def test_a_mixture_is_all_draws_side_by_side():
    likelihood = Gaussian(0.5)
    outputs = [drawn(4, 1, seed=seed) for seed in range(3)]
    found = likelihood.mixture((likelihood.predicted(one) for one in outputs), 3)
    assert found.shape == (4, 3, 2) and found.dtype == torch.float64
    torch.testing.assert_close(found[..., 0], torch.cat(outputs, 1))
    torch.testing.assert_close(found[..., 1], torch.full((4, 3), 0.5, dtype=torch.float64))


def test_low_precision_outputs_are_computed_with_in_float32():
    outputs, targets = drawn(4, 2).bfloat16(), drawn(4, seed=4).float()
    found = Gaussian().nll(outputs, targets)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, Gaussian().nll(outputs.float(), targets))


def test_a_number_has_no_probabilities_of_classes():
    with pytest.raises(TypeError, match="of a number, which has no classes"):
        Gaussian().log_probabilities(drawn(2, 1))
    assert math.isfinite(Gaussian(1.0).nll(drawn(2, 1), drawn(2)).item())
