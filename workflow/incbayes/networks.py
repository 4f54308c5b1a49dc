"""Builds the networks of an experiment: fresh ones from a stream, variational ones from a state."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from incbayes.families.base import Family
from incbayes.layers import State, weighted_modules
from incbayes.models import MODELS
from incbayes.variational import NetworkState, VariationalNetwork


def fresh_network(
    model: Mapping[str, Any], shape: tuple[int, int, int], classes: int, seed: int
) -> nn.Module:
    """Return a freshly initialised plain network.

    Args:
        model: `{"kind": …, options}`.
        shape: [C, H, W] of an image.
        classes: outputs.
        seed: of the initialisation, which is torch's own for each layer.
    """
    builder = MODELS.build(model)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return builder.build(tuple(shape), classes)


def with_weights(network: nn.Module, weights: Mapping[str, State]) -> nn.Module:
    """Copy plain weights into `network`, in place, and return it."""
    with torch.no_grad():
        for name, module in weighted_modules(network):
            for key, value in weights[name].items():
                getattr(module, key).copy_(value)
    return network


def variational(
    model: Mapping[str, Any],
    shape: tuple[int, int, int],
    classes: int,
    family: Family,
    state: NetworkState,
) -> VariationalNetwork:
    """Return the network of `model` with variational layers that hold `state`."""
    return VariationalNetwork(fresh_network(model, shape, classes, 0), family, state)
