"""The mixture of draws and its uncertainties, beside a reference in extended precision."""

import math

import numpy as np
import pytest
import torch

from incbayes.prediction.mixture import Mixture


def reference(logits):
    """Return ln of the mean of softmaxes, its entropy, the mean entropy and their difference."""
    logits = np.asarray(logits, dtype=np.longdouble)
    top = logits.max(-1, keepdims=True)
    log_p = logits - top - np.log(np.exp(logits - top).sum(-1, keepdims=True))
    top = log_p.max(0)
    mean = top + np.log(np.exp(log_p - top).mean(0))

    def entropy(values):
        return -(np.exp(values) * values).sum(-1)

    data = entropy(log_p).mean(0)
    return mean, entropy(mean), data, entropy(mean) - data


def mixed(logits):
    mixture = Mixture()
    for draw in logits:
        mixture.add(draw.double().log_softmax(-1))
    return mixture.result()


@pytest.mark.parametrize("draws", [1, 2, 100])
@pytest.mark.parametrize("gap", [0.01, 1.0, 30.0, 700.0, 1e4])
def test_every_number_is_exact_at_any_gap_between_logits(gap, draws):
    generator = torch.Generator().manual_seed(draws)
    logits = gap * torch.randn(draws, 9, 6, generator=generator, dtype=torch.float64)
    found = mixed(logits)
    exact = reference(logits.numpy())
    names = ("log_probabilities", "entropy", "data", "mutual_information")
    for name, expected in zip(names, exact, strict=True):
        value = getattr(found, name)
        assert value.dtype == torch.float64
        np.testing.assert_allclose(value.numpy(), expected.astype(float), rtol=1e-12, atol=2e-14)


def test_draws_that_agree_share_no_information_and_draws_that_differ_share_all():
    same = mixed(torch.tensor([[[2.0, 0.0, -1.0]]]).expand(7, 1, 3))
    assert 0 <= same.mutual_information.item() < 1e-15
    sure = mixed(torch.tensor([[[1e3, 0.0]], [[0.0, 1e3]]]))
    assert sure.mutual_information.item() == pytest.approx(math.log(2), rel=1e-14)
    assert sure.data.item() == 0
    unsure = mixed(torch.zeros(4, 1, 8))
    assert unsure.entropy.item() == pytest.approx(math.log(8), rel=1e-14)
    assert unsure.data.item() == pytest.approx(math.log(8), rel=1e-14)


def test_information_is_never_below_zero_nor_a_probability_above_one():
    generator = torch.Generator().manual_seed(0)
    for draws in range(1, 30):
        base = 20 * torch.randn(1, 50, 4, generator=generator, dtype=torch.float64)
        found = mixed(base + 1e-9 * torch.randn(draws, 50, 4, generator=generator))
        assert found.mutual_information.min() >= 0
        assert found.log_probabilities.max() <= 0


def test_a_mixture_of_nothing_says_so():
    with pytest.raises(RuntimeError, match="no draws"):
        Mixture().result()
