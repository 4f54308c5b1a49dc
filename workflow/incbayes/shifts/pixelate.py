"""Images of fewer pixels."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from incbayes.core.options import option
from incbayes.shifts.base import Shift

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor


@dataclass(frozen=True)
class Pixelate(Shift):
    """Made smaller, averaging, and large again, each pixel a block."""

    levels: list[float] = option(
        [0.6, 0.5, 0.4, 0.3, 0.25],
        "Shares of height and width that are left; by default those of ImageNet-C "
        "(Hendrycks and Dietterich 2019).",
        exclusiveMinimum=0,
        maximum=1,
    )

    def changed(self, images: "Tensor", level: float, generator: "np.random.Generator") -> "Tensor":
        """Return the images with a share `level` of their rows and columns; see `Shift`."""
        from torchvision.transforms.v2 import InterpolationMode
        from torchvision.transforms.v2.functional import resize

        size = list(images.shape[2:])
        fewer = [max(1, round(level * side)) for side in size]
        small = resize(images, fewer, interpolation=InterpolationMode.BILINEAR, antialias=True)
        return resize(small, size, interpolation=InterpolationMode.NEAREST_EXACT)
