"""Where families take their standard normal draws from.

The stream is explicit, so that a run can be repeated, resumed in the middle of a
stage, or (with noise drawn beforehand) mapped over replicates.
"""

import functools
import math
from typing import Protocol

import torch
from torch import Tensor


class Noise(Protocol):
    """A source of standard normal draws."""

    def normal(self, shape: torch.Size | tuple[int, ...], like: Tensor) -> Tensor:
        """Return N(0, 1) draws of `shape`, with dtype and device of `like`."""


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


def normal_like(noise: Noise, output: Tensor) -> Tensor:
    """Return draws of the shape and the memory layout of `output`.

    Drawing into a channels-last tensor is several times slower than drawing a
    contiguous one and permuting it.
    """
    if output.dim() == 4 and output.is_contiguous(memory_format=torch.channels_last):
        n, c, h, w = output.shape
        return noise.normal((n, h, w, c), output).permute(0, 3, 1, 2)
    return noise.normal(output.shape, output)
