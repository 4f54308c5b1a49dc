"""Claims of a direction: the first group's metric is greater, or less, than each other's."""

from dataclasses import dataclass

from incbayes.claims.base import ClaimTest
from incbayes.core.options import option

BY = "Least difference that counts, in the metric's unit."


@dataclass(frozen=True)
class Greater(ClaimTest):
    """The first group's metric is greater than that of each other group."""

    by: float = option(0.0, BY, minimum=0, maximum=1e6)

    constraints = ClaimTest.constraints | {"region": ["by", None]}


@dataclass(frozen=True)
class Less(ClaimTest):
    """The first group's metric is less than that of each other group."""

    by: float = option(0.0, BY, minimum=0, maximum=1e6)

    constraints = ClaimTest.constraints | {"region": [None, "-by"]}
