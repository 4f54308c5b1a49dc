"""Takes the weights that priors are made from out of a user's file, in place of pretraining."""

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from incbayes.core.errors import UserError
from incbayes.core.files import sha256_file
from incbayes.core.seal import readable
from incbayes.jobs.fit import Fitted, StageOutputs, StageWriter, described_posterior
from incbayes.jobs.request import ChainRequest, Machine, RunRecord
from incbayes.networks.layers import Layer, layers_of, plain_weights
from incbayes.posterior.build import fresh_network, with_weights
from incbayes.posterior.network import NetworkState

COUNTERS = ".num_batches_tracked"
"""Ends the name of a tensor that a state_dict has of a BatchNorm, and that has no effect."""


class WeightsError(UserError, ValueError):
    """A file with weights that cannot be used, and why."""


def run_import(
    request: ChainRequest, weights: Path, sha256: str, outputs: StageOutputs, machine: Machine
) -> None:
    """Write the weights of a file as the posterior of a source task, the same of all replicates.

    Args:
        request: of the block; of a stream, at its first part.
        weights: the file, of safetensors.
        sha256: of it, when the job was planned.
        outputs: where the result goes.
        machine: where to run.

    Raises:
        WeightsError: the file is absent, changed, or not of the network; naming the tensor.
    """
    device = machine.prepare()
    opened = request.opened(device)
    check_unchanged(weights, sha256)
    images, cuts = opened.images, opened.cuts
    stage = request.stage(1, images.shape)
    record, states = RunRecord(machine, device), {}
    for replicate, cut in cuts.items():
        network = fresh_network(stage.architecture(len(cut.target_classes)), 0)
        states[replicate] = given_state(weights, network)
    indices = {replicate: cut.source for replicate, cut in cuts.items()}
    classes = {replicate: cut.source_classes for replicate, cut in cuts.items()}
    fitted = Fitted(images, indices, classes, dict.fromkeys(cuts))
    described = described_posterior(request, 1, fitted, sha256) | {"given": sha256}
    outputs.posterior.parent.mkdir(parents=True, exist_ok=True)
    writer = StageWriter(request, 1, described, opened.seals, outputs)
    writer.write(states, {replicate: [] for replicate in cuts}, record)


def check_unchanged(weights: Path, sha256: str) -> None:
    """Check that a file is the one that is meant.

    Raises:
        WeightsError: it is absent, or has another content.
    """
    if not weights.is_file():
        raise WeightsError(f"{weights}: there is no such file")
    if sha256_file(weights) != sha256:
        raise WeightsError(f"{weights}: changed since the job was planned; run the command again")


def given_state(path: Path, network: nn.Module) -> NetworkState:
    """Return the weights and running statistics of a network's layers from a file, float32.

    The output layer may be absent, or of other classes: it starts afresh in any case.

    Raises:
        WeightsError: naming the file and the tensor.
    """
    tensors = _tensors(path)
    fresh, state = plain_weights(network), NetworkState()
    for layer in layers_of(network):
        own = {f"{layer.name}.{key}": value.shape for key, value in fresh[layer.name].items()}
        if layer.is_output and any(_misfit(name, tensors, own[name]) for name in own):
            continue
        state[layer.name] = {
            name.rpartition(".")[2]: _taken(path, name, tensors, shape)
            for name, shape in own.items()
        }
    known = {f"{layer}.{key}" for layer, own in fresh.items() for key in own}
    for name in tensors:
        if name not in known and not name.endswith(COUNTERS):
            raise WeightsError(f"{path}: holds the tensor {name}, which the network has not")
    return state


def source_network(path: Path, network: nn.Module) -> nn.Module:
    """Return a network with all weights of a file, its output layer with as many outputs as there.

    That is the network as it was fitted, in place of one for the classes of another task.

    Args:
        path: of the file.
        network: which is changed.

    Raises:
        WeightsError: the file is not of the network, or lacks its output layer.
    """
    state, tensors = given_state(path, network), _tensors(path)
    (output,) = (layer for layer in layers_of(network) if layer.is_output)
    if output.name not in state:
        state[output.name] = _own_head(path, output, tensors)
        _resize(network.get_submodule(output.name), state[output.name]["weight"])
    return with_weights(network, state)


def _own_head(path: Path, output: Layer, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return weight and bias of the output layer of a file, of whatever classes."""
    named = f"{output.name}.weight"
    for key in output.shapes:
        if f"{output.name}.{key}" not in tensors:
            raise WeightsError(
                f"{path}: lacks the tensor {output.name}.{key} of the output layer, without which "
                "there is no Fisher information; give a file with it, or take the prior grid"
            )
    shape, found = tuple(output.weight_shape), tensors[named]
    if output.kind == "linear" and found.dim() == len(shape) and found.shape[0] > 0:
        count = found.shape[0]
        meant = {key: torch.Size((count, *own[1:])) for key, own in output.shapes.items()}
    else:
        meant = {key: torch.Size(own) for key, own in output.shapes.items()}
    return {key: _taken(path, f"{output.name}.{key}", tensors, own) for key, own in meant.items()}


def _resize(module: nn.Module, weight: Tensor) -> None:
    """Give a Linear layer as many outputs as a weight has rows."""
    assert isinstance(module, nn.Linear), module  # of another kind `_own_head` takes the same alone
    module.out_features = len(weight)
    module.weight = nn.Parameter(torch.empty_like(weight))
    if module.bias is not None:
        module.bias = nn.Parameter(torch.empty_like(weight[:, 0]))


def _tensors(path: Path) -> dict[str, Tensor]:
    return readable(path, load_file, "not a whole safetensors file", WeightsError)


def _misfit(name: str, tensors: Mapping[str, Tensor], shape: torch.Size) -> str:
    """Return what is wrong with a tensor; empty for nothing."""
    if name not in tensors:
        return f"lacks the tensor {name} {list(shape)} of the network"
    found = tensors[name]
    if found.shape != shape or not found.is_floating_point():
        kind = str(found.dtype).removeprefix("torch.")
        return (
            f"the tensor {name} is {list(found.shape)}, {kind}; the network's is {list(shape)}, "
            "float32"
        )
    return "" if torch.isfinite(found).all() else f"the tensor {name} is not finite"


def _taken(path: Path, name: str, tensors: Mapping[str, Tensor], shape: torch.Size) -> Tensor:
    misfit = _misfit(name, tensors, shape)
    if misfit:
        raise WeightsError(f"{path}: {misfit}")
    return tensors[name].to(torch.float32)
