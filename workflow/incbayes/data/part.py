"""The data of one part, ready for training."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Unit:
    """The mean and the standard deviation by which a target that is a number was standardised."""

    mean: float
    std: float


@dataclass(frozen=True)
class Part:
    """The data of one part, ready for training.

    Attributes:
        images: [N, C, H, W], scaled, floating point.
        labels: [N], int64, positions in the task's classes; where the target is a number
            floating point, standardised.
        available: images of the whole task, where the part is cut from a fraction of it.
        unit: by which a target that is a number was standardised; None of classes.
    """

    images: Tensor
    labels: Tensor
    available: int | None = None
    unit: Unit | None = None

    @property
    def whole(self) -> int:
        """Images of the whole task."""
        return len(self.labels) if self.available is None else self.available
