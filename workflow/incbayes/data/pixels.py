"""Pixel scalings: from stored bytes to what a network sees.

Knows the formulas only; the training set's mean and standard deviation come from the
checksums file of the prepared data.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from incbayes.data.raw import DataError
from incbayes.options import option

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Standard:
    """Per channel (x/255 - mean)/std, with mean and std of the training pixels."""

    def scale(
        self, images: torch.Tensor, mean: Sequence[float], std: Sequence[float]
    ) -> torch.Tensor:
        """Return the scaled images, float32 [N, C, H, W] on the device of `images`.

        Args:
            images: uint8 [N, C, H, W].
            mean: [C], of the training pixels divided by 255.
            std: [C], of the same, each above 0.

        Raises:
            DataError: a channel is constant, so that its std is 0.
        """
        if min(std) <= 0:
            raise DataError(
                f"pixels: standard: the training pixels' std is {list(std)}, and a channel that "
                "is constant cannot be standardised; use pixels: {kind: divide}"
            )
        offset = images.new_tensor(mean, dtype=_float32()).view(1, -1, 1, 1)
        width = images.new_tensor(std, dtype=_float32()).view(1, -1, 1, 1)
        return (images.to(_float32()) / 255 - offset) / width


@dataclass(frozen=True)
class Divide:
    """x/by for pixels x of 0..255; 126 is what Wohlert et al. (2017) divide by."""

    by: float = option(
        126.0, "Number that the pixels, 0 to 255, are divided by.", exclusiveMinimum=0
    )

    def scale(
        self, images: torch.Tensor, mean: Sequence[float], std: Sequence[float]
    ) -> torch.Tensor:
        """Return the scaled images, float32 [N, C, H, W] on the device of `images`.

        Args:
            images: uint8 [N, C, H, W].
            mean: not used; every scaling takes the same arguments.
            std: not used.
        """
        return images.to(_float32()) / self.by


def _float32() -> torch.dtype:
    """Return torch.float32; a study is planned without the import of torch."""
    import torch

    return torch.float32
