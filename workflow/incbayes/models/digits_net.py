"""A small convolutional network for images of about 8x8 pixels."""

from dataclasses import dataclass
from typing import Any, ClassVar

from torch import nn


@dataclass(frozen=True)
class DigitsNet:
    """Two 3x3 convolutions and two dense layers, for images of about 8x8 pixels."""

    constraints: ClassVar[dict[str, Any]] = {
        "min_side": 4,
        "convolutions": True,
        "weights": 210_000,
        "layout": [
            {"convolution": 8, "kernel": 3, "padding": 1, "pool": [2, 2]},
            {"convolution": 16, "kernel": 3, "padding": 1, "pool": [1, 1]},
            {"dense": 48},
        ],
    }

    def build(self, shape: tuple[int, int, int], classes: int) -> nn.Module:
        """Return the network for images [C, H, W] with `classes` outputs."""
        channels, height, width = shape
        return nn.Sequential(
            nn.Conv2d(channels, 8, 3, padding=1),
            nn.MaxPool2d(2),
            nn.ReLU(),
            nn.Conv2d(8, 16, 3, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(16 * (height // 2) * (width // 2), 48),
            nn.ReLU(),
            nn.Linear(48, classes),
        )
