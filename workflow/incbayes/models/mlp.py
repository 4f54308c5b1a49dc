"""A multi-layer perceptron; 2 x 400 is the network of Wohlert et al. (2017)."""

from dataclasses import dataclass
from math import prod
from typing import Any, ClassVar

from torch import nn

from incbayes.core.options import option


@dataclass(frozen=True)
class MLP:
    """Fully connected layers with ReLU between them."""

    widths: list[int] = option(
        [400, 400], "Units of each hidden layer.", minimum=1, maximum=100_000
    )

    constraints: ClassVar[dict[str, Any]] = {
        "min_side": 1,
        "convolutions": False,
        "hidden_units": "widths",
    }

    def build(self, shape: tuple[int, int, int], classes: int) -> nn.Module:
        """Return the network for images [C, H, W] with `classes` outputs."""
        layers: list[nn.Module] = [nn.Flatten()]
        inputs = prod(shape)
        for width in self.widths:
            layers += [nn.Linear(inputs, width), nn.ReLU()]
            inputs = width
        return nn.Sequential(*layers, nn.Linear(inputs, classes))
