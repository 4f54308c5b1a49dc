"""Student-t tests of paired differences against a region, by scipy and statsmodels.

It knows arrays of differences and nothing of claims. A region is `(low, high)` in the unit of the
differences; an open end is infinite.
"""

import bisect
import math

import numpy as np
from scipy import stats
from statsmodels.stats.power import TTestPower
from statsmodels.stats.weightstats import DescrStatsW

LEVEL = 0.95
"""Coverage of the interval of an effect."""

POWER = 0.8
"""Chance of a verdict that a number of replicates is computed for."""

MOST = 10_000
"""More replicates than these are not counted."""

EQUAL = 1e-12
"""Differences that vary less than this, beside 1 or the largest of them, are rounding."""


def has_spread(differences: np.ndarray) -> bool:
    """Return whether differences [replicates] vary by more than rounding."""
    return bool(np.ptp(differences) > EQUAL * max(1.0, np.abs(differences).max()))


def interval(differences: np.ndarray) -> tuple[float, float]:
    """Return the two-sided 95 % interval of the mean of differences [replicates]."""
    low, high = stats.ttest_1samp(differences, 0.0).confidence_interval(LEVEL)
    return float(low), float(high)


def p_inside(differences: np.ndarray, low: float, high: float) -> float:
    """Return the p-value against the hypothesis that the mean lies outside the region.

    With two ends it is the larger of two one-sided tests' (TOST, Schuirmann 1987).
    """
    if math.isfinite(low) and math.isfinite(high):
        return float(DescrStatsW(differences).ttost_mean(low, high)[0])
    bound, alternative = (low, "greater") if math.isfinite(low) else (high, "less")
    return float(stats.ttest_1samp(differences, bound, alternative=alternative).pvalue)


def p_outside(differences: np.ndarray, low: float, high: float) -> float:
    """Return the p-value against the hypothesis that the mean lies inside the region.

    With two ends it is the smaller of two one-sided tests', times two (Bonferroni).
    """
    ends = [(low, "less"), (high, "greater")]
    found = [
        float(stats.ttest_1samp(differences, bound, alternative=alternative).pvalue)
        for bound, alternative in ends
        if math.isfinite(bound)
    ]
    return min(1.0, len(found) * min(found))


def replicates_needed(
    effect: float, deviation: float, low: float, high: float, alpha: float, power: float = POWER
) -> int | None:
    """Return the least number of replicates at which the region would be decided.

    At it the tests would place the mean inside the region, or outside, where it now is, with a
    chance of `power`, if `effect` and `deviation` were the true ones. Where a mean must be inside
    two ends, each end gets half of the chance to miss it.

    Args:
        effect: mean difference.
        deviation: standard deviation of the differences, above 0.
        low: lower end of the region.
        high: its upper end.
        alpha: one-sided level of the decision; outside a region of two ends, of both together.
        power: chance of the decision.

    Returns:
        The number, 2 or more; None where it is larger than `MOST`.
    """
    ends = [abs(effect - bound) for bound in (low, high) if math.isfinite(bound)]
    inside = low < effect < high
    wanted = 1 - (1 - power) / len(ends) if inside else power
    level = alpha if inside else alpha / len(ends)
    distance = min(ends) / deviation

    def reached(n: int) -> float:
        return TTestPower().power(distance, n, level, alternative="larger")

    n = bisect.bisect_left(range(MOST + 1), wanted, lo=2, key=reached)
    return n if n <= MOST else None
