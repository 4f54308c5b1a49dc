"""Looking at the replicates more than once: p-values that stay valid wherever one stops.

At look k the first n_k replicates are tested. With weights w_k = 2^-k, which sum to less than 1,
the chance that any p_k of a true hypothesis is at most w_k times a level is at most the level
(Bonferroni), so that p = min(1, min_k p_k / w_k) is a p-value however many looks are taken. A
replicate counts by its number, not by when it was run: no order of running is better than another,
and nobody needs to keep a log of when results were seen.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pandas as pd

Taken = tuple[float, np.ndarray]
"""A look: its weight, and the differences that it is at [n_k]."""


def weight(place: int) -> float:
    """Return the weight of a look, counted from 0: a half, then a quarter, and so on."""
    return 0.5 ** (place + 1)


def taken(differences: pd.Series, looks: Sequence[int], first: int) -> list[Taken]:
    """Return the looks that can be taken, in order.

    Args:
        differences: by the number of the replicate.
        looks: numbers of replicates n_k, rising.
        first: number of the replicate that all looks begin with. The look at n_k can be taken once
            all of `first` to `first + n_k - 1` are there.
    """
    found = []
    for place, count in enumerate(looks):
        chosen = differences[differences.index.isin(range(first, first + count))]
        if len(chosen) < count:
            break
        found.append((weight(place), chosen.sort_index().to_numpy()))
    return found


def p_value(test: Callable[[np.ndarray], float], looks: Sequence[Taken]) -> float:
    """Return the p-value over all looks taken; 1 before the first.

    Args:
        test: returns the p-value of the differences of one look.
        looks: as `taken` returns them.
    """
    return min([1.0, *(test(differences) / share for share, differences in looks)])


def levels(looks: Sequence[int], alpha: float) -> Iterator[tuple[int, float]]:
    """Yield of each look its number of replicates and the level of a test at it alone."""
    for place, count in enumerate(looks):
        yield count, alpha * weight(place)
