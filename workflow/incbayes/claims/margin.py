"""Claims within a margin: equal, not less or not greater, but for what is too small to count.

A test that finds no difference shows nothing. These find that a difference is smaller than a
margin, which the study states with its reason before there are results.
"""

import dataclasses
from dataclasses import dataclass

from incbayes.claims.base import ClaimTest
from incbayes.core.options import option

MARGIN = "Largest difference that does not count, in the metric's unit."
REASON = "Why a difference of that size does not count."


@dataclass(frozen=True)
class Margin(ClaimTest):
    """A claim test with a margin."""

    margin: float = option(dataclasses.MISSING, MARGIN, exclusiveMinimum=0, maximum=1e6)
    reason: str = option(dataclasses.MISSING, REASON)


@dataclass(frozen=True)
class Equivalent(Margin):
    """The first group's metric differs from each other group's by less than a margin."""

    constraints = ClaimTest.constraints | {"region": ["-margin", "margin"]}


@dataclass(frozen=True)
class NotLess(Margin):
    """The first group's metric is not less than each other group's by a margin or more."""

    constraints = ClaimTest.constraints | {"region": ["-margin", None]}


@dataclass(frozen=True)
class NotGreater(Margin):
    """The first group's metric is not greater than each other group's by a margin or more."""

    constraints = ClaimTest.constraints | {"region": [None, "margin"]}
