"""bf16 against fp32: the bound, its gradient, and what training by either arrives at."""

import pytest
import torch
from cases import BAYESIAN, noise
from torch import nn

from incbayes.kinds import FAMILIES, PRIORS
from incbayes.likelihoods.categorical import Categorical
from incbayes.networks.layers import layers_of, plain_weights
from incbayes.networks.noise import GeneratorNoise
from incbayes.posterior.network import VariationalNetwork
from incbayes.priors.base import Source

IMAGES, CLASSES, DRAWS = 64, 5, 40
BOUND = 0.02
"""Nats per image by which the two ELBOs may differ, as docs/performance.md says."""


def network(name: str) -> tuple[VariationalNetwork, dict]:
    """Return a small network of the family where a first stage starts, and its prior."""
    torch.manual_seed(3)
    plain = nn.Sequential(
        nn.Conv2d(1, 8, 3), nn.MaxPool2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(72, CLASSES)
    )
    family = FAMILIES[name]()
    layers, weights = layers_of(plain), plain_weights(plain)
    start = PRIORS.build({"kind": "normal"}).start(family, layers, weights, Source(), noise(1))
    return VariationalNetwork(plain, family, start.state), start.prior


def data() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(4)
    images = torch.randn(IMAGES, 1, 8, 8, generator=generator)
    return images, torch.randint(CLASSES, (IMAGES,), generator=generator)


def elbo(name: str, precision: str) -> torch.Tensor:
    """Return DRAWS estimates of the ELBO per image, in nats."""
    net, prior = network(name)
    images, labels = data()
    source = GeneratorNoise(torch.Generator().manual_seed(5))
    values = []
    for _ in range(DRAWS):
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            outputs = net(images, source)
        kl = sum(net.kl(prior, source).values())
        values.append(-(Categorical().nll(outputs, labels) + kl).detach() / IMAGES)
    return torch.stack(values)


@pytest.mark.parametrize("name", BAYESIAN)
def test_the_bounds_of_the_two_precisions_agree(name):
    exact, rounded = elbo(name, "fp32"), elbo(name, "bf16")
    error = (exact.var() / DRAWS + rounded.var() / DRAWS).sqrt()
    assert (exact.mean() - rounded.mean()).abs() < BOUND + 4 * error
    assert exact.isfinite().all() and rounded.isfinite().all()
