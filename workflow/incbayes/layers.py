"""What a Linear or Conv2d layer computes, apart from the weights it computes it with.

Families describe distributions over a layer's weights; a `Layer` tells them the
shapes and applies given weights to an input. It knows nothing of distributions.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

State = dict[str, Tensor]
"""Named tensors of one layer: variational parameters, or plain `weight` and `bias`."""


@dataclass(frozen=True)
class Layer:
    """The shape and the geometry of one layer with weights.

    Attributes:
        name: dotted path of the module in its network, e.g. `body.0`.
        kind: `linear` or `conv2d`.
        weight_shape: [O, I] or [O, I / groups, kH, kW].
        has_bias: whether a bias of shape [O] is added.
        stride, padding, dilation: [vertical, horizontal], of a convolution.
        groups: groups of a convolution.
    """

    name: str
    kind: Literal["linear", "conv2d"]
    weight_shape: tuple[int, ...]
    has_bias: bool
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1

    @classmethod
    def of(cls, name: str, module: nn.Module) -> "Layer":
        """Return the layer that `module` (an `nn.Linear` or `nn.Conv2d`) computes.

        Raises:
            TypeError: the module is of another type, or its padding is not zeros of given width.
        """
        shape, has_bias = tuple(module.weight.shape), module.bias is not None
        if isinstance(module, nn.Linear):
            return cls(name, "linear", shape, has_bias)
        if not isinstance(module, nn.Conv2d):
            raise TypeError(f"layer {name}: {type(module).__name__} is neither Linear nor Conv2d")
        if module.padding_mode != "zeros" or isinstance(module.padding, str):
            raise TypeError(f"layer {name}: padding must be zeros of a given width")
        return cls(
            name,
            "conv2d",
            shape,
            has_bias,
            module.stride,
            module.padding,
            module.dilation,
            module.groups,
        )

    @property
    def fan_in(self) -> int:
        """Inputs that feed one output unit."""
        return math.prod(self.weight_shape[1:])

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the plain weights, `weight` and, where there is one, `bias`."""
        bias = {"bias": (self.weight_shape[0],)} if self.has_bias else {}
        return {"weight": self.weight_shape, **bias}

    def apply(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Return the layer's output for x [N, I] or [N, C, H, W] under the given weights."""
        if self.kind == "linear":
            return F.linear(x, weight, bias)
        x = as_channels_last(x)
        return F.conv2d(x, weight, bias, self.stride, self.padding, self.dilation, self.groups)


def weighted_modules(network: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Yield name and module of every layer with weights, in order of definition.

    Raises:
        TypeError: a module holds parameters but is neither Linear nor Conv2d.
    """
    for name, module in network.named_modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            yield name, module
        elif any(True for _ in module.parameters(recurse=False)):
            raise TypeError(f"layer {name}: {type(module).__name__} is neither Linear nor Conv2d")


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
    """Return every layer with weights, in order of definition; the last is the output layer."""
    return [Layer.of(name, module) for name, module in weighted_modules(network)]


def plain_weights(network: nn.Module) -> dict[str, State]:
    """Return detached copies of the weights of every layer, by layer name."""
    return {
        name: {key: value.detach().clone() for key, value in module.named_parameters()}
        for name, module in weighted_modules(network)
    }
