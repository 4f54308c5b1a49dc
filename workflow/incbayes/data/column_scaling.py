"""The scaling of a table's columns: from values to what a network sees.

Knows the formula and which rows' mean and standard deviation it takes, as `pixels` does of images.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from incbayes.core.options import option
from incbayes.data.pixels import PixelStatistics

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Columns:
    """Of a table: per column (x - mean)/std, with mean and std of training rows.

    A missing value becomes the mean, which is 0 then. Columns that are 1 or 0 for a category stay
    as they are. A target that is a number is standardised by the same rows, and what is predicted
    of it is given in its own unit.
    """

    formula: ClassVar[str] = "(x - mean) / std, by column; 0 where x is missing"
    constraints: ClassVar[dict[str, Any]] = {"of": "columns"}

    statistics: Literal["first", "all"] = option(
        "first",
        "Of which training rows mean and std are. `first`: of those that a chain sees first, in "
        "each replicate: the source task's where the experiment trains on one, those of "
        "`pretrain.data` where that is given, else part 1; every later stage and all scoring use "
        "the same numbers. `all`: of all training rows of the data "
        "set, parts that have not arrived among them.",
    )

    @property
    def of_first_images(self) -> bool:
        """Whether mean and std are of a replicate's first rows, and so handed on."""
        return self.statistics == "first"

    def numbers(
        self, everything: PixelStatistics, first: Callable[[], PixelStatistics]
    ) -> PixelStatistics:
        """Return the mean and std that this scaling takes.

        Args:
            everything: of all training rows of the data set.
            first: returns those of a replicate's first rows.
        """
        return first() if self.of_first_images else everything

    def scale(self, images: torch.Tensor, numbers: PixelStatistics) -> torch.Tensor:
        """Return the scaled columns, float32 [N, D, 1, 1] on the device of `images`.

        Args:
            images: the values, float64 [N, D, 1, 1], NaN where one is missing.
            numbers: from `numbers`, [D], or [D + 1] with those of the target last.
        """
        columns = images.shape[1]
        mean = images.new_tensor(numbers.mean[:columns]).view(1, -1, 1, 1)
        width = images.new_tensor(numbers.std[:columns]).view(1, -1, 1, 1)
        return ((images - mean) / width).nan_to_num(nan=0.0).float()

    def words(self, pretrained: bool) -> str:
        """Return for a report by which numbers the columns of an experiment are scaled.

        Args:
            pretrained: whether the experiment has a source task that is trained on.
        """
        whose = "part 1" if not pretrained else "the source task"
        if self.statistics == "all":
            whose = "all training rows, parts that have not arrived among them"
        return f"columns, by mean and standard deviation of {whose}"
