"""Kronecker factors against autograd by the example and laplace-torch; sums of products by SVD."""

import pytest
import torch
from laplace import KronLaplace
from laplace.curvature import BackPackGGN
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from incbayes.curvature.fisher import FisherError
from incbayes.curvature.kronecker import kronecker_factors, nearest_product
from incbayes.data.part import Part
from incbayes.likelihoods.categorical import CATEGORICAL

CLASSES = 3


def images(count, *shape):
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(count, *shape, generator=generator, dtype=torch.float64)
    return Part(x, torch.randint(CLASSES, (count,), generator=generator))


def factors(network, part, kind="ggn", **how):
    names = [name for name, m in network.named_modules() if isinstance(m, nn.Linear | nn.Conv2d)]
    generator = torch.Generator().manual_seed(0)
    return kronecker_factors(network, part, kind, generator, CATEGORICAL, names, **how)


def perceptron(bias=True):
    torch.manual_seed(2)
    layers = nn.Linear(4, 5, bias=bias), nn.Tanh(), nn.Linear(5, CLASSES, bias=bias)
    return nn.Sequential(nn.Flatten(), *layers).double()


def convolutional():
    torch.manual_seed(4)
    first = nn.Conv2d(2, 3, 3, stride=2, padding=1), nn.ReLU(), nn.Flatten()
    return nn.Sequential(*first, nn.Linear(27, CLASSES)).double()


def dense_fisher(network, layer, image, kind, label):
    """Return F [OJ, OJ] of one image over a layer's weights and bias, W row by row."""
    log_p = network(image[None]).log_softmax(-1)[0]
    weights = log_p.exp().detach() if kind == "ggn" else torch.eye(CLASSES)[label]
    total = 0
    for target in range(CLASSES):
        found = torch.autograd.grad(log_p[target], list(layer.parameters()), retain_graph=True)
        flat = torch.cat([found[0].flatten(1), *(g[:, None] for g in found[1:])], 1).flatten()
        total = total + weights[target] * torch.outer(flat, flat)
    return total


@pytest.mark.parametrize("kind", ["ggn", "empirical"])
@pytest.mark.parametrize("bias", [True, False])
def test_of_one_image_the_product_is_the_fisher_information_itself(kind, bias):
    network, part = perceptron(bias), images(1, 1, 2, 2)
    for name, (inputs, outputs) in factors(network, part, kind).items():
        layer = network.get_submodule(name)
        expected = dense_fisher(network, layer, part.images[0], kind, part.labels[0])
        torch.testing.assert_close(torch.kron(outputs, inputs), expected)


def test_of_one_position_a_convolution_is_a_linear_layer():
    network, part = perceptron(), images(7, 1, 2, 2)
    first = nn.Conv2d(1, 5, 2).double()
    with torch.no_grad():
        first.weight.copy_(network[1].weight.view(5, 1, 2, 2))
        first.bias.copy_(network[1].bias)
    unfolded = nn.Sequential(first, nn.Flatten(), *network[2:])
    for one, other in zip(
        factors(network, part).values(), factors(unfolded, part).values(), strict=True
    ):
        for found, expected in zip(one, other, strict=True):
            torch.testing.assert_close(found, expected)


def test_positions_are_summed_in_the_inputs_and_averaged_in_the_outputs():
    """By plain loops over images and positions: KFC, Grosse & Martens 2016, Theorem 1."""
    network, part = convolutional(), images(5, 2, 6, 6)
    inputs = outputs = 0
    x = nn.functional.pad(part.images, (1, 1, 1, 1))
    made = network[0](part.images)
    log_p = network[1:](made).log_softmax(-1)
    for target in range(CLASSES):
        (g,) = torch.autograd.grad(log_p[:, target].sum(), made, retain_graph=True)
        for n in range(5):
            for row in range(3):
                for column in range(3):
                    here = g[n, :, row, column]
                    outputs += log_p[n, target].exp().detach() * torch.outer(here, here) / 9
    for n in range(5):
        for row in range(3):
            for column in range(3):
                a = x[n, :, 2 * row : 2 * row + 3, 2 * column : 2 * column + 3].flatten()
                a = torch.cat([a, torch.ones(1, dtype=torch.float64)])
                inputs += torch.outer(a, a)
    found = factors(network, part, batch_size=2)["0"]
    torch.testing.assert_close(found[0], inputs / 5)
    torch.testing.assert_close(found[1], outputs / 5)


@pytest.mark.parametrize("network", [perceptron, convolutional])
def test_factors_are_those_of_laplace_torch(network):
    """Of a weight, without the bias, which is a block of its own there.

    Of a convolution Ā alone is the same: its backend sums gradients over positions before their
    outer product.
    """
    network = network()
    part = images(6, 1, 2, 2) if isinstance(network[0], nn.Flatten) else images(6, 2, 6, 6)
    reference = KronLaplace(network, "classification", backend=BackPackGGN)
    reference.fit(DataLoader(TensorDataset(part.images, part.labels), batch_size=6))
    blocks = [block for block in reference.H_facs.kfacs if len(block) == 2]
    found = factors(network, part)
    for (outputs, inputs), (name, (a, g)) in zip(blocks, found.items(), strict=True):
        torch.testing.assert_close(a[:-1, :-1], inputs.double())
        if isinstance(network.get_submodule(name), nn.Linear):
            torch.testing.assert_close(6 * g, outputs.double())


def test_labels_that_are_drawn_estimate_the_exact_factor():
    network, part = perceptron(), images(9, 1, 2, 2)
    many = Part(part.images.repeat(800, 1, 1, 1), part.labels.repeat(800))
    exact, drawn = factors(network, part), factors(network, many, "mc")
    for name, (inputs, outputs) in exact.items():
        torch.testing.assert_close(drawn[name][0], inputs)
        assert (drawn[name][1] - outputs).norm() < 0.05 * outputs.norm()


def test_what_is_not_finite_is_named():
    network, part = perceptron().float(), images(3, 1, 2, 2)
    part = Part(1e30 * part.images.float(), part.labels)
    with pytest.raises(FisherError, match="^the Kronecker factors of 1 are not finite$"):
        factors(network, part)


def semi_definite(size, generator):
    root = torch.randn(size, size, generator=generator, dtype=torch.float64)
    return root @ root.T


@pytest.mark.parametrize("seed", range(5))
def test_the_nearest_product_is_that_of_the_singular_vectors(seed):
    generator = torch.Generator().manual_seed(seed)
    terms = [(semi_definite(4, generator), semi_definite(3, generator)) for _ in range(2)]
    # Rearranged, a Kronecker product is an outer product (Van Loan & Pitsianis 1993).
    rearranged = sum(torch.outer(a.flatten(), g.flatten()) for a, g in terms)
    u, s, v = torch.linalg.svd(rearranged)
    expected = s[0] * torch.outer(u[:, 0], v[0])
    a, g = nearest_product(terms)
    torch.testing.assert_close(torch.outer(a.flatten(), g.flatten()), expected)
    torch.testing.assert_close(a.norm(), g.norm())
    for factor in (a, g):
        assert torch.linalg.eigvalsh(factor).min() > 0


def test_a_sum_that_is_a_product_is_found_exactly_and_nothing_stays_nothing():
    generator = torch.Generator().manual_seed(1)
    a, b, g = (semi_definite(3, generator) for _ in range(3))
    found = nearest_product([(a, g), (2 * b, g)])
    torch.testing.assert_close(torch.kron(*found), torch.kron(a + 2 * b, g))
    none = torch.zeros(3, 3, dtype=torch.float64)
    torch.testing.assert_close(
        torch.kron(*nearest_product([(none, none), (a, g)])), torch.kron(a, g)
    )
    assert not any(factor.any() for factor in nearest_product([(none, none), (none, g)]))
