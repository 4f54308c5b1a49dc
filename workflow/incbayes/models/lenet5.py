"""LeNet-5-Caffe as in Table 1 of Kochurov et al. (2018)."""

from dataclasses import dataclass
from typing import Any, ClassVar

from torch import nn


@dataclass(frozen=True)
class LeNet5:
    """LeNet-5-Caffe: two 5x5 convolutions, two dense layers (Kochurov et al. 2018, Table 1).

    The table prints stride 1 for the pooling; its own shapes (24 to 12, 8 to 4) are those
    of stride 2, which is what is built. ReLU follows the pooling, which commutes with it.
    """

    constraints: ClassVar[dict[str, Any]] = {
        "min_side": 16,
        "convolutions": True,
        "weights": 700_000,
        "layout": [
            {"convolution": 20, "kernel": 5, "padding": 0, "pool": [2, 2]},
            {"convolution": 50, "kernel": 5, "padding": 0, "pool": [2, 2]},
            {"dense": 500},
        ],
    }

    def build(self, shape: tuple[int, int, int], classes: int) -> nn.Module:
        """Return the network for images [C, H, W] with `classes` outputs."""
        channels, height, width = shape
        rows, columns = (((side - 4) // 2 - 4) // 2 for side in (height, width))
        return nn.Sequential(
            nn.Conv2d(channels, 20, 5),
            nn.MaxPool2d(2),
            nn.ReLU(),
            nn.Conv2d(20, 50, 5),
            nn.MaxPool2d(2),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(50 * rows * columns, 500),
            nn.ReLU(),
            nn.Linear(500, classes),
        )
