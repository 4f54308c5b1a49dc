"""Where families take their standard normal draws from.

The stream is explicit, so that a run can be repeated, resumed in the middle of a
stage, or (with noise drawn beforehand) mapped over replicates.
"""

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor


class Noise(Protocol):
    """A source of standard normal draws."""

    def normal(self, shape: torch.Size | tuple[int, ...], like: Tensor) -> Tensor:
        """Return N(0, 1) draws of `shape`, with dtype and device of `like`."""

    def normal_like(self, output: Tensor) -> Tensor:
        """Return N(0, 1) draws of the shape of `output`, in a memory layout that suits it."""


class GeneratorNoise:
    """Draws from a `torch.Generator`, whose state is the whole state of the source."""

    def __init__(self, generator: torch.Generator):
        """Draw from `generator`; its device must be that of the network."""
        self.generator = generator

    def normal(self, shape: torch.Size | tuple[int, ...], like: Tensor) -> Tensor:
        """Return N(0, 1) draws of `shape`, with dtype and device of `like`.

        In bfloat16 on a CPU they are quantiles of N(0, 1) at one of 2^16 even steps, picked at
        random: as fine as that type is but in the last 1/65536 of the tails, with the same
        variance, and in half the time (`python benchmarks/noise.py`).
        """
        if like.dtype == torch.bfloat16 and like.device.type == "cpu":
            return self._quantiles(shape)
        return torch.randn(shape, generator=self.generator, dtype=like.dtype, device=like.device)

    def normal_like(self, output: Tensor) -> Tensor:
        """Return N(0, 1) draws of the shape and the memory layout of `output`."""
        shape, axes = drawn_layout(output)
        return self.normal(shape, output).permute(axes)

    def _quantiles(self, shape: torch.Size | tuple[int, ...]) -> Tensor:
        count = math.prod(shape)
        words = torch.empty(-(-count // 4), dtype=torch.int64)
        words.random_(-(2**63), None, generator=self.generator)
        places = words.view(torch.int16)[:count].to(torch.int32).add_(2**15)
        return _normal_quantiles().index_select(0, places).view(shape)


@functools.cache
def _normal_quantiles() -> Tensor:
    """Return the quantiles of N(0, 1) in the middles of 2^16 steps, of unit variance; bfloat16."""
    places = (torch.arange(2**16, dtype=torch.float64) + 0.5) / 2**16
    quantiles = torch.special.ndtri(places)
    return (quantiles / quantiles.square().mean().sqrt()).to(torch.bfloat16)


@dataclass(frozen=True)
class Request:
    """What a network asks its noise for, so that it can be drawn beforehand.

    Attributes:
        shape: of the draws.
        axes: the order of axes that the network gets them in.
        like: an empty tensor of their dtype and device.
    """

    shape: tuple[int, ...]
    axes: tuple[int, ...]
    like: Tensor

    def draw(self, sources: Sequence[Noise]) -> Tensor:
        """Return what each of R sources gives for this request, stacked: [R, ...]."""
        draws = torch.stack([source.normal(self.shape, self.like) for source in sources])
        return draws.permute(0, *(1 + axis for axis in self.axes))


class Requests:
    """Notes what is asked for, in order, and answers with zeros."""

    def __init__(self) -> None:
        """Start with an empty list."""
        self.made: list[Request] = []

    def normal(self, shape: torch.Size | tuple[int, ...], like: Tensor) -> Tensor:
        """Return zeros of `shape`, with dtype and device of `like`."""
        self.made.append(Request(tuple(shape), tuple(range(len(shape))), like.new_empty(0)))
        return like.new_zeros(shape)

    def normal_like(self, output: Tensor) -> Tensor:
        """Return zeros of the shape and the memory layout of `output`."""
        self.made.append(Request(*drawn_layout(output), output.new_empty(0)))
        return torch.zeros_like(output)


class Drawn:
    """Hands out draws made beforehand, in the order of the requests."""

    def __init__(self, draws: Sequence[Tensor]):
        """Hand out `draws` from the first on."""
        self._draws = iter(draws)

    def normal(self, shape: torch.Size | tuple[int, ...], like: Tensor) -> Tensor:
        """Return the next draws.

        Raises:
            ValueError: they are of another shape: the requests were others.
        """
        draws = next(self._draws)
        if draws.shape != torch.Size(shape):
            raise ValueError(f"noise: found draws {tuple(draws.shape)}, asked for {tuple(shape)}")
        return draws

    def normal_like(self, output: Tensor) -> Tensor:
        """Return the next draws, in whatever layout they were made."""
        return self.normal(output.shape, output)


def drawn_layout(output: Tensor) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the shape to draw for `output`, and the order of axes that then gives its layout.

    Drawing into a channels-last tensor is several times slower than drawing a
    contiguous one and permuting it.
    """
    if output.dim() == 4 and output.is_contiguous(memory_format=torch.channels_last):
        n, c, h, w = output.shape
        return (n, h, w, c), (0, 3, 1, 2)
    return tuple(output.shape), tuple(range(output.dim()))
