"""Refuses networks whose layers cannot become variational without a change of what they compute.

Looks at the modules of a network and at a few passes of made images through it; it knows
nothing of families. Costs milliseconds.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.modules.lazy import LazyModuleMixin

from incbayes.networks.dropout import CHANNELS, ELEMENTS
from incbayes.networks.layers import (
    KINDS,
    NORMALISATIONS,
    Layer,
    NetworkError,
    layers_of,
    weighted_modules,
)

SUPPORTED = (
    "supported are Linear, Embedding, Conv1d to 3d and ConvTranspose1d to 3d layers, each called "
    "once a pass and the output layer defined last, and between them BatchNorm, LayerNorm, "
    "GroupNorm, Dropout, and modules without parameters, buffers and randomness that compute every "
    "image by itself (ReLU, MaxPool2d, …)"
)
STATISTICS = ("running_mean", "running_var", "num_batches_tracked")
"""Buffers of a BatchNorm; the last has no effect."""

IMAGES = 4
SAME = 1e-3
"""Largest relative difference that is rounding, between an image alone and among others."""


@dataclass(frozen=True)
class Call:
    """A module's call within a pass.

    Attributes:
        name: dotted path of the module.
        module: itself.
        given: its first argument.
        made: its output.
    """

    name: str
    module: nn.Module
    given: Tensor
    made: Tensor


def check_network(network: nn.Module, model: str, shape: tuple[int, ...], classes: int) -> None:
    """Check that a posterior over the weights of its layers is all of a network.

    Args:
        network: a plain one.
        model: its name, for the error.
        shape: [C, H, W] of an image.
        classes: K, outputs.

    Raises:
        NetworkError: naming the model, the module by its path, and what is supported.
    """
    was_training = network.training
    try:
        # What a network draws must not move the streams of anything else.
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            _check_modules(network)
            _check_passes(network, shape, classes)
    except NetworkError as error:
        raise NetworkError(f"model {model}, {error}; {SUPPORTED}") from None
    finally:
        network.train(was_training)


def _check_modules(network: nn.Module) -> None:
    """Check what the modules hold."""
    paths: dict[int, str] = {}
    for path, buffer in network.named_buffers():
        owner, _, name = path.rpartition(".")
        if name in STATISTICS and isinstance(network.get_submodule(owner), tuple(NORMALISATIONS)):
            continue
        kind, described = type(network.get_submodule(owner)).__name__, tuple(buffer.shape)
        raise NetworkError(
            f"{path_of(owner)}: {kind} holds the buffer {name} {list(described)}, which is no part "
            "of a posterior"
        )
    for name, module in network.named_modules(remove_duplicate=False):
        holds = [*module.parameters(recurse=False), *module.buffers(recurse=False)]
        if holds and id(module) in paths:
            other = path_of(paths[id(module)])
            raise NetworkError(f"{path_of(name)}: the same module, and weights, as {other}")
        paths[id(module)] = name
        if isinstance(module, LazyModuleMixin):
            raise NetworkError(f"{path_of(name)}: {type(module).__name__} has no shape yet")
    tied: dict[int, str] = {}
    for path, parameter in network.named_parameters(remove_duplicate=False):
        if id(parameter) in tied:
            raise NetworkError(f"parameter {path}: the same as parameter {tied[id(parameter)]}")
        tied[id(parameter)] = path
    for name, module in weighted_modules(network):
        _check_weighted(name, module)
    if all(layer.kind == "normalisation" for layer in layers_of(network)):
        raise NetworkError("the network: it has no layer with weights")


def _check_weighted(name: str, module: nn.Module) -> None:
    """Check that a layer is no more than that."""
    if not name:
        raise NetworkError("the network: it is a layer itself; put it into an nn.Sequential")
    if type(module).forward not in [known.forward for known in (*KINDS, *NORMALISATIONS)]:
        raise NetworkError(f"{path_of(name)}: {type(module).__name__} has a forward of its own")
    unknown = {key for key, _ in module.named_parameters()} - {"weight", "bias"}
    if unknown:
        raise NetworkError(f"{path_of(name)}: its parameters are also {', '.join(sorted(unknown))}")


def _check_passes(network: nn.Module, shape: tuple[int, ...], classes: int) -> None:
    """Check what the network computes."""
    images = torch.randn(IMAGES, *shape, generator=torch.Generator().manual_seed(0))
    _settle(network)
    calls = _pass(network, images)
    made = calls[-1].made
    if not isinstance(made, Tensor) or made.shape != (IMAGES, classes):
        found = list(made.shape) if isinstance(made, Tensor) else type(made).__name__
        wanted = [IMAGES, classes]
        raise NetworkError(f"the network: its output is {found}, expected logits {wanted}")
    _check_layers(network, calls, classes)
    again = _difference(calls, _pass(network, images), exact=True)
    if again:
        raise NetworkError(f"{again} computes something else each time")
    evaluated = _difference(calls, _pass(network.eval(), images), exact=True)
    _settle(network)
    if evaluated:
        raise NetworkError(f"{evaluated} computes something else in training than in evaluation")
    together = _difference(calls, _pass(network, images[: IMAGES // 2]), exact=False)
    if together:
        raise NetworkError(f"{together} mixes the images of a minibatch")


def _settle(network: nn.Module) -> None:
    """Put a network into training, but for what is known to differ there from evaluation."""
    network.train()
    for module in network.modules():
        if type(module) in (*NORMALISATIONS, *ELEMENTS, *CHANNELS):
            module.eval()


def _check_layers(network: nn.Module, calls: list[Call], classes: int) -> None:
    """Check that every layer is called once, on what it takes, and that the last is the output."""
    layers = dict(weighted_modules(network))
    weighted = [call for call in calls if call.name in layers]
    counts = Counter(call.name for call in weighted)
    for name, module in layers.items():
        if counts[name] != 1:
            raise NetworkError(f"{path_of(name)}: it is called {counts[name]} times in a pass")
        call = next(call for call in weighted if call.name == name)
        layer = Layer.of(name, module)
        axes, least = 2 + len(layer.kernel), "" if layer.is_convolution else "or more "
        fits = call.given.dim() == axes if layer.is_convolution else call.given.dim() >= axes
        if not fits or len(call.given) != IMAGES:
            expected = f"expected {axes} {least}axes, the first that of the images"
            raise NetworkError(
                f"{path_of(name)}: its input is {list(call.given.shape)}, {expected}"
            )
    weighted = [call for call in weighted if not isinstance(call.module, tuple(NORMALISATIONS))]
    last = weighted[-1]
    defined = next(layer.name for layer in layers_of(network) if layer.is_output)
    if last.name != defined:
        raise NetworkError(
            f"{path_of(last.name)}: it is called last, and so the output layer, but {defined} is "
            "defined after it"
        )
    made = last.made.shape[-1 if isinstance(last.module, nn.Linear) else 1]
    if made != classes:
        raise NetworkError(
            f"{path_of(last.name)}: it is called last, and so the output layer, but has "
            f"{made} outputs for {classes} classes"
        )


def _pass(network: nn.Module, images: Tensor) -> list[Call]:
    """Return the calls of all modules in a pass, in the order in which they end.

    Raises:
        NetworkError: the network cannot compute the images, or changes them.
    """
    given = images.clone()
    with recorded_calls(network) as calls:
        try:
            network(given)
        except (RuntimeError, ValueError, TypeError, IndexError) as error:
            reason = str(error).splitlines()[0]
            shape = list(images.shape)
            raise NetworkError(f"the network: it cannot compute images {shape}: {reason}") from None
    if not torch.equal(given, images):
        raise NetworkError("the network: it changes the images that it is given")
    return calls


@contextmanager
def recorded_calls(network: nn.Module) -> Iterator[list[Call]]:
    """Note the calls of all modules in a network's passes, in the order in which they end."""
    calls: list[Call] = []

    def hook(name: str):
        def record(module: nn.Module, args: tuple, keywords: dict, made: Tensor) -> None:
            given = next(iter([*args, *keywords.values()]), None)
            copies = (x.clone() if isinstance(x, Tensor) else x for x in (given, made))
            calls.append(Call(name, module, *copies))

        return record

    handles = [
        module.register_forward_hook(hook(name), with_kwargs=True)
        for name, module in network.named_modules()
    ]
    try:
        yield calls
    finally:
        for handle in handles:
            handle.remove()


def _difference(calls: list[Call], others: list[Call], exact: bool) -> str:
    """Return the innermost module that makes something else of the same; empty without any.

    Args:
        calls: of a pass.
        others: of a pass of the same images, or of the first of them.
        exact: whether rounding is a difference.
    """
    if [call.name for call in calls] != [call.name for call in others]:
        return "the network: it"
    for one, other in zip(calls, others, strict=True):
        if _same(one.given, other.given, exact) and not _same(one.made, other.made, exact):
            return f"{path_of(one.name)}: {type(one.module).__name__}"
    return ""


def _same(one: Tensor, other: Tensor, exact: bool) -> bool:
    """Return whether two tensors agree; what is no tensor is left to the module around it."""
    if not (isinstance(one, Tensor) and isinstance(other, Tensor)):
        return True
    if exact:
        return torch.equal(one.nan_to_num(), other.nan_to_num())
    if one.shape[1:] != other.shape[1:]:
        return False
    one = one[: len(other)]
    limit = SAME * float(other.abs().max())
    return torch.allclose(one, other, rtol=SAME, atol=limit, equal_nan=True)


def path_of(name: str) -> str:
    """Return what a module is called in an error, by its dotted path."""
    return f"layer {name}" if name else "the network"
