"""Bayesian linear regression with an orthogonal design, whose posterior is a diagonal Gaussian.

Fitting ten parts in sequence, one part of everything, and the closed form must then agree.
"""

from dataclasses import dataclass, replace

import torch
from torch import nn

from incbayes.core.streams import torch_stream
from incbayes.data.part import Part
from incbayes.inference.base import Problem
from incbayes.inference.objective import Objective
from incbayes.inference.training import Training
from incbayes.kinds import FAMILIES
from incbayes.likelihoods.base import Likelihood
from incbayes.likelihoods.gaussian import Gaussian
from incbayes.networks.layers import layers_of
from incbayes.posterior.build import Architecture
from incbayes.posterior.network import VariationalNetwork

VARIANCE, WIDTH, PARTS, INPUTS = 0.25, 1.5, 10, 3
TRAINING = Training(
    epochs=500,
    batch_size=10_000,
    learning_rate=0.05,
    log_sigma_rate=1.0,
    schedule="cosine",
    plateau=None,
    precision="fp32",
)


@dataclass(frozen=True)
class GaussianNoise(Likelihood):
    """The likelihood of a number with given noise, of rows that may stand several times.

    Attributes:
        variance: of the noise.
        copies: how often every row stands in a part; it counts once all the same.
    """

    variance: float = VARIANCE
    copies: int = 1

    def log_probabilities(self, outputs):
        raise NotImplementedError

    def nll(self, outputs, targets):
        return Gaussian(self.variance**0.5).nll(outputs, targets[:, 0]) / self.copies


class Row:
    """A model of one linear map without a bias."""

    def build(self, shape, outputs):
        return nn.Sequential(nn.Linear(*shape, outputs, bias=False))


ARCHITECTURE = Architecture({"kind": "row"}, (INPUTS,), 1, own=Row)


def parts_of_orthogonal_design(number=PARTS):
    generator = torch.Generator().manual_seed(11)
    true = torch.tensor([[0.8, -1.2, 0.3]], dtype=torch.float64)
    scales = torch.tensor([1.0, 0.6, 1.4], dtype=torch.float64)
    for _ in range(number):
        q, _ = torch.linalg.qr(torch.randn(12, INPUTS, generator=generator, dtype=torch.float64))
        x = q * scales * 2
        y = x @ true.T + VARIANCE**0.5 * torch.randn(
            12, 1, generator=generator, dtype=torch.float64
        )
        yield Part(x, y)


def joined(parts):
    """Return all parts as one."""
    return Part(*(torch.cat([getattr(p, n) for p in parts]) for n in ("images", "labels")))


def closed_form(part, temper=1.0):
    """Return mean and standard deviation of the posterior ∝ p(w)·p(y | x, w)^(1/temper)."""
    x, y, variance = part.images, part.labels, VARIANCE * temper
    precision = x.T @ x / variance + torch.eye(INPUTS, dtype=torch.float64) / WIDTH**2
    assert (precision - precision.diag().diag()).abs().max() < 1e-9
    mean = torch.linalg.solve(precision, x.T @ y / variance)
    return mean.T, precision.diag().rsqrt()[None]


def fit(parts, begin, trained=None, objective=None, likelihood=None, family=None, **training):
    """Fit parts in sequence; return mean and standard deviation of the last posterior.

    Args:
        parts: one after the other.
        begin: makes a run of a problem.
        trained: as of a network; None for all tensors.
        objective: None for the bound.
        likelihood: None for that of the noise.
        family: None for `ffg` as it is.
        training: changes of `TRAINING`.
    """
    family = family or FAMILIES["ffg"]()
    network = Row().build((INPUTS,), 1).double()
    (layer,) = layers_of(network)
    zero = torch.zeros(1, INPUTS, dtype=torch.float64)
    start = {"weight": zero}, {"weight": torch.full_like(zero, WIDTH / 10)}
    prior = {layer.name: family.from_gaussian(layer, start[0], {"weight": zero + WIDTH})}
    state = {layer.name: family.from_gaussian(layer, *start)}
    chosen = {} if trained is None else {"trained": trained}
    for number, part in enumerate(parts):
        net = VariationalNetwork(Row().build((INPUTS,), 1).double(), family, state, **chosen)
        problem = Problem(
            net,
            prior,
            part,
            replace(TRAINING, **training),
            objective or Objective(kl_scale=1.0),
            likelihood or GaussianNoise(),
            lambda *names, device="cpu": torch_stream(0, *names),
            ARCHITECTURE,
            follows=number > 0,
        )
        run = begin(problem)
        run.run(lambda current: None)
        run.end_stage()
        prior = state = run.state()
    return family.mean(layer, prior[layer.name])["weight"], family.sigma(layer, prior[layer.name])
