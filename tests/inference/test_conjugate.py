"""Bayesian linear regression with an orthogonal design, where the chain is exact.

The posterior of every part is then a diagonal Gaussian, so that fitting ten parts in
sequence, one part of everything, and the closed form must agree.
"""

import pytest
import torch
from torch import nn

from incbayes.core.streams import torch_stream
from incbayes.data.part import Part
from incbayes.inference.base import Problem
from incbayes.inference.objective import Objective
from incbayes.inference.training import Training
from incbayes.inference.vi_run import VariationalRun
from incbayes.kinds import FAMILIES
from incbayes.likelihoods.gaussian import Gaussian
from incbayes.networks.layers import layers_of
from incbayes.posterior.network import VariationalNetwork

VARIANCE, WIDTH, PARTS = 0.25, 1.5, 10


class OfPairs(Gaussian):
    """The likelihood of a number with given noise, of rows that stand twice in a part."""

    def nll(self, outputs, targets):
        # See Paired: every row counts half.
        return super().nll(outputs, targets) / 2


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


def parts_of_orthogonal_design():
    generator = torch.Generator().manual_seed(11)
    true = torch.tensor([[0.8, -1.2, 0.3]], dtype=torch.float64)
    scales = torch.tensor([1.0, 0.6, 1.4], dtype=torch.float64)
    for _ in range(PARTS):
        q, _ = torch.linalg.qr(torch.randn(12, 3, generator=generator, dtype=torch.float64))
        x = q * scales * 2
        y = x @ true.T + VARIANCE**0.5 * torch.randn(
            12, 1, generator=generator, dtype=torch.float64
        )
        yield Part(x, y[:, 0])


def fit(parts, epochs):
    family = FAMILIES["ffg"]()
    network = nn.Linear(3, 1, bias=False).double()
    network = nn.Sequential(network)
    (layer,) = layers_of(network)
    zero, width = torch.zeros(1, 3).double(), torch.full((1, 3), WIDTH).double()
    prior = {layer.name: family.from_gaussian(layer, {"weight": zero}, {"weight": width})}
    start = {layer.name: family.from_gaussian(layer, {"weight": zero}, {"weight": width / 10})}
    net = VariationalNetwork(network, family, start)
    training = Training(
        epochs=epochs,
        batch_size=10_000,
        learning_rate=0.05,
        log_sigma_rate=1.0,
        schedule="cosine",
        plateau=None,
        precision="fp32",
    )
    for part in parts:
        stream = lambda *names, device="cpu": torch_stream(0, *names)  # noqa: E731
        twice = Part(part.images.repeat(2, 1), part.labels.repeat(2))
        objective, likelihood = Objective(kl_scale=1.0), OfPairs(VARIANCE**0.5)
        run = VariationalRun(Problem(net, prior, twice, training, objective, likelihood, stream))
        run.noise = Paired()
        in_order = [torch.arange(len(twice.labels))]
        run.order = lambda order=in_order: order
        run.run(lambda current: None)
        prior = net.state()
    return family.mean(layer, prior[layer.name])["weight"], family.sigma(layer, prior[layer.name])


def closed_form(x, y):
    precision = x.T @ x / VARIANCE + torch.eye(3, dtype=torch.float64) / WIDTH**2
    assert (precision - precision.diag().diag()).abs().max() < 1e-9
    mean = torch.linalg.solve(precision, x.T @ y / VARIANCE)
    return mean[None], precision.diag().rsqrt()[None]


@pytest.mark.parametrize("number", [1, PARTS])
def test_the_chain_reaches_the_exact_posterior(number):
    parts = list(parts_of_orthogonal_design())
    x, y = (torch.cat([getattr(p, n) for p in parts]) for n in ("images", "labels"))
    mean, sigma = closed_form(x, y)
    fitted = fit(parts if number > 1 else [Part(x, y)], epochs=500)
    torch.testing.assert_close(fitted[0], mean, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(fitted[1], sigma, rtol=1e-4, atol=0)
