"""3Conv3FC as in Table 2 of Kochurov et al. (2018)."""

from dataclasses import dataclass
from typing import Any, ClassVar

from torch import nn


@dataclass(frozen=True)
class Conv3FC3:
    """3Conv3FC: three 5x5 convolutions, three dense layers (Kochurov et al. 2018, Table 2).

    The table prints padding 1 for the third convolution, which would give 5x5, but 7x7 as
    its output shape and 1152 = 128·3·3 inputs of the first dense layer: the shapes need
    padding 2, which is what is built. ReLU follows the pooling, which commutes with it.
    """

    constraints: ClassVar[dict[str, Any]] = {
        "min_side": 15,
        "convolutions": True,
        "weights": 2_500_000,
        "layout": [
            {"convolution": 32, "kernel": 5, "padding": 2, "pool": [3, 2]},
            {"convolution": 64, "kernel": 5, "padding": 2, "pool": [3, 2]},
            {"convolution": 128, "kernel": 5, "padding": 2, "pool": [3, 2]},
            {"dense": 1000},
            {"dense": 1000},
        ],
    }

    def build(self, shape: tuple[int, int, int], classes: int) -> nn.Module:
        """Return the network for images [C, H, W] with `classes` outputs."""
        channels, height, width = shape
        rows, columns = ((((side - 1) // 2 - 1) // 2 - 1) // 2 for side in (height, width))
        return nn.Sequential(
            *_block(channels, 32),
            *_block(32, 64),
            *_block(64, 128),
            nn.Flatten(),
            nn.Linear(128 * rows * columns, 1000),
            nn.ReLU(),
            nn.Linear(1000, 1000),
            nn.ReLU(),
            nn.Linear(1000, classes),
        )


def _block(inputs: int, outputs: int) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, 5, padding=2), nn.MaxPool2d(3, stride=2), nn.ReLU()]
