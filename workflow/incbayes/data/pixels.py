"""Pixel scalings: from stored bytes to what a network sees.

Knows the formulas and which images' mean and standard deviation they take; whose images these
are, and how the numbers go from stage to stage, is the jobs' affair.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from incbayes.core.options import option
from incbayes.data.raw import DataError

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class PixelStatistics:
    """Mean and standard deviation per channel of pixels divided by 255.

    Attributes:
        mean: [C].
        std: [C].
    """

    mean: Sequence[float]
    std: Sequence[float]


@dataclass(frozen=True)
class Standard:
    """Per channel (x/255 - mean)/std, with mean and std of the pixels of training images."""

    formula: ClassVar[str] = "(x / 255 - mean) / std, by channel"

    statistics: Literal["first", "all"] = option(
        "first",
        "Of which training images mean and std are. `first`: of those that a chain sees first, in "
        "each replicate: the source task's where the experiment trains on one, those of "
        "`pretrain.data` where that is given, else part 1; every later stage and all scoring use "
        "the same numbers. `all`: of all training images of the "
        "data set, parts that have not arrived among them.",
    )
    mean: list[float] | None = option(
        None,
        "Mean of each channel, of pixels divided by 255, given in place of `statistics`.",
        minimum=-1e3,
        maximum=1e3,
    )
    std: list[float] | None = option(
        None,
        "Standard deviation of each channel, given with `mean`.",
        minimum=1e-6,
        maximum=1e3,
    )

    @property
    def of_first_images(self) -> bool:
        """Whether mean and std are of a replicate's first images, and so handed on."""
        return self.statistics == "first" and self.mean is None

    def numbers(
        self, everything: PixelStatistics, first: Callable[[], PixelStatistics]
    ) -> PixelStatistics:
        """Return the mean and std that this scaling takes.

        Args:
            everything: of all training images of the data set.
            first: returns those of a replicate's first images.

        Raises:
            DataError: a channel is constant, so that its std is 0.
        """
        if self.mean is not None and self.std is not None:
            return PixelStatistics(self.mean, self.std)
        found = first() if self.of_first_images else everything
        if min(found.std) <= 0:
            whose, other = "all training images", ""
            if self.of_first_images:
                whose, other = "the first images", "statistics: all, "
            raise DataError(
                f"pixels: standard: the std of {whose} is {list(found.std)}, and a channel that is "
                f"constant cannot be standardised; use {other}mean and std of your own, or pixels: "
                "{kind: divide}"
            )
        return found

    def scale(self, images: torch.Tensor, numbers: PixelStatistics) -> torch.Tensor:
        """Return the scaled images, float32 [N, C, H, W] on the device of `images`.

        Args:
            images: uint8 [N, C, H, W].
            numbers: from `numbers`.
        """
        offset = images.new_tensor(numbers.mean, dtype=_float32()).view(1, -1, 1, 1)
        width = images.new_tensor(numbers.std, dtype=_float32()).view(1, -1, 1, 1)
        return (images.to(_float32()) / 255 - offset) / width

    def words(self, pretrained: bool) -> str:
        """Return for a report by which numbers the images of an experiment are scaled.

        Args:
            pretrained: whether the experiment has a source task that is trained on.
        """
        if self.mean is not None and self.std is not None:
            mean, std = (", ".join(f"{v:g}" for v in values) for values in (self.mean, self.std))
            return f"standard, by a given mean [{mean}] and standard deviation [{std}]"
        whose = "part 1" if not pretrained else "the source task"
        if self.statistics == "all":
            whose = "all training images, parts that have not arrived among them"
        return f"standard, by mean and standard deviation of {whose}"


@dataclass(frozen=True)
class Divide:
    """x/by for pixels x of 0..255; 126 is what Wohlert et al. (2017) divide by."""

    formula: ClassVar[str] = "x / by"

    by: float = option(
        126.0, "Number that the pixels, 0 to 255, are divided by.", minimum=1e-3, maximum=1e6
    )

    @property
    def of_first_images(self) -> bool:
        """Whether it takes numbers of a replicate's first images: no."""
        return False

    def numbers(self, everything: PixelStatistics, first: Callable[[], PixelStatistics]) -> None:
        """Return None: it takes no mean and no std."""
        return

    def scale(self, images: torch.Tensor, numbers: None) -> torch.Tensor:
        """Return the scaled images, float32 [N, C, H, W] on the device of `images`.

        Args:
            images: uint8 [N, C, H, W].
            numbers: none; every scaling takes the same arguments.
        """
        return images.to(_float32()) / self.by

    def words(self, pretrained: bool) -> str:
        """Return for a report how the images of an experiment are scaled."""
        return f"divided by {self.by:g}"


def _float32() -> torch.dtype:
    """Return torch.float32; a study is planned without the import of torch."""
    import torch

    return torch.float32
