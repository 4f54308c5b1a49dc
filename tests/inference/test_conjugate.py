"""Variational inference on Bayesian linear regression, where the chain is exact."""

import pytest
import torch
from linear_regression import (
    PARTS,
    GaussianNoise,
    closed_form,
    fit,
    joined,
    parts_of_orthogonal_design,
)

from incbayes.data.part import Part
from incbayes.inference.vi_run import VariationalRun


class Paired:
    """Draws signs for half of the rows and their negatives for the other half.

    Signs have the mean and the variance of a normal draw, all that a quadratic loss sees of
    it; with every image twice in a part, a pair cancels what is linear in the noise.
    """

    def normal(self, shape, like):
        half = torch.ones(shape[0] // 2, *shape[1:], dtype=like.dtype)
        return torch.cat([half, -half])

    def normal_like(self, output):
        return self.normal(output.shape, output)


def begin(problem):
    run = VariationalRun(problem)
    run.noise = Paired()
    in_order = [torch.arange(len(problem.part.labels))]
    run.order = lambda: in_order
    return run


@pytest.mark.parametrize("number", [1, PARTS])
def test_the_chain_reaches_the_exact_posterior(number):
    parts = list(parts_of_orthogonal_design())
    mean, sigma = closed_form(joined(parts))
    fitted_to = parts if number > 1 else [joined(parts)]
    twice = [Part(part.images.repeat(2, 1), part.labels.repeat(2, 1)) for part in fitted_to]
    fitted = fit(twice, begin, likelihood=GaussianNoise(copies=2))
    torch.testing.assert_close(fitted[0], mean, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(fitted[1], sigma, rtol=1e-4, atol=0)
