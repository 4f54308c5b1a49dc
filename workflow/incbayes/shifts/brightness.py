"""Images in another light."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from incbayes.core.options import option
from incbayes.shifts.base import Shift

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor


@dataclass(frozen=True)
class Brightness(Shift):
    """Pixels times a factor, cut at 255."""

    levels: list[float] = option(
        [0.8, 0.6, 0.4, 0.3, 0.2],
        "Factors; below 1 darker.",
        minimum=0,
        maximum=100,
    )

    def changed(self, images: "Tensor", level: float, generator: "np.random.Generator") -> "Tensor":
        """Return the images with pixels times `level`; see `Shift`."""
        from torchvision.transforms.v2.functional import adjust_brightness

        return adjust_brightness(images, float(level))
