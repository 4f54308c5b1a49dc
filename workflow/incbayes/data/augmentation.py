"""Random crops and flips of the images of a minibatch, as on CIFAR-10 in He et al. (2016), 4.2.

It knows images and draws; which images are augmented, and from which stream, is for training.
"""

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from incbayes.study.model.fitting import AugmentationSettings


@dataclass(frozen=True)
class Augmentation:
    """A crop of each image, padded with zeros, of its own size, and a flip in half of them.

    Attributes:
        crop: width of the padding on every side, in pixels; 0 for no crop.
        flip: whether left and right are exchanged with probability 1/2.
    """

    crop: int
    flip: bool

    @classmethod
    def of(cls, settings: Any) -> "Augmentation | None":
        """Return what a study states; None where it states nothing."""
        if not isinstance(settings, AugmentationSettings):
            return None
        return cls(settings.crop, settings.flip)

    def draws(self, count: int, generator: torch.Generator) -> Tensor:
        """Return for `count` images offsets of row and column, and whether each is flipped.

        Args:
            count: N.
            generator: on the CPU, so that crops are the same whatever device trains.

        Returns:
            int64 [3, N]; offsets from 0 to twice `crop`.
        """
        offsets = torch.randint(2 * self.crop + 1, (2, count), generator=generator)
        flips = torch.randint(2, (1, count), generator=generator)
        return torch.cat([offsets, flips if self.flip else torch.zeros_like(flips)])

    def applied(self, images: Tensor, draws: Tensor) -> Tensor:
        """Return the augmented images.

        Args:
            images: [B, C, H, W], scaled: zero is where a `standard` scaling puts the mean.
            draws: of these images, [3, B], on their device.
        """
        height, width = images.shape[2:]
        padded = F.pad(images, [self.crop] * 4)
        rows = draws[0][:, None] + torch.arange(height, device=images.device)
        columns = draws[1][:, None] + torch.arange(width, device=images.device)
        columns = torch.where(draws[2][:, None] == 1, columns.flip(1), columns)
        of = torch.arange(len(images), device=images.device)[:, None, None]
        return padded[of, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
