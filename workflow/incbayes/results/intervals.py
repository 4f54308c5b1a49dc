"""Means over replicates and their 95 % intervals.

Figures and tables both use it; the intervals of paired differences in a ledger are those of
`claims.paired`.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import stats

LEVEL = 0.95

FEWEST = 3
"""Of fewer replicates no interval is shown: of two it is 13 times as wide as they are apart."""


def mean_interval(frame: pd.DataFrame, by: Sequence[str], value: str = "value") -> pd.DataFrame:
    """Return the mean of `value` in each group and its two-sided 95 % Student-t interval.

    The half-width is t_{n-1} · s / √n with the sample deviation s (n - 1 in the denominator);
    it is NaN for a group of one.

    Args:
        frame: one row per replicate and group; rows without a value do not count.
        by: columns that name the group; groups come in the order of their first row.
        value: column to average.

    Returns:
        `by`, then `n`, `mean`, `half_width`, `low`, `high`.
    """
    groups = frame.groupby(list(by), sort=False, observed=True)[value]
    summary = groups.agg(n="count", mean="mean", deviation="std").reset_index()
    n = summary["n"].to_numpy()
    quantile = np.full(len(n), np.nan)
    quantile[n > 1] = stats.t.ppf(0.5 + LEVEL / 2, n[n > 1] - 1)
    summary["half_width"] = quantile * summary.pop("deviation") / np.sqrt(n)
    summary["low"] = summary["mean"] - summary["half_width"]
    summary["high"] = summary["mean"] + summary["half_width"]
    return summary
