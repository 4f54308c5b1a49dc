"""Images out of focus."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from incbayes.core.options import option
from incbayes.shifts.base import Shift

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor


@dataclass(frozen=True)
class Blur(Shift):
    """Blurred by a Gaussian, as torchvision does it."""

    levels: list[float] = option(
        [0.4, 0.6, 0.7, 0.8, 1.0],
        "Standard deviations in pixels; by default those of CIFAR-10-C "
        "(Hendrycks and Dietterich 2019).",
        minimum=0.01,
        maximum=100,
    )

    def changed(self, images: "Tensor", level: float, generator: "np.random.Generator") -> "Tensor":
        """Return the images blurred by a Gaussian of `level` pixels; see `Shift`."""
        from torchvision.transforms.v2.functional import gaussian_blur

        reach = min(int(3 * level) + 1, min(images.shape[2:]) - 1)  # what it leaves out is < 0.3 %
        return gaussian_blur(images, [2 * reach + 1] * 2, [float(level)] * 2)
