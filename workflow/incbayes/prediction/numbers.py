"""What is predicted where the target is a number: a mixture of Gaussians, one a draw of weights.

Knows mixtures and their numbers; neither networks nor files.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

LEVELS = (0.5, 0.9)
"""Of the central intervals."""

HALVINGS = 60
"""Of the bracket of a quantile: beyond it float64 has no digits."""


@dataclass(frozen=True, eq=False)
class NumberPredictions:
    """What was predicted for N rows, float64, in the unit of the target.

    Attributes:
        names: file and number of each row.
        target: name of what is predicted.
        mean: of the mixture of all draws, [N].
        deviation: its standard deviation, [N].
        data_deviation: the part of it that is noise, √ of the mean variance of a draw, [N].
        weight_deviation: the part that is of the weights, the standard deviation of the draws'
            means, [N]; the squares of both parts sum to that of `deviation`.
        intervals: ends of the central intervals by level, [N] each.
        replicates: those that predicted.
        samples: draws of each.
    """

    names: tuple[str, ...]
    target: str
    mean: np.ndarray
    deviation: np.ndarray
    data_deviation: np.ndarray
    weight_deviation: np.ndarray
    intervals: dict[float, tuple[np.ndarray, np.ndarray]]
    replicates: tuple[int, ...]
    samples: int

    @property
    def noun(self) -> str:
        """What was predicted for."""
        return "row"

    @property
    def unit(self) -> str:
        """Of the numbers, in words."""
        return "the unit of the target"

    def frame(self) -> pd.DataFrame:
        """Return one row each: `path`, `predicted`, deviations, `low_50`, `high_50`, …."""
        columns: dict[str, Any] = {
            "path": list(self.names),
            "predicted": self.mean,
            "deviation": self.deviation,
            "data_deviation": self.data_deviation,
            "weight_deviation": self.weight_deviation,
        }
        for level, (low, high) in self.intervals.items():
            columns |= {f"low_{100 * level:g}": low, f"high_{100 * level:g}": high}
        return pd.DataFrame(columns)

    def shown(self) -> list[tuple[str, list[str]]]:
        """Return heads and columns of text for reading."""
        columns = [
            (self.target, self.mean),
            ("deviation", self.deviation),
            ("of data", self.data_deviation),
            ("of weights", self.weight_deviation),
        ]
        for level, (low, high) in self.intervals.items():
            columns += [(f"{100 * level:g} % from", low), ("to", high)]
        texts = [(head, [f"{value:.5g}" for value in column]) for head, column in columns]
        return [("row", list(self.names)), *texts]


def of_mixtures(
    mixtures: Sequence[Tensor], described: tuple[tuple[str, ...], str, tuple[int, ...], int]
) -> NumberPredictions:
    """Return what mixtures of M Gaussians say of rows, given in pieces.

    Args:
        mixtures: mean and standard deviation, float64 [N, M, 2] each.
        described: names of the rows, the target, the replicates, and the draws of each.
    """
    found = [_numbers_of(mixture) for mixture in mixtures]
    mean, deviation, of_data, of_weights, *ends = (
        torch.cat(pieces).cpu().numpy() for pieces in zip(*found, strict=True)
    )
    intervals = {
        level: (ends[2 * place], ends[2 * place + 1]) for place, level in enumerate(LEVELS)
    }
    names, target, replicates, samples = described
    return NumberPredictions(
        names, target, mean, deviation, of_data, of_weights, intervals, replicates, samples
    )


def _numbers_of(mixture: Tensor) -> list[Tensor]:
    """Return mean, deviation, that of the data, that of the weights, and the ends by level."""
    means, sigmas = mixture.unbind(-1)
    mean = means.mean(1)
    data, weights = sigmas.square().mean(1), means.var(1, correction=0)
    numbers = [mean, (data + weights).sqrt(), data.sqrt(), weights.sqrt()]
    ends = [quantile(mixture, 0.5 + side * level / 2) for level in LEVELS for side in (-1, 1)]
    return [*numbers, *ends]


def quantile(mixture: Tensor, probability: float) -> Tensor:
    """Return where the distribution function of mixtures has a value, float64 [N].

    Between the least and the largest of the Gaussians' own quantiles, by halving.

    Args:
        mixture: mean and standard deviation of M Gaussians of equal weight, float64 [N, M, 2].
        probability: above 0 and below 1.
    """
    means, sigmas = mixture.unbind(-1)
    own = means + sigmas * torch.special.ndtri(means.new_tensor(probability))
    low, high = own.amin(1), own.amax(1)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        below = torch.special.ndtr((middle[:, None] - means) / sigmas).mean(1) < probability
        low, high = torch.where(below, middle, low), torch.where(below, high, middle)
    return (low + high) / 2
