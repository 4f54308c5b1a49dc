"""Variational inference on Bayesian linear regression, where the chain is exact."""

import pytest
import torch
from linear_regression import (
    PARTS,
    VARIANCE,
    WIDTH,
    GaussianNoise,
    closed_form,
    fit,
    joined,
    parts_of_orthogonal_design,
)

from incbayes.data.part import Part
from incbayes.families.ffg import FullyFactorisedGaussian
from incbayes.inference.objective import Objective
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


def twice(parts):
    return [Part(part.images.repeat(2, 1), part.labels.repeat(2, 1)) for part in parts]


@pytest.mark.parametrize("number", [1, PARTS])
def test_the_chain_reaches_the_exact_posterior(number):
    parts = list(parts_of_orthogonal_design())
    mean, sigma = closed_form(joined(parts))
    fitted_to = parts if number > 1 else [joined(parts)]
    fitted = fit(twice(fitted_to), begin, likelihood=GaussianNoise(copies=2))
    torch.testing.assert_close(fitted[0], mean, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(fitted[1], sigma, rtol=1e-4, atol=0)


def stiff_chain(parts, temper, stiffness, first=WIDTH**-2):
    """Return means and σ of the parts' minima of NLL + temper·KL with the means weighed apart."""
    mean, precision = torch.zeros(1, 3, dtype=torch.float64), torch.full((1, 3), first).double()
    for part in parts:
        curvature = part.images.square().sum(0, keepdim=True) / VARIANCE
        pull = stiffness * temper * precision
        pulled = part.labels.T @ part.images / VARIANCE + pull * mean
        mean, precision = pulled / (curvature + pull), precision + curvature / temper
    return mean, precision.rsqrt()


@pytest.mark.parametrize(("temper", "stiffness"), [(1.0, 4.0), (0.1, 4.0), (1.0, 0.0)])
def test_the_means_are_as_stiff_as_they_are_asked_to_be(temper, stiffness):
    parts = list(parts_of_orthogonal_design(3))
    mean, sigma = stiff_chain(parts, temper, stiffness)
    family = FullyFactorisedGaussian(mean_scale=stiffness)
    likelihood, objective = GaussianNoise(copies=2), Objective(kl_scale=temper)
    fitted = fit(twice(parts), begin, None, objective, likelihood, family)
    torch.testing.assert_close(fitted[0], mean, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(fitted[1], sigma, rtol=1e-3, atol=0)


def test_without_temper_the_chain_with_stiff_means_is_online_ewc():
    """Loo et al. (2021): the widths shrink to 0, and the penalty is λ times the curvature's."""
    parts = list(parts_of_orthogonal_design())
    mean, ewc = stiff_chain(parts, 1e-9, 4.0)[0], torch.zeros(1, 3, dtype=torch.float64)
    curvatures = [part.images.square().sum(0, keepdim=True) / VARIANCE for part in parts]
    for t, part in enumerate(parts):
        pull = 4.0 * sum(curvatures[:t], torch.zeros_like(ewc))
        ewc = (part.labels.T @ part.images / VARIANCE + pull * ewc) / (curvatures[t] + pull)
    torch.testing.assert_close(mean, ewc, rtol=1e-7, atol=1e-8)
