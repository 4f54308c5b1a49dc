"""Claims of an ordering: each group's metric is greater than the next one's."""

from dataclasses import dataclass

from incbayes.claims.directional import Greater
from incbayes.study.relation import NEIGHBOURS


@dataclass(frozen=True)
class Ordered(Greater):
    """Each group's metric is greater than that of the group after it."""

    constraints = Greater.constraints | {"compared": NEIGHBOURS}
