"""Whether the model of yesterday does worse on the data of today: test, then train.

Two posteriors are scored on the same images, those of the part that has just arrived: the one that
has not seen it, and the one that was then fitted to it. Resampling the images tells chance from
change, but only of images that neither was fitted to.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from incbayes.evaluation.held_out import FEWEST
from incbayes.evaluation.score import metrics_of

RESAMPLES = 400
"""Draws of the images, with replacement: the ends of a 99 % interval are means of a few of them."""

LEVEL = 0.99
"""Of the interval: with a few metrics a part, a false alarm is then rare, though not excluded."""


@dataclass(frozen=True)
class Drift:
    """A metric of one replicate on the images of a part, before and after its stage.

    Attributes:
        replicate: which.
        metric: its name.
        images: scored, N.
        before: of the posterior of stage t-1.
        after: of the posterior of stage t.
        low, high: of the difference after - before, a bootstrap interval over images.
        differs: whether the interval leaves out 0; None where that is not judged: of fewer than
            `FEWEST` images, and where the posterior after was fitted to them, as it then does
            better for having seen them, also where nothing has changed.
    """

    replicate: int
    metric: str
    images: int
    before: float
    after: float
    low: float
    high: float
    differs: bool | None


def drift(
    replicate: int,
    predictions: Mapping[str, Tensor],
    labels: Tensor,
    bins: int,
    generator: np.random.Generator,
) -> list[Drift]:
    """Return what every metric says before and after, with a paired bootstrap of the difference.

    The images have to be held out from both posteriors; of others, see `unmarked`.

    Args:
        replicate: which.
        predictions: `before` and `after`, of the same images, as metrics take them.
        labels: what is true of them, likewise.
        bins: of a calibration error.
        generator: draws the images.
    """
    before, after, number = predictions["before"].cpu(), predictions["after"].cpu(), len(labels)
    labels, found = labels.cpu(), []
    draws = torch.from_numpy(generator.integers(number, size=(RESAMPLES, number)))
    for name, metric in metrics_of(after).items():
        resampled = [
            metric(after[rows], labels[rows], bins) - metric(before[rows], labels[rows], bins)
            for rows in draws
        ]
        tail = (1 - LEVEL) / 2
        low, high = np.quantile(resampled, [tail, 1 - tail])
        differs = None if number < FEWEST else not low <= 0.0 <= high
        was, became = (metric(of, labels, bins) for of in (before, after))
        row = Drift(replicate, name, number, was, became, float(low), float(high), differs)
        found.append(row)
    return found


def unmarked(rows: list[Drift]) -> list[Drift]:
    """Return rows that call no difference one: of images that the posterior after was fitted to."""
    return [replace(row, differs=None) for row in rows]
