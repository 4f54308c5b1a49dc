"""Builds the networks of an experiment: fresh ones from a stream, variational ones from a state."""

import functools
import inspect
import json
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from incbayes.core.outside import is_outside
from incbayes.core.registry import blaming
from incbayes.families.base import Family
from incbayes.kinds import MODELS
from incbayes.networks.check import check_network
from incbayes.networks.layers import Layer, State, layers_of, weighted_modules
from incbayes.posterior.network import NetworkState, Trained, VariationalNetwork, all_trained


@dataclass(frozen=True)
class Architecture:
    """A network without its weights.

    Attributes:
        model: `{"kind": …, options}`.
        shape: of one input, [C, H, W] of an image.
        outputs: numbers that it makes of one input, the classes K of a classification.
        own: class that builds it in place of the registered one; from code that the caller named.
    """

    model: Mapping[str, Any]
    shape: tuple[int, ...]
    outputs: int
    own: type | None = None

    def blamed(self, what: str) -> AbstractContextManager[None]:
        """Say of any error in a block that it is of this network's code."""
        kind = self.model["kind"]
        if self.own is None:
            return MODELS.blamed(kind, what)
        return blaming(f"the model {kind} ({self.own.__name__}, of your own)", what)


def fresh_network(architecture: Architecture, seed: int) -> nn.Module:
    """Return a freshly initialised plain network.

    Args:
        architecture: of the network.
        seed: of the initialisation, which is torch's own for each layer.

    Raises:
        NetworkError: the model is none whose layers can become variational.
        KindError: the model's code fails, or does not map an input to `outputs` numbers.
    """
    if architecture.own is None:
        model = json.dumps(dict(architecture.model), sort_keys=True)
        _check_once(model, tuple(architecture.shape), architecture.outputs)
    else:
        _check(architecture)
    return _built(architecture, seed)


def layers_without_weights(architecture: Architecture) -> list[Layer]:
    """Return the layers of a registered model's network, for which no memory is taken.

    Raises:
        NetworkError: the model is none whose layers can become variational.
        KindError: the model's code fails.
    """
    with torch.device("meta"):
        return layers_of(_built(architecture, 0))


@functools.cache
def _check_once(model: str, shape: tuple[int, ...], outputs: int) -> None:
    """Check a registered model, given as JSON, once in a process."""
    _check(Architecture(json.loads(model), shape, outputs))


def _check(architecture: Architecture) -> None:
    network = _built(architecture, 0)
    _try(network, architecture)
    kind, shape = architecture.model["kind"], tuple(architecture.shape)
    check_network(network, kind, shape, architecture.outputs)


def _built(architecture: Architecture, seed: int) -> nn.Module:
    shape = tuple(architecture.shape)
    builder = _builder(architecture)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        with architecture.blamed(f"built for images {list(shape)}"):
            if builder is not None:
                return builder.build(shape, architecture.outputs)
            return _called(MODELS[architecture.model["kind"]], architecture)


def _called(cls: Callable[..., Any], architecture: Architecture) -> nn.Module:
    """Return the network that a plain class makes of its options, and of what else it asks for."""
    options = {key: value for key, value in architecture.model.items() if key != "kind"}
    known = {"shape": tuple(architecture.shape), "outputs": architecture.outputs}
    asked = set(known) & set(inspect.signature(cls).parameters)
    network = cls(**options, **{key: known[key] for key in asked})
    if not isinstance(network, nn.Module):
        raise TypeError(f"it makes {type(network).__name__}, expected nn.Module")
    return network


def _builder(architecture: Architecture) -> Any:
    """Return an instance of the model, or None of a plain class that is the network itself."""
    if architecture.own is None:
        kind = architecture.model["kind"]
        plain = is_outside(kind) and not hasattr(MODELS[kind], "build")
        return None if plain else MODELS.build(architecture.model)
    options = {key: value for key, value in architecture.model.items() if key != "kind"}
    with architecture.blamed("built"):
        return architecture.own(**options)


def _try(network: nn.Module, architecture: Architecture) -> None:
    """Run a network on one blank image, so that a mistake in it shows before any training."""
    shape, expected = architecture.shape, architecture.outputs
    network.eval()
    with architecture.blamed(f"run on images {list(shape)}"), torch.no_grad():
        found = tuple(network(torch.zeros(1, *shape)).shape)
        if found != (1, expected):
            raise ValueError(f"of one image it makes {list(found)}, expected {[1, expected]}")
    network.train()


def with_weights(network: nn.Module, weights: Mapping[str, State]) -> nn.Module:
    """Copy plain weights into `network`, in place, and return it."""
    with torch.no_grad():
        for name, module in weighted_modules(network):
            for key, value in weights[name].items():
                getattr(module, key).copy_(value)
    return network


def mean_network(
    architecture: Architecture,
    family: Family,
    state: NetworkState,
    dtype: torch.dtype = torch.float32,
) -> nn.Module:
    """Return the plain network at the mean of a posterior, with running statistics, to predict.

    Args:
        architecture: of the network.
        family: of the posterior.
        state: the posterior.
        dtype: of means and network.
    """
    network = fresh_network(architecture, 0).to(dtype)
    mean = {}
    for layer in layers_of(network):
        own = {k: v.to(dtype) if v.is_floating_point() else v for k, v in state[layer.name].items()}
        mean[layer.name] = family.mean(layer, own) | {key: own[key] for key in layer.buffers}
    return with_weights(network, mean).eval()


def variational(
    architecture: Architecture,
    family: Family,
    state: NetworkState,
    trained: Trained = all_trained,
) -> VariationalNetwork:
    """Return the network of `architecture` with variational layers that hold `state`.

    `trained` says which tensors of the state become parameters.
    """
    return VariationalNetwork(fresh_network(architecture, 0), family, state, trained)
