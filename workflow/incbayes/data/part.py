"""The data of one part, ready for training."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Part:
    """The data of one part, ready for training.

    Attributes:
        images: [N, C, H, W], scaled, floating point.
        labels: [N], int64, positions in the task's classes.
        available: images of the whole task, where the part is cut from a fraction of it.
    """

    images: Tensor
    labels: Tensor
    available: int | None = None

    @property
    def whole(self) -> int:
        """Images of the whole task."""
        return len(self.labels) if self.available is None else self.available
