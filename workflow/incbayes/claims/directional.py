"""Claims of a direction: the first group's metric is greater, or less, than each other's.

By how much, the study states with its reason, so that a claim whose difference is shown to be
smaller is contradicted. By 0 any difference counts, and no run can show that there is none.
"""

import dataclasses
from dataclasses import dataclass

from incbayes.claims.base import ClaimTest
from incbayes.core.options import option

BY = (
    "Smallest difference that counts, in the metric's unit. With 0 any does, so that only a "
    "difference the other way can contradict the claim."
)
REASON = "Why a smaller difference does not count, or with 0 why any does."


@dataclass(frozen=True)
class Directional(ClaimTest):
    """A claim test of a direction."""

    by: float = option(dataclasses.MISSING, BY, minimum=0, maximum=1e6)
    reason: str = option(dataclasses.MISSING, REASON)


@dataclass(frozen=True)
class Greater(Directional):
    """The first group's metric is greater than that of each other group."""

    constraints = ClaimTest.constraints | {"region": ["by", None]}


@dataclass(frozen=True)
class Less(Directional):
    """The first group's metric is less than that of each other group."""

    constraints = ClaimTest.constraints | {"region": [None, "-by"]}
