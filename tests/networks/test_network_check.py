"""Networks that a posterior over the weights of layers would not be all of, and are refused."""

import re
import time
from dataclasses import dataclass, replace
from typing import ClassVar

import pytest
import torch
import torch.nn.functional as F
from fault_table import survived
from refusals import refusal
from replicate_fits import assert_close, fit, settings
from tiny_chain import SETTINGS, tiny_chain
from torch import nn

from incbayes.inference.stage import BlockStage, StreamKeys, first_start
from incbayes.kinds import FAMILIES, MODELS
from incbayes.networks.check import SUPPORTED, check_network
from incbayes.networks.layers import NetworkError
from incbayes.posterior import build as networks
from incbayes.posterior.build import Architecture, fresh_network, variational
from incbayes.posterior.predict import Passes, Predictor
from incbayes.priors.base import Source
from incbayes.study.model import KindSpec

SHAPE, CLASSES = (1, 8, 8), 3


def mlp(*between, head=None):
    """Return a network with modules between its two layers."""
    return nn.Sequential(
        nn.Flatten(), nn.Linear(64, 6), *between, head or nn.Linear(6, CLASSES)
    )  # fmt: skip


class Net(nn.Module):
    """Modules by name, and a function of them and of an image as forward."""

    def __init__(self, compute, **modules):
        super().__init__()
        self.compute = compute
        for name, module in modules.items():
            setattr(self, name, module)

    def forward(self, x):
        return self.compute(self, x.flatten(1))


class Doubled(nn.Linear):
    def forward(self, x):
        return 2 * super().forward(x)


class WithParameter(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, x):
        return self.scale * x


def shared():
    layer = nn.Linear(6, 6)
    return mlp(layer, nn.ReLU(), layer)


def tied():
    network = mlp(nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 6))
    network[4].weight = network[2].weight
    return network


def parametrised():
    return mlp(head=nn.utils.parametrizations.weight_norm(nn.Linear(6, CLASSES)))


def two(compute, **names):
    """Return a network of layers a [64 to 6] and b [6 to K], or of others, by name."""
    modules = {"a": nn.Linear(64, 6), "b": nn.Linear(6, CLASSES)}
    return Net(compute, **(names or modules))


REFUSED = {
    # Batch normalisation in all its forms.
    "statistics of a minibatch and scales": (
        lambda: mlp(nn.BatchNorm1d(6, track_running_stats=False)),
        "layer 2: BatchNorm1d without running statistics is not supported",
    ),
    "running statistics of all minibatches": (
        lambda: mlp(nn.BatchNorm1d(6, momentum=None)),
        "layer 2: BatchNorm1d without momentum is not supported",
    ),
    "running statistics of images": (
        lambda: nn.Sequential(nn.Conv2d(1, 2, 3), nn.InstanceNorm2d(2, track_running_stats=True),
                              nn.Flatten(), nn.Linear(72, CLASSES)),
        "layer 1: InstanceNorm2d holds the buffer running_mean [2]",
    ),
    "one normalisation under two names": (
        lambda: (network := mlp(nn.BatchNorm1d(6, affine=False)), network.append(network[2]))[0],
        "layer 4: the same module, and weights, as layer 2",
    ),
    "a normalisation that is called twice": (
        lambda: two(lambda n, x: n.b(n.c(n.c(n.a(x)))), a=nn.Linear(64, 6), c=nn.LayerNorm(6),
                    b=nn.Linear(6, CLASSES)),
        "layer c: it is called 2 times in a pass",
    ),
    "statistics of the minibatch": (
        lambda: mlp(nn.BatchNorm1d(6, affine=False, track_running_stats=False)),
        "layer 2: BatchNorm1d mixes the images of a minibatch",
    ),
    "slopes of an activation": (
        lambda: mlp(nn.PReLU()),
        "layer 2: PReLU holds parameters, and is no layer of a kind known",
    ),
    "a buffer of the network itself": (
        lambda: (network := mlp(), network.register_buffer("mean", torch.zeros(2)))[0],
        "the network: Sequential holds the buffer mean [2]",
    ),
    # Weights under two names, or in two places.
    "one layer under two names": (shared, "layer 4: the same module, and weights, as layer 2"),
    "tied weights": (tied, "parameter 4.weight: the same as parameter 2.weight"),
    "a layer that is called twice": (
        lambda: two(lambda n, x: n.b(n.c(n.c(n.a(x)))), a=nn.Linear(64, 6), c=nn.Linear(6, 6),
                    b=nn.Linear(6, CLASSES)),
        "layer c: it is called 2 times in a pass",
    ),
    "a layer that is not called": (
        lambda: mlp().append(Net(lambda n, x: x, a=nn.Linear(2, 2))),
        "layer 3.a: it is called 0 times in a pass",
    ),
    "weights that are used outside of their layer": (
        lambda: two(lambda n, x: F.linear(n.a(x), n.b.weight)),
        "layer b: it is called 0 times",
    ),
    # Parameters elsewhere.
    "a parameter of another module": (
        lambda: mlp(WithParameter()),
        "layer 2: WithParameter holds parameters, and is no layer of a kind known",
    ),
    "a parameter of the network itself": (
        lambda: (network := mlp(), network.register_parameter("s", nn.Parameter(torch.ones(1))))[0],
        "the network: Sequential holds parameters, and is no layer of a kind known",
    ),
    "attention": (
        lambda: mlp(nn.MultiheadAttention(6, 2)), "layer 2: MultiheadAttention holds parameters"
    ),
    "a parametrised layer": (parametrised, "layer 2: its parameters are also parametrizations"),
    "a layer with a forward of its own": (
        lambda: mlp(head=Doubled(6, CLASSES)), "layer 2: Doubled has a forward of its own"
    ),
    "a lazy layer": (lambda: mlp(head=nn.LazyLinear(CLASSES)), "layer 2: LazyLinear has no shape"),
    "a layer that is the network": (
        lambda: nn.Linear(64, CLASSES), "the network: it is a layer itself; put it into"
    ),
    "no layer": (lambda: nn.Flatten(), "the network: it has no layer with weights"),
    "a number that is no weight": (
        lambda: two(lambda n, x: n.b(n.a(x.long()).mean(1)), a=nn.Embedding(9, 6, padding_idx=0),
                    b=nn.Linear(6, CLASSES)),
        "layer a: Embedding with padding_idx is not supported",
    ),
    # The output layer.
    "a head that is defined first": (
        lambda: two(lambda n, x: n.head(n.body(x).relu()), head=nn.Linear(6, CLASSES),
                    body=nn.Linear(64, 6)),
        "layer head: it is called last, and so the output layer, but body is defined after it",
    ),
    "a last layer that is not the output": (
        lambda: two(lambda n, x: n.head(x) + n.gate(x).mean(1, keepdim=True),
                    head=nn.Linear(64, CLASSES), gate=nn.Linear(64, 2)),
        "layer gate: it is called last, and so the output layer, but has 2 outputs for 3 classes",
    ),
    "too few outputs": (
        lambda: mlp(head=nn.Linear(6, 2)),
        "the network: its output is [4, 2], expected logits [4, 3]",
    ),
    "two outputs": (
        lambda: two(lambda n, x: (n.b(n.a(x)), x)), "the network: its output is tuple, expected"
    ),
    "another axis": (
        lambda: nn.Sequential(nn.Conv2d(1, 3, 8), nn.Flatten(2), nn.Linear(1, 1), nn.Flatten()),
        "layer 2: it is called last, and so the output layer, but has 1 outputs for 3 classes",
    ),
    "images that are no axis": (
        lambda: nn.Sequential(nn.Conv2d(1, 2, 8), nn.Flatten(0), nn.Linear(8, 12), nn.Unflatten(0,
                              (4, 3))),
        "layer 2: its input is [8], expected 2 or more axes, the first that of the images",
    ),
    "images of another shape": (
        lambda: nn.Sequential(nn.Flatten(), nn.Linear(9, CLASSES)),
        "the network: it cannot compute images [4, 1, 8, 8]: mat1 and mat2",
    ),
    # Randomness, and what differs between training and evaluation.
    "another dropout": (
        lambda: mlp(nn.AlphaDropout(0.5)), "layer 2: AlphaDropout computes something else each time"
    ),
    "dropout also in evaluation": (
        lambda: two(lambda n, x: n.b(F.dropout(n.a(x), 0.5))),
        "the network: Net computes something else each time",
    ),
    "another function in training": (
        lambda: two(lambda n, x: n.b(n.a(x) * (2 if n.training else 1))),
        "the network: Net computes something else in training than in evaluation",
    ),
    "a mean over the minibatch": (
        lambda: mlp(Net(lambda n, x: x - x.mean(0))), "layer 2: Net mixes the images of a minibatch"
    ),
    "images changed in place": (
        lambda: nn.Sequential(nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(64, CLASSES)),
        "the network: it changes the images that it is given",
    ),
}  # fmt: skip


def test_what_is_not_supported_is_refused_by_model_and_path():
    for name, (make, expected) in REFUSED.items():
        network = make()
        text = refusal(lambda n=network: check_network(n, "odd", SHAPE, CLASSES), NetworkError)
        assert text.startswith(f"model odd, {expected}") and text.endswith(SUPPORTED), (name, text)
        assert not any(module._forward_hooks for module in network.modules())
    survived(
        "a network with buffers, shared weights, batch statistics, a head defined first …",
        len(REFUSED),
        "one line that names the module, before anything is trained",
    )


RELU = nn.ReLU()
ALLOWED = {
    "normalisation of an image": lambda: nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.GroupNorm(2, 4, affine=False), nn.Flatten(), nn.Linear(144, CLASSES)
    ),
    "one activation in two places": lambda: mlp(RELU, nn.Linear(6, 6), RELU),
    "a skip connection": lambda: two(
        lambda n, x: n.b(n.a(x) + n.c(x[:, :6])),
        a=nn.Linear(64, 6), c=nn.Linear(6, 6), b=nn.Linear(6, CLASSES),
    ),
    "layers in modules in modules": lambda: nn.Sequential(nn.Sequential(mlp())),
    "no bias": lambda: mlp(head=nn.Linear(6, CLASSES, bias=False)),
    "log-probabilities": lambda: mlp().append(nn.LogSoftmax(-1)),
    "activations in place": lambda: mlp(nn.ReLU(inplace=True)),
    "dropout": lambda: mlp(nn.Dropout(0.5), nn.ReLU()),
    "dropout of channels": lambda: nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.Dropout2d(0.5), nn.Flatten(), nn.Linear(144, CLASSES)
    ),
    "normalisation of a minibatch": lambda: nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(144, CLASSES)
    ),
    "normalisation of a minibatch without scales": lambda: mlp(nn.BatchNorm1d(6, affine=False)),
    "normalisation of a layer": lambda: mlp(nn.LayerNorm(6)),
    "normalisation of a layer without shifts": lambda: mlp(nn.LayerNorm(6, bias=False)),
    "normalisation of groups": lambda: nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.GroupNorm(2, 4), nn.Flatten(), nn.Linear(144, CLASSES)
    ),
    "padding by a name": lambda: nn.Sequential(
        nn.Conv2d(1, 2, 3, padding="same"), nn.Flatten(), nn.Linear(128, CLASSES)
    ),
    "one axis": lambda: nn.Sequential(
        nn.Flatten(2), nn.Conv1d(1, 2, 3, stride=2, padding=1, padding_mode="circular"),
        nn.Flatten(), nn.Linear(64, CLASSES),
    ),
    "three axes": lambda: nn.Sequential(
        nn.Unflatten(1, (1, 1)), nn.Conv3d(1, 2, (1, 3, 3)), nn.Flatten(), nn.Linear(72, CLASSES)
    ),
    "a transposed convolution": lambda: nn.Sequential(
        nn.Conv2d(1, 2, 3, stride=2), nn.ConvTranspose2d(2, 2, 2, stride=2), nn.Flatten(),
        nn.Linear(72, CLASSES),
    ),
    "numbers": lambda: two(
        lambda n, x: n.b(n.a(x.abs().clamp(max=3).long()).flatten(1)),
        a=nn.Embedding(4, 2), b=nn.Linear(128, CLASSES),
    ),
    "a layer over positions": lambda: two(
        lambda n, x: n.b(n.a(x.unflatten(1, (8, 8))).mean(1)), a=nn.Linear(8, 4),
        b=nn.Linear(4, CLASSES),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ALLOWED)
def test_what_computes_every_image_by_itself_passes(name):
    network = ALLOWED[name]().eval()
    state = torch.get_rng_state()
    check_network(network, "good", SHAPE, CLASSES)
    assert torch.equal(torch.get_rng_state(), state) and not network.training


@dataclass(frozen=True)
class Allowed:
    """A model that is one of the networks that pass."""

    name: str

    constraints: ClassVar[dict[str, int]] = {"min_side": 1}

    def build(self, shape, classes):
        """Return the network."""
        return ALLOWED[self.name]()


@pytest.mark.parametrize("name", ALLOWED)
def test_what_passes_trains_alike_in_turn_and_together(name, tmp_path, monkeypatch):
    monkeypatch.setitem(MODELS._entries, "allowed", "test_network_check:Allowed")
    chosen = settings("ffg", model={"kind": "allowed", "name": name})
    ways = [fit(tmp_path / str(together), chosen, together) for together in (False, True)]
    assert_close(*ways, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", MODELS)
def test_every_registered_model_passes_in_little_time(name):
    for channels, side in ((1, max(8, MODELS[name].constraints["min_side"])), (3, 32)):
        network = MODELS[name]().build((channels, side, side), 10)
        begun = time.process_time()
        check_network(network, name, (channels, side, side), 10)
        assert time.process_time() - begun < 1.0


@dataclass(frozen=True)
class Odd:
    """A model with running statistics."""

    constraints: ClassVar[dict[str, int]] = {"min_side": 1}

    def build(self, shape, classes):
        """Return the network."""
        network = nn.Sequential(nn.Flatten(), nn.ReLU(), nn.Linear(64, classes))
        network[1].register_buffer("running_mean", torch.zeros(64))
        return network


@pytest.fixture
def odd(monkeypatch):
    """Settings with a registered model that is refused."""
    monkeypatch.setitem(MODELS._entries, "odd", "test_network_check:Odd")
    return replace(SETTINGS, model=KindSpec("odd"))


def test_every_job_refuses_the_model_before_it_trains_or_predicts(odd, tmp_path):
    chain = tiny_chain(tmp_path).asked(settings=odd)
    text = refusal(lambda: chain.fit(1), NetworkError)
    assert text.startswith("model odd, layer 1: ReLU holds the buffer running_mean [64]")
    assert not chain.posterior(1).exists()
    stage = BlockStage(odd, SHAPE, StreamKeys(0, "digits", 1, 1))
    with pytest.raises(NetworkError, match=re.escape("layer 1: ReLU")):
        first_start(stage, 0, 10, Source())
    family = FAMILIES["ffg"]()
    with pytest.raises(NetworkError, match=re.escape("layer 1: ReLU")):
        variational(stage.architecture(10), family, {})  # of a later stage, in turn or together
    with pytest.raises(NetworkError, match=re.escape("layer 1: ReLU")):
        Predictor(stage.architecture(10), family, Passes(torch.device("cpu"), 5))


def test_a_model_is_checked_once_for_each_shape_of_its_images(monkeypatch):
    checked = []
    monkeypatch.setattr(networks, "check_network", lambda *given: checked.append(given[1:]))
    networks._check_once.cache_clear()
    for classes in (3, 3, 4):
        fresh_network(Architecture({"kind": "digits_net"}, (1, 8, 8), classes), 0)
    assert checked == [("digits_net", (1, 8, 8), 3), ("digits_net", (1, 8, 8), 4)]
    networks._check_once.cache_clear()
