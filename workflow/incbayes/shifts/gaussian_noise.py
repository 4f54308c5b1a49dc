"""Images with Gaussian noise."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from incbayes.core.options import option
from incbayes.shifts.base import Shift

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class GaussianNoise(Shift):
    """Gaussian noise on every pixel and channel, rounded and cut to 0 … 255."""

    levels: list[float] = option(
        [0.08, 0.12, 0.18, 0.26, 0.38],
        "Standard deviations, of pixels from 0 to 1; by default those of ImageNet-C (Hendrycks and "
        "Dietterich 2019).",
        exclusiveMinimum=0,
        maximum=10,
    )

    def changed(self, images: "Tensor", level: float, generator: "np.random.Generator") -> "Tensor":
        """Return the images with noise of standard deviation `level`; see `Shift`."""
        import torch

        # From the stream, which torchvision's own noise does not take.
        noise = torch.from_numpy(generator.standard_normal(images.shape, dtype=np.float32))
        return (images + 255 * level * noise).round().clamp(0, 255).to(torch.uint8)
