"""A multi-layer perceptron over the columns of a table whose categories are embedded first.

An embedding of a category is a linear map of its indicators, without a bias: its weights are those
of any other layer, and so of any posterior family.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, ClassVar

import torch
from torch import nn

from incbayes.core.options import option
from incbayes.models.mlp import MLP


class Embedding(nn.Module):
    """The map from columns [B, D, 1, 1] to numbers and vectors of categories, [B, E].

    Args:
        counts: by feature, the number of its categories; 0 of one that is a number.
        size: of a category's vector.
    """

    def __init__(self, counts: Sequence[int], size: int):
        super().__init__()
        self.columns = [max(1, count) for count in counts]
        self.vectors = nn.ModuleDict(
            {
                f"feature_{place}": nn.Linear(count, size, bias=False)
                for place, count in enumerate(counts, 1)
                if count
            }
        )

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Return the numbers and vectors of rows, in the order of the features."""
        found = []
        for place, values in enumerate(rows.flatten(1).split(self.columns, dim=1), 1):
            name = f"feature_{place}"
            found.append(self.vectors[name](values) if name in self.vectors else values)
        return torch.cat(found, dim=1)


@dataclass(frozen=True)
class EmbeddingMLP:
    """An `mlp` for a table; each feature with categories becomes a vector that is learnt.

    A category that is missing becomes the vector 0.
    """

    size: int = option(
        4, "Numbers that a category becomes, the same for every feature.", minimum=1, maximum=1000
    )
    widths: list[int] = option([64], "Units of each hidden layer.", minimum=1, maximum=100_000)
    categories: list[int] | None = option(
        None,
        "By feature, in their order, the number of its categories, and 0 of one that is a number; "
        "null: those of the table.",
        minimum=0,
        maximum=10_000,
    )

    constraints: ClassVar[dict[str, Any]] = {
        "min_side": 1,
        "convolutions": False,
        "hidden_units": "widths",
        "widening": "size",
        "columns": "categories",
    }

    def build(self, shape: tuple[int, int, int], classes: int) -> nn.Module:
        """Return the network for rows [D, 1, 1] with `classes` outputs.

        Raises:
            ValueError: the features do not have D columns together.
        """
        counts = self.categories or [0] * prod(shape)
        columns = sum(max(1, count) for count in counts)
        if columns != prod(shape):
            raise ValueError(f"categories: {columns} columns; the table has {prod(shape)}")
        embedded = sum(self.size if count else 1 for count in counts)
        network = nn.Sequential(
            Embedding(counts, self.size), *MLP(self.widths).build((embedded, 1, 1), classes)
        )
        # Every vector, and the layer after them, which the features that are numbers feed.
        network.fed_by_data = sum(map(bool, counts)) + 1
        return network
