"""What a layer with weights computes, apart from the weights it computes it with.

Families describe distributions over a layer's weights; a `Layer` tells them the
shapes and applies given weights to an input. A `Normalisation` has scales and shifts for weights,
and may have running statistics beside them. Neither knows anything of distributions.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from incbayes.core.errors import UserError

State = dict[str, Tensor]
"""Named tensors of one layer: variational parameters, or plain `weight` and `bias`."""

Kind = Literal[
    "linear",
    "embedding",
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "normalisation",
]

KINDS: dict[type[nn.Module], Kind] = {
    nn.Linear: "linear",
    nn.Embedding: "embedding",
    nn.Conv1d: "conv1d",
    nn.Conv2d: "conv2d",
    nn.Conv3d: "conv3d",
    nn.ConvTranspose1d: "conv_transpose1d",
    nn.ConvTranspose2d: "conv_transpose2d",
    nn.ConvTranspose3d: "conv_transpose3d",
}
"""Modules whose weights a family can be over."""

PAD_MODES = {"zeros": "constant", "reflect": "reflect", "replicate": "replicate"}
PAD_MODES |= {"circular": "circular"}
"""What `F.pad` calls a `padding_mode`."""

NO_OPTION = {"padding_idx": None, "max_norm": None, "scale_grad_by_freq": False, "sparse": False}
"""Options of an Embedding under which it changes its weights, or treats some as no weights."""


class NetworkError(UserError, TypeError):
    """A network of which a posterior over the weights of its layers would not be all."""


@dataclass(frozen=True)
class Layer:
    """The shape and the geometry of one layer with weights.

    Attributes:
        name: dotted path of the module in its network, e.g. `body.0`.
        kind: what it computes.
        weight_shape: [O, I], [V, E] of an embedding of V numbers, [O, I / groups, *kernel] of a
            convolution, [I, O / groups, *kernel] of a transposed one.
        has_bias: whether a bias of shape [O] is added.
        stride, padding, dilation: of a convolution, for each axis of its kernel.
        groups: groups of a convolution.
        output_padding: of a transposed convolution, for each axis.
        border: what is put around the input before, as `F.pad` takes it; empty for nothing.
        border_mode: of `F.pad`.
        is_output: whether it makes the outputs of the network.
        is_input: whether it is the first, which the data feed.
    """

    name: str
    kind: Kind
    weight_shape: tuple[int, ...]
    has_bias: bool
    stride: tuple[int, ...] = (1, 1)
    padding: tuple[int, ...] = (0, 0)
    dilation: tuple[int, ...] = (1, 1)
    groups: int = 1
    output_padding: tuple[int, ...] = ()
    border: tuple[int, ...] = ()
    border_mode: str = "constant"
    is_output: bool = False
    is_input: bool = False

    @classmethod
    def of(
        cls, name: str, module: nn.Module, is_output: bool = False, is_input: bool = False
    ) -> "Layer":
        """Return the layer that `module`, one of `KINDS` or `NORMALISATIONS`, computes.

        Raises:
            NetworkError: the module is of another type, or has an option that is not supported.
        """
        if isinstance(module, tuple(NORMALISATIONS)):
            return normalisation_of(name, module)
        kind = next((KINDS[base] for base in type(module).__mro__ if base in KINDS), None)
        if kind is None:
            raise NetworkError(f"layer {name}: {type(module).__name__} is of no kind known")
        shape, has_bias = tuple(module.weight.shape), getattr(module, "bias", None) is not None
        if kind == "embedding":
            for option, usual in NO_OPTION.items():
                if getattr(module, option) != usual:
                    raise NetworkError(f"layer {name}: Embedding with {option} is not supported")
        geometry = _geometry(module, kind) if kind.startswith("conv") else {}
        return Layer(
            name, kind, shape, has_bias, is_output=is_output, is_input=is_input, **geometry
        )

    @property
    def buffers(self) -> tuple[str, ...]:
        """Names of tensors of the state that are no weights, and that a pass may change."""
        return ()

    @property
    def is_convolution(self) -> bool:
        """Whether its weights are kernels."""
        return self.kind.startswith("conv")

    @property
    def is_transposed(self) -> bool:
        """Whether it is a transposed convolution."""
        return self.kind.startswith("conv_transpose")

    @property
    def kernel(self) -> tuple[int, ...]:
        """Sides of a convolution's kernel; empty of other layers."""
        return self.weight_shape[2:]

    @property
    def outputs(self) -> int:
        """Number O of output units, or channels."""
        if self.kind == "embedding":
            return self.weight_shape[1]
        return self.weight_shape[1] * self.groups if self.is_transposed else self.weight_shape[0]

    @property
    def fan_in(self) -> int:
        """Inputs that feed one output unit.

        Of an embedding one, as one number is chosen. Of a transposed convolution it differs by
        position: the mean, at least one.
        """
        if self.kind == "embedding":
            return 1
        if self.is_transposed:
            feeding = self.weight_shape[0] // self.groups * math.prod(self.kernel)
            return max(1, feeding // math.prod(self.stride))
        return math.prod(self.weight_shape[1:])

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the plain weights, `weight` and, where there is one, `bias`."""
        bias = {"bias": (self.outputs,)} if self.has_bias else {}
        return {"weight": self.weight_shape, **bias}

    def apply(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Return the layer's output under the given weights.

        Args:
            x: [N, …, I], [N, C, *sides] of a convolution, whole numbers [N, …] of an embedding.
            weight: of `weight_shape`.
            bias: [O], or None.
        """
        if self.kind == "linear":
            return F.linear(x, weight, bias)
        if self.kind == "embedding":
            return F.embedding(x, weight)
        if len(self.kernel) == 2:
            x = as_channels_last(x)
        if self.border:
            x = F.pad(x, self.border, self.border_mode)
        if self.is_transposed:
            return TRANSPOSED[self.kind](
                x,
                weight,
                bias,
                self.stride,
                self.padding,
                self.output_padding,
                self.groups,
                self.dilation,
            )
        return DIRECT[self.kind](
            x, weight, bias, self.stride, self.padding, self.dilation, self.groups
        )

    def variance(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Return the variance of each output for x, of weights that are independent.

        Args:
            x: as of `apply`.
            weight: variances, of `weight_shape`.
            bias: variances [O], or None.
        """
        return self.apply(x if self.kind == "embedding" else x.square(), weight, bias)

    def padded(self, x: Tensor) -> Tensor:
        """Return a convolution's input with all that is put around it."""
        if self.border:
            x = F.pad(x, self.border, self.border_mode)
        sides = [side for width in reversed(self.padding) for side in (width, width)]
        return F.pad(x, sides)

    def unit_shape(self, values: Tensor) -> tuple[int, ...]:
        """Return the shape of a number for each image and channel, or last axis, of [N, …]."""
        axis = 1 if self.is_convolution else values.ndim - 1
        return tuple(n if at in (0, axis) else 1 for at, n in enumerate(values.shape))

    def over_positions(self, values: Tensor) -> Tensor:
        """Return values [..., O] of the outputs so that they broadcast over positions."""
        return values[(..., *(None,) * len(self.kernel))]


@dataclass(frozen=True)
class Normalisation(Layer):
    """A BatchNorm, LayerNorm or GroupNorm: weights are its scales and shifts, if it has any.

    Attributes:
        over: what is normalised: each channel over a `batch`, the last axes of a `layer`, or each
            `group` of channels.
        eps: added to a variance.
        momentum: weight of a minibatch in the running statistics of a `batch`.
        affine: whether there are scales and shifts.
    """

    over: Literal["batch", "layer", "group"] = "batch"
    eps: float = 1e-5
    momentum: float = 0.1
    affine: bool = True

    @property
    def buffers(self) -> tuple[str, ...]:
        """Names of the running statistics, [C] each."""
        return ("running_mean", "running_var") if self.over == "batch" else ()

    @property
    def fan_in(self) -> int:
        """One: a scale feeds one unit."""
        return 1

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of `weight` and `bias`; empty without."""
        if not self.affine:
            return {}
        bias = {"bias": self.weight_shape} if self.has_bias else {}
        return {"weight": self.weight_shape, **bias}

    def normalised(self, x: Tensor, weights: State, running: State, training: bool) -> Tensor:
        """Return x, normalised, scaled and shifted.

        Args:
            x: [N, C, …], of a `layer` [N, …, *weight_shape].
            weights: plain `weight` and `bias`, those that there are.
            running: the tensors of `buffers`, which training changes in place.
            training: whether a batch's own statistics count, not the running ones.
        """
        scale, shift = weights.get("weight"), weights.get("bias")
        if self.over == "layer":
            return F.layer_norm(x, self.weight_shape, scale, shift, self.eps)
        if self.over == "group":
            return F.group_norm(x, self.groups, scale, shift, self.eps)
        mean, variance = (running[key] for key in self.buffers)
        return F.batch_norm(x, mean, variance, scale, shift, training, self.momentum, self.eps)


NORMALISATIONS: dict[type[nn.Module], Literal["batch", "layer", "group"]] = {
    nn.BatchNorm1d: "batch",
    nn.BatchNorm2d: "batch",
    nn.BatchNorm3d: "batch",
    nn.LayerNorm: "layer",
    nn.GroupNorm: "group",
}
"""Modules that normalise and are supported."""


def normalisation_of(name: str, module: Any) -> Normalisation:
    """Return what a module of `NORMALISATIONS` computes.

    Raises:
        NetworkError: it has no running statistics, or averages them over all minibatches.
    """
    over = next(NORMALISATIONS[base] for base in type(module).__mro__ if base in NORMALISATIONS)
    kind, momentum = type(module).__name__, getattr(module, "momentum", 0.1)
    if over == "batch" and (module.running_mean is None or momentum is None):
        lacking = "momentum" if module.running_mean is not None else "running statistics"
        raise NetworkError(f"layer {name}: {kind} without {lacking} is not supported")
    affine = module.weight is not None
    shape = tuple(module.weight.shape) if affine else ()
    groups = module.num_groups if over == "group" else 1
    return Normalisation(
        name,
        "normalisation",
        shape,
        affine and module.bias is not None,
        groups=groups,
        over=over,
        eps=module.eps,
        momentum=momentum,
        affine=affine,
    )


DIRECT: dict[str, Any] = {"conv1d": F.conv1d, "conv2d": F.conv2d, "conv3d": F.conv3d}
TRANSPOSED: dict[str, Any] = {
    "conv_transpose1d": F.conv_transpose1d,
    "conv_transpose2d": F.conv_transpose2d,
    "conv_transpose3d": F.conv_transpose3d,
}


def _geometry(module: Any, kind: str) -> dict[str, Any]:
    """Return stride, padding and the like of a convolution."""
    found: dict[str, Any] = {
        key: getattr(module, key) for key in ("stride", "padding", "dilation", "groups")
    }
    if kind.startswith("conv_transpose"):
        return found | {"output_padding": module.output_padding}
    none, around = (0,) * len(module.stride), tuple(module._reversed_padding_repeated_twice)
    if module.padding == "valid":
        return found | {"padding": none}
    mode = PAD_MODES[module.padding_mode]
    if module.padding == "same" and mode == "constant" and around[::2] == around[1::2]:
        return found | {"padding": around[::-2]}
    if module.padding == "same" or mode != "constant":
        return found | {"padding": none, "border": around, "border_mode": mode}
    return found


def weighted_modules(network: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Yield name and module of every layer with weights, in order of definition.

    Raises:
        NetworkError: a module holds parameters but is no layer that is supported.
    """
    for name, module in network.named_modules():
        if isinstance(module, tuple(KINDS)) or _has_state(module):
            yield name, module
        elif any(True for _ in module.parameters(recurse=False)):
            kind, path = type(module).__name__, f"layer {name}" if name else "the network"
            raise NetworkError(f"{path}: {kind} holds parameters, and is no layer of a kind known")


def _has_state(module: nn.Module) -> bool:
    """Return whether a module normalises, and has scales, shifts or running statistics."""
    held = [*module.parameters(recurse=False), *module.buffers(recurse=False)]
    return isinstance(module, tuple(NORMALISATIONS)) and bool(held)


def channels_last(tensor: Tensor) -> Tensor:
    """Return a copy in the layout that convolutions are fastest in, where it is 4-dimensional.

    A convolution's output takes the layout of its weight, and the next layer's input is that.
    """
    if tensor.dim() == 4:
        return tensor.clone(memory_format=torch.channels_last)
    return tensor.clone()


def as_channels_last(x: Tensor) -> Tensor:
    """Return images of one channel in strides that say channels last; others as they are.

    With one channel both layouts are the same bytes, and elementwise operations forget which
    was meant: a convolution would then compute in either, and its outputs could not be
    combined without a copy.
    """
    return x.squeeze(1).unsqueeze(-1).movedim(-1, 1) if x.shape[1] == 1 else x


def layers_of(network: nn.Module) -> list[Layer]:
    """Return every layer with weights, in order of definition; the last is the output layer.

    Only normalisation may come after it. `fed_by_data` of a network: how many the data feed, or 1.
    """
    modules = list(weighted_modules(network))
    named = [name for name, module in modules if isinstance(module, tuple(KINDS))]
    first, last = named[: getattr(network, "fed_by_data", 1)], named[-1:]
    return [Layer.of(name, module, name in last, name in first) for name, module in modules]


def without_output(layers: list[Layer]) -> list[Layer]:
    """Return a network's layers but the output layer."""
    weighted = [layer for layer in layers if layer.kind != "normalisation"]
    return [layer for layer in layers if layer is not weighted[-1]]


def plain_weights(network: nn.Module) -> dict[str, State]:
    """Return detached copies of weights and running statistics of every layer, by layer name."""
    weights: dict[str, State] = {}
    for name, module in weighted_modules(network):
        named = [(key, getattr(module, key)) for key in Layer.of(name, module).buffers]
        named = [*module.named_parameters(), *named]
        weights[name] = {key: value.detach().clone() for key, value in named}
    return weights
