"""Images of less contrast."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from incbayes.core.options import option
from incbayes.shifts.base import Shift

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor


@dataclass(frozen=True)
class Contrast(Shift):
    """Pixels drawn to the mean grey of their image."""

    levels: list[float] = option(
        [0.4, 0.3, 0.2, 0.1, 0.05],
        "Factors of the distance to the mean; by default those of ImageNet-C "
        "(Hendrycks and Dietterich 2019).",
        minimum=0,
        maximum=100,
    )

    def changed(self, images: "Tensor", level: float, generator: "np.random.Generator") -> "Tensor":
        """Return the images with `level` times their contrast; see `Shift`."""
        from torchvision.transforms.v2.functional import adjust_contrast

        return adjust_contrast(images, float(level))
