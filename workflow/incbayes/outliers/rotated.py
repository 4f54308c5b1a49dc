"""Test images on their side."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor


@dataclass(frozen=True)
class Rotated:
    """The test images themselves, turned by 90° against the clock, without interpolation."""

    constraints: ClassVar[dict[str, Any]] = {"square": True}

    def made(self, images: "Tensor", generator: "np.random.Generator") -> "Tensor":
        """Return the outliers.

        Args:
            images: stored pixels, uint8 [N, C, H, H].
            generator: not used.
        """
        return images.rot90(1, (2, 3))
