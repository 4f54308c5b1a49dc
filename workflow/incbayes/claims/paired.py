"""Student-t tests of paired differences against a region, by scipy and statsmodels.

It knows arrays of differences and nothing of claims. A region is `(low, high)` in the unit of the
differences; an open end is infinite.
"""

import bisect
import math
from collections.abc import Callable

import numpy as np
from scipy import stats
from scipy.integrate import quad
from scipy.special import ndtr
from statsmodels.stats.power import TTestPower
from statsmodels.stats.weightstats import DescrStatsW

LEVEL = 0.95
"""Coverage of the interval of an effect."""

POWER = 0.8
"""Chance of a verdict that a number of replicates is computed for."""

MOST = 10_000
"""More replicates than these are not counted."""

TAIL = 1e-14
"""Probability of the values of a deviation that a chance leaves out, at either side."""

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


def decision_chance(
    effect: float, deviation: float, low: float, high: float, n: int, alpha: float
) -> float:
    """Return the chance that n replicates decide whether a mean is inside a region, exactly.

    That the tests place it inside, or outside, where `effect` is, if `effect` and `deviation`
    are the true ones.

    Args:
        effect: mean difference.
        deviation: σ, standard deviation of the differences, above 0.
        low: lower end of the region.
        high: its upper end.
        n: replicates, at least two.
        alpha: one-sided level of the decision; outside a region of two ends, of both together.
    """
    ends = [(low - effect) / deviation, (high - effect) / deviation]
    if not low < effect < high:
        # To be below the one end and above the other exclude each other: their chances add.
        finite = [d for d in (ends[0], -ends[1]) if math.isfinite(d)]
        return sum(_power_beyond(distance, n, alpha / len(finite)) for distance in finite)
    if all(map(math.isfinite, ends)):
        first, second = (end * math.sqrt(n) for end in ends)
        return equivalence_power(first, second, n - 1, alpha)
    return _power_beyond(min(map(abs, ends)), n, alpha)


def _power_beyond(distance: float, n: int, alpha: float) -> float:
    """Return the power of a one-sided t test against a mean `distance` deviations away."""
    return float(TTestPower().power(distance, n, alpha, alternative="larger"))


def equivalence_power(low: float, high: float, degrees: int, alpha: float) -> float:
    """Return the chance that both of two one-sided t tests reject (TOST), exactly.

    They share the standard error that they estimate, so that the chance is an expectation over
    it (Phillips 1990): with u = s/σ, of a chi distribution over its root of degrees of freedom,
    E_u max(0, Φ(high - t·u) - Φ(low + t·u)).

    Args:
        low: lower end of the region minus the true mean, in true standard errors of the mean.
        high: upper end minus the true mean, likewise.
        degrees: of freedom of the estimated standard error.
        alpha: level of each test, whose quantile t is.
    """
    quantile = stats.t.isf(alpha, degrees)
    spread = stats.chi(degrees, scale=1 / math.sqrt(degrees))
    widest = min((high - low) / (2 * quantile), spread.isf(TAIL))  # beyond it nothing is rejected
    least = min(spread.ppf(TAIL), widest)

    def integrand(u: float) -> float:
        return (ndtr(high - quantile * u) - ndtr(low + quantile * u)) * spread.pdf(u)

    return quad(integrand, least, widest, epsabs=1e-10, epsrel=1e-9, limit=500)[0]


def replicates_needed(chance: Callable[[int], float], power: float = POWER) -> int | None:
    """Return the least number of replicates with which a decision has a chance of `power`.

    Args:
        chance: of the decision with n replicates; it rises with n.
        power: chance that is asked for.

    Returns:
        The number, 2 or more; None where it is larger than `MOST`.
    """
    n = bisect.bisect_left(range(MOST + 1), power, lo=2, key=chance)
    return n if n <= MOST else None
