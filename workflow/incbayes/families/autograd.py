"""What autograd functions with hand-written gradients have in common. Knows torch only."""

import inspect
from collections.abc import Sequence

import torch
from torch import Tensor


def signed(function: type[torch.autograd.Function]) -> type[torch.autograd.Function]:
    """Note the signature of `forward`, which torch otherwise inspects anew at every call."""
    function.forward.__signature__ = inspect.signature(function.forward)
    return function


def leading(size: int, in_dims: Sequence[int | None], inputs: Sequence[Tensor]) -> list[Tensor]:
    """Return inputs whose first axis is the mapped one, for a rule of `vmap`.

    Generated rules take their arguments apart in Python at every call, which lasts longer
    than the arithmetic on a GPU.

    Args:
        size: of the mapped axis.
        in_dims: the mapped axis of each input; None for an input that is the same throughout.
        inputs: of the function.
    """
    return [
        value.expand(size, *value.shape) if dim is None else value.movedim(dim, 0)
        for value, dim in zip(inputs, in_dims, strict=True)
    ]
