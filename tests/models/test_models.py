"""The architectures: the shapes of the papers' tables, and variational copies of them."""

import pytest
import torch
from cases import noise
from torch import nn

from incbayes.kinds import FAMILIES, MODELS
from incbayes.networks.layers import Layer, channels_last, layers_of, plain_weights
from incbayes.posterior.build import Architecture, fresh_network, with_weights
from incbayes.posterior.network import VariationalNetwork


def shapes_through(network, x):
    """Return the input shape of every module of a Sequential."""
    shapes = []
    for module in network:
        shapes.append((type(module).__name__, tuple(x.shape[1:])))
        x = module(x)
    return shapes, x


def test_lenet5_has_the_shapes_of_table_1():
    network = MODELS["lenet5"]().build((1, 28, 28), 10)
    shapes, out = shapes_through(network, torch.zeros(2, 1, 28, 28))
    weighted = [s for s in shapes if s[0] in ("Conv2d", "Linear", "MaxPool2d")]
    assert weighted == [
        ("Conv2d", (1, 28, 28)),
        ("MaxPool2d", (20, 24, 24)),
        ("Conv2d", (20, 12, 12)),
        ("MaxPool2d", (50, 8, 8)),
        ("Linear", (800,)),
        ("Linear", (500,)),
    ]
    assert out.shape == (2, 10)
    assert sum(p.numel() for p in network.parameters()) == 431_080  # LeNet-5-Caffe's


def test_conv3fc3_has_the_shapes_of_table_2():
    network = MODELS["conv3fc3"]().build((3, 32, 32), 10)
    shapes, out = shapes_through(network, torch.zeros(2, 3, 32, 32))
    weighted = [s for s in shapes if s[0] in ("Conv2d", "Linear", "MaxPool2d")]
    assert weighted == [
        ("Conv2d", (3, 32, 32)),
        ("MaxPool2d", (32, 32, 32)),
        ("Conv2d", (32, 15, 15)),
        ("MaxPool2d", (64, 15, 15)),
        ("Conv2d", (64, 7, 7)),
        ("MaxPool2d", (128, 7, 7)),
        ("Linear", (1152,)),
        ("Linear", (1000,)),
        ("Linear", (1000,)),
    ]
    assert out.shape == (2, 10)


@pytest.mark.parametrize("name", MODELS)
def test_each_model_takes_the_smallest_image_it_admits(name):
    side = MODELS[name].constraints["min_side"]
    network = MODELS[name]().build((2, side, side), 7)
    assert network(torch.zeros(3, 2, side, side)).shape == (3, 7)


def test_an_embedded_category_is_a_row_of_its_weights_and_a_missing_one_nothing():
    network = MODELS["embedding_mlp"](size=2, widths=[], categories=[0, 3, 0, 2])
    network = network.build((7, 1, 1), 1).double()
    embedding, head = network[0], network[-1]
    weights = [embedding.vectors[f"feature_{place}"].weight for place in (2, 4)]
    rows = torch.tensor([[0.5, 0, 1, 0, -2.0, 0, 1], [3.0, 0, 0, 0, 0, 1, 0]]).double()
    expected = torch.stack(
        [
            torch.cat([rows[0, :1], weights[0][:, 1], rows[0, 4:5], weights[1][:, 1]]),
            torch.cat([rows[1, :1], torch.zeros(2), rows[1, 4:5], weights[1][:, 0]]),
        ]
    )
    assert torch.equal(embedding(rows[:, :, None, None]), expected)
    assert torch.equal(network(rows[:, :, None, None]), head(expected))
    with pytest.raises(ValueError, match="categories: 7 columns; the table has"):
        MODELS["embedding_mlp"](categories=[0, 3, 0, 2]).build((6, 1, 1), 1)


DIGITS_NET = Architecture({"kind": "digits_net"}, (1, 8, 8), 10)


def test_fresh_networks_hang_on_their_seed_alone():
    torch.manual_seed(1)
    one = plain_weights(fresh_network(DIGITS_NET, seed=5))
    torch.manual_seed(2)
    other = plain_weights(fresh_network(DIGITS_NET, seed=5))
    third = plain_weights(fresh_network(DIGITS_NET, seed=6))
    assert all(torch.equal(one[n]["weight"], other[n]["weight"]) for n in one)
    assert not any(torch.equal(one[n]["weight"], third[n]["weight"]) for n in one)


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("model", MODELS)
def test_every_model_becomes_variational_in_every_family(name, model):
    family = FAMILIES[name]()
    side = max(8, MODELS[model].constraints["min_side"])
    x = torch.randn(2, 1, side, side, generator=torch.Generator().manual_seed(0))
    spec, shape = {"kind": model}, (1, side, side)
    plain = fresh_network(Architecture(spec, shape, 3), seed=1)
    weights, layers = plain_weights(plain), layers_of(plain)
    narrow = {n: {k: torch.full_like(v, 1e-6) for k, v in s.items()} for n, s in weights.items()}
    state = {
        layer.name: family.from_gaussian(layer, weights[layer.name], narrow[layer.name])
        for layer in layers
    }
    expected = plain(x)
    network = VariationalNetwork(fresh_network(Architecture(spec, shape, 3), seed=2), family, state)
    torch.testing.assert_close(network(x, None), expected, rtol=1e-3, atol=1e-4)
    assert [layer.name for layer in network.layers] == [layer.name for layer in layers]
    stochastic = network(x, noise())
    assert stochastic.shape == expected.shape and torch.isfinite(stochastic).all()
    restored = with_weights(fresh_network(Architecture(spec, shape, 3), seed=3), weights)
    torch.testing.assert_close(restored(x), expected)


def test_a_layer_with_weights_of_an_unknown_kind_is_refused():
    with pytest.raises(TypeError, match="layer 0: PReLU holds parameters, and is no layer"):
        layers_of(nn.Sequential(nn.PReLU()))
    with pytest.raises(TypeError, match="layer x: PReLU is of no kind known"):
        Layer.of("x", nn.PReLU())


@pytest.mark.parametrize("channels", [1, 3])
def test_every_convolution_computes_channels_last(channels):
    """Elementwise operations must not change it, also where one channel makes it ambiguous."""
    layer = Layer.of("layer", nn.Conv2d(channels, 4, 3))
    weight = channels_last(torch.randn(layer.weight_shape))
    images = torch.randn(2, channels, 8, 8).contiguous(memory_format=torch.channels_last)
    for x in (images, images.square(), images[[1, 0]]):
        for w in (weight, weight.exp(), (2 * weight).exp()):
            output = layer.apply(x, w, None)
            assert output.stride() == (6 * 6 * 4, 1, 6 * 4, 4)
            torch.testing.assert_close(output, nn.functional.conv2d(x.contiguous(), w.contiguous()))


@pytest.mark.parametrize("name", MODELS)
def test_each_model_says_whether_it_has_convolutions(name):
    network = MODELS[name]().build((1, 16, 16), 3)
    found = any(layer.kind == "conv2d" for layer in layers_of(network))
    assert MODELS[name].constraints["convolutions"] == found
