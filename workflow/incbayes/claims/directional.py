"""Claims of a direction: the first group's metric is greater, or less, than each other's."""

import math
from dataclasses import dataclass

from incbayes.claims.base import ClaimTest, Region
from incbayes.options import option

BY = "Least difference that counts, in the metric's unit."


@dataclass(frozen=True)
class Greater(ClaimTest):
    """The first group's metric is greater than that of each other group."""

    by: float = option(0.0, BY, minimum=0)

    def region(self) -> Region:
        """Return (by, ∞)."""
        return self.by, math.inf


@dataclass(frozen=True)
class Less(ClaimTest):
    """The first group's metric is less than that of each other group."""

    by: float = option(0.0, BY, minimum=0)

    def region(self) -> Region:
        """Return (-∞, -by)."""
        return -math.inf, 0.0 - self.by  # not -0.0
