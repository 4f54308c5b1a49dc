"""The diagonal Fisher information against autograd by the example, and laplace-torch."""

import numpy as np
import pytest
import torch
from torch import nn

from incbayes.curvature.fisher import FisherError, diagonal_fisher
from incbayes.data.part import Part
from incbayes.likelihoods.gaussian import Gaussian
from incbayes.networks.layers import layers_of, plain_weights
from incbayes.priors.base import Source
from incbayes.priors.laplace import Laplace

CLASSES, IMAGES = 3, 17


def small_network(groups: int = 1) -> nn.Module:
    torch.manual_seed(2)
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1, groups=groups),
        nn.ReLU(),
        nn.Conv2d(4, 4, (3, 2), stride=2, dilation=(1, 2), bias=False),
        nn.Tanh(),
        nn.Flatten(),
        nn.Linear(4 * 2 * 2, CLASSES),
    ).double()


def data():
    generator = torch.Generator().manual_seed(3)
    images = torch.randn(IMAGES, 2, 6, 6, generator=generator, dtype=torch.float64)
    return images, torch.randint(CLASSES, (IMAGES,), generator=generator)


def brute_force(network, images, labels, expected):
    """Return the mean squared gradient, example by example, label by label."""
    total = [torch.zeros_like(p) for p in network.parameters()]
    for x, y in zip(images, labels, strict=True):
        log_p = network(x[None]).log_softmax(-1)[0]
        weights = log_p.exp().detach() if expected else torch.eye(CLASSES)[y]
        for target in range(CLASSES):
            gradients = torch.autograd.grad(
                log_p[target], list(network.parameters()), retain_graph=True
            )
            for sum_, gradient in zip(total, gradients, strict=True):
                sum_ += weights[target] * gradient.square()
    return [value / len(images) for value in total]


@pytest.mark.parametrize("kind", ["empirical", "ggn"])
@pytest.mark.parametrize("groups", [1, 2])
def test_exact_per_example_squares(kind, groups):
    network, (images, labels) = small_network(groups), data()
    ours = diagonal_fisher(network, Part(images, labels), kind, torch.Generator(), batch_size=5)
    expected = brute_force(network, images, labels, expected=kind == "ggn")
    flat = [value for state in ours.values() for value in state.values()]
    for value, reference in zip(flat, expected, strict=True):
        torch.testing.assert_close(value, reference)


class Numbers(nn.Module):
    """Whole numbers from 0 to 4 of an image's pixels [N, 72]."""

    def forward(self, x):
        return (x.flatten(1) * 2).abs().floor().clamp(max=4).long()


KINDS = {
    "one axis": [nn.Flatten(2), nn.Conv1d(2, 4, 3, stride=2, dilation=2, padding=1, groups=2)],
    "three axes": [nn.Unflatten(1, (2, 1)), nn.Conv3d(2, 2, (1, 3, 2), padding=(0, 1, 1),
                                                      stride=(1, 2, 1))],
    "same": [nn.Conv2d(2, 2, 2, padding="same")],
    "reflect": [nn.Conv2d(2, 2, 3, padding=1, padding_mode="reflect")],
    "transposed": [nn.ConvTranspose2d(2, 4, 3, stride=2, padding=1, output_padding=1, groups=2)],
    "transposed, one axis": [nn.Flatten(2), nn.ConvTranspose1d(2, 3, 2, dilation=2)],
    "positions": [nn.Flatten(2), nn.Linear(36, 3)],
    "embedding": [Numbers(), nn.Embedding(5, 2)],
    "batch": [nn.BatchNorm2d(2)],
    "batch of vectors": [nn.Flatten(), nn.BatchNorm1d(72)],
    "layer": [nn.LayerNorm((6, 6))],
    "layer of vectors": [nn.Flatten(), nn.LayerNorm(72, bias=False)],
    "groups": [nn.Conv2d(2, 4, 3), nn.GroupNorm(2, 4)],
}  # fmt: skip


@pytest.mark.parametrize("kind", ["empirical", "ggn"])
@pytest.mark.parametrize("layer", KINDS)
def test_exact_squares_of_every_kind_of_layer(layer, kind):
    torch.manual_seed(2)
    images, labels = data()
    network = nn.Sequential(*KINDS[layer], nn.Tanh(), nn.Flatten(), nn.LazyLinear(CLASSES)).double()
    for _ in range(3):
        network(images)
    network.eval()
    ours = diagonal_fisher(network, Part(images, labels), kind, torch.Generator(), batch_size=5)
    expected = brute_force(network, images, labels, expected=kind == "ggn")
    flat = [value for state in ours.values() for value in state.values()]
    for value, reference in zip(flat, expected, strict=True):
        torch.testing.assert_close(value, reference)


def test_mc_estimates_the_exact_expectation():
    network, (images, labels) = small_network(), data()
    exact = diagonal_fisher(network, Part(images, labels), "ggn", torch.Generator())
    many = images.repeat(400, 1, 1, 1)
    generator = torch.Generator().manual_seed(0)
    drawn = diagonal_fisher(network, Part(many, labels.repeat(400)), "mc", generator)
    for layer, state in exact.items():
        for key, value in state.items():
            scale = value.mean()
            assert ((drawn[layer][key] - value).abs() / (value + scale)).max() < 0.2


def of_a_number(noise):
    """Return a network for a number, and the likelihood that its outputs are of."""
    likelihood = Gaussian(noise)
    torch.manual_seed(5)
    layers = [nn.Flatten(), nn.Linear(72, 3), nn.Tanh(), nn.Linear(3, likelihood.outputs(1))]
    return nn.Sequential(*layers).double(), likelihood


def integrated(network, images, likelihood, numbers=None):
    """Return the mean squared gradient, example by example, integrated over y or at `numbers`.

    By Gauss-Hermite quadrature, exact for polynomials in y of degree 79: the squares have degree 4.
    """
    nodes, weights = (torch.from_numpy(v) for v in np.polynomial.hermite_e.hermegauss(40))
    weights = weights / weights.sum()
    total = [torch.zeros_like(p) for p in network.parameters()]
    for place, x in enumerate(images):
        ((mean, sigma),) = likelihood.predicted(network(x[None]))[0].detach()
        chosen = [(mean + sigma * z, w) for z, w in zip(nodes, weights, strict=True)]
        if numbers is not None:
            chosen = [(numbers[place], 1.0)]
        for y, weight in chosen:
            log_p = -likelihood.nll(network(x[None]), y[None])
            for sum_, gradient in zip(
                total, torch.autograd.grad(log_p, list(network.parameters())), strict=True
            ):
                sum_ += weight * gradient.square()
    return [value / len(images) for value in total]


@pytest.mark.parametrize("noise", ["learnt", 0.5])
def test_exact_squares_of_a_number(noise):
    network, likelihood = of_a_number(noise)
    images, _ = data()
    numbers = torch.linspace(-2, 2, IMAGES, dtype=torch.float64)
    part = Part(images, numbers)
    for kind, given in (("ggn", None), ("empirical", numbers)):
        ours = diagonal_fisher(network, part, kind, torch.Generator(), likelihood, batch_size=5)
        flat = [value for state in ours.values() for value in state.values()]
        for value, reference in zip(
            flat, integrated(network, images, likelihood, given), strict=True
        ):
            torch.testing.assert_close(value, reference)


@pytest.mark.parametrize("noise", ["learnt", 0.5])
def test_numbers_that_are_drawn_estimate_the_exact_expectation(noise):
    network, likelihood = of_a_number(noise)
    images = data()[0].repeat(2000, 1, 1, 1)
    part = Part(images, torch.zeros(len(images), dtype=torch.float64))
    exact = diagonal_fisher(network, part, "ggn", torch.Generator(), likelihood, 1000)
    drawn = diagonal_fisher(network, part, "mc", torch.Generator().manual_seed(1), likelihood, 1000)
    for layer, state in exact.items():
        for key, value in state.items():
            assert ((drawn[layer][key] - value).abs() / (value + value.mean())).max() < 0.1


@pytest.mark.parametrize("kind", ["ggn", "empirical"])
def test_laplace_variance_agrees_with_laplace_torch(kind):
    laplace = pytest.importorskip("laplace")
    from laplace.curvature import BackPackEF, BackPackGGN

    torch.manual_seed(4)
    network = nn.Sequential(
        nn.Conv2d(2, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(48, CLASSES)
    ).double()
    images, labels = data()
    loader = torch.utils.data.DataLoader(
        torch.utils.data.TensorDataset(images, labels), batch_size=6
    )
    backend = {"ggn": BackPackGGN, "empirical": BackPackEF}[kind]
    fitted = laplace.Laplace(
        network,
        "classification",
        subset_of_weights="all",
        hessian_structure="diag",
        backend=backend,
        prior_precision=2.5,
    )
    fitted.fit(loader)
    fisher = diagonal_fisher(network, Part(images, labels), kind, torch.Generator())
    weights = plain_weights(network)
    prior = Laplace(fisher=kind, prior_precision=2.5)
    source = Source(weights, fisher, images=IMAGES)
    ours = [
        prior.carried_over(layer, weights[layer.name], source).sigma[key].square()
        for layer in layers_of(network)
        for key in ("weight", "bias")
    ]
    flat = torch.cat([value.flatten() for value in ours])
    torch.testing.assert_close(flat, fitted.posterior_variance.double(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("kind", ["empirical", "mc", "ggn"])
@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (1e38, 1e38, "the logits of the network are not finite"),
        # Even logits, and gradients of 1e20.
        (0.0, 1e10, "the Fisher information of 1.weight is not finite"),
    ],
)
def test_what_is_not_finite_is_named(first, second, expected, kind):
    network = nn.Sequential(nn.Flatten(), nn.Linear(4, 3, bias=False), nn.Linear(3, 2, bias=False))
    nn.init.constant_(network[1].weight, first)
    nn.init.constant_(network[2].weight, second)
    network[2].weight.data[0] *= -1
    images, labels = 1e10 * torch.ones(6, 1, 2, 2), torch.arange(6) % 2
    with pytest.raises(FisherError, match=expected):
        diagonal_fisher(network, Part(images, labels), kind, torch.Generator())
