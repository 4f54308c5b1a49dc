"""Test images whose pixels are out of place."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor


@dataclass(frozen=True)
class Shuffled:
    """The test images themselves with their pixels in another order, one for all images.

    The order is drawn anew for each replicate, the same for all methods; the channels of a
    pixel stay together. So every pixel's value is there, and no shape.
    """

    def made(self, images: "Tensor", generator: "np.random.Generator") -> "Tensor":
        """Return the outliers.

        Args:
            images: stored pixels, uint8 [N, C, H, W].
            generator: of the order.
        """
        order = generator.permutation(math.prod(images.shape[2:]))
        return images.flatten(2)[:, :, order].reshape(images.shape)
