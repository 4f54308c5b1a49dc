"""Images that are turned."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from incbayes.core.options import option
from incbayes.shifts.base import Shift

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor


@dataclass(frozen=True)
class Rotation(Shift):
    """Turned against the clock about the centre, bilinear, what comes into view black."""

    constraints: ClassVar[dict[str, Any]] = {"by_value": True}

    levels: list[int] = option(
        list(range(15, 181, 15)), "Angles in degrees, whole numbers.", minimum=1, maximum=359
    )

    def changed(self, images: "Tensor", level: float, generator: "np.random.Generator") -> "Tensor":
        """Return the images turned by `level` degrees; see `Shift`."""
        from torchvision.transforms.v2 import InterpolationMode
        from torchvision.transforms.v2.functional import rotate

        return rotate(images, float(level), interpolation=InterpolationMode.BILINEAR)
