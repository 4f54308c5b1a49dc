"""Where families take their standard normal draws from.

The stream is explicit, so that a run can be repeated, resumed in the middle of a
stage, or (with noise drawn beforehand) mapped over replicates.
"""

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
        """Return N(0, 1) draws of `shape`, with dtype and device of `like`."""
        return torch.randn(shape, generator=self.generator, dtype=like.dtype, device=like.device)


def normal_like(noise: Noise, output: Tensor) -> Tensor:
    """Return draws of the shape and the memory layout of `output`.

    Drawing into a channels-last tensor is several times slower than drawing a
    contiguous one and permuting it.
    """
    if output.dim() == 4 and output.is_contiguous(memory_format=torch.channels_last):
        n, c, h, w = output.shape
        return noise.normal((n, h, w, c), output).permute(0, 3, 1, 2)
    return noise.normal(output.shape, output)
