"""What a claim test provides: which groups are compared, and where a claim puts the difference.

It knows paired differences; it does not know records, studies or other claims.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from incbayes.claims import looks, paired
from incbayes.study.relation import FIRST, Region, pairs_of, region_of


@dataclass(frozen=True)
class Evidence:
    """What the replicates say of one comparison of two groups.

    Attributes:
        n: number of replicates.
        tested: how many of them the p-values are of; fewer than n between two looks.
        effect: mean of the first group minus the second, in the metric's unit.
        deviation: sample standard deviation of the differences.
        low: lower end of the two-sided 95 % Student-t interval of the effect; None where all
            differences are equal.
        high: its upper end.
        standardised: effect / deviation, Cohen's d_z; None where all differences are equal.
        p_support: p-value against the hypothesis that the difference lies outside the region.
        p_contradiction: p-value against the hypothesis that it lies inside.
    """

    n: int
    tested: int
    effect: float
    deviation: float
    low: float | None
    high: float | None
    standardised: float | None
    p_support: float
    p_contradiction: float


class ClaimTest:
    """A relation that a claim states between its groups.

    A claim of several comparisons says that all of them hold.

    Attributes:
        constraints: `region`, the ends of where the claim puts a difference, by the options that
            they are; `compared`, which groups are.
    """

    constraints: ClassVar[dict[str, Any]] = {"region": [None, None], "compared": FIRST}

    def pairs(self, groups: int) -> list[tuple[int, int]]:
        """Return the positions of the groups to compare."""
        return pairs_of(self.constraints["compared"], groups)

    def region(self) -> Region:
        """Return where the claim says that the difference of a pair lies."""
        return region_of(self.constraints["region"], vars(self))

    def evidence(
        self, differences: np.ndarray, looked: Sequence[looks.Taken] | None = None
    ) -> Evidence:
        """Return what paired differences say of the claim.

        Equal differences show an effect and nothing of its error, so that both p-values are 1.

        Args:
            differences: [replicates], at least two, in the metric's unit.
            looked: the looks that were taken at them; None for one test of all.
        """
        n, effect = len(differences), float(differences.mean())
        at = [(1.0, differences)] if looked is None else looked
        tested = max((len(of_look) for _, of_look in at), default=0)
        if not paired.has_spread(differences):
            return Evidence(n, tested, effect, 0.0, None, None, None, 1.0, 1.0)
        low, high = paired.interval(differences)
        deviation = float(differences.std(ddof=1))
        return Evidence(
            n=n,
            tested=tested,
            effect=effect,
            deviation=deviation,
            low=low,
            high=high,
            standardised=effect / deviation,
            p_support=looks.p_value(self._p_inside, at),
            p_contradiction=looks.p_value(self._p_outside, at),
        )

    def _p_inside(self, differences: np.ndarray) -> float:
        spread = paired.has_spread(differences)
        return paired.p_inside(differences, *self.region()) if spread else 1.0

    def _p_outside(self, differences: np.ndarray) -> float:
        spread = paired.has_spread(differences)
        return paired.p_outside(differences, *self.region()) if spread else 1.0
