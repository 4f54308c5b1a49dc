"""Claims of an ordering: each group's metric is greater than the next one's."""

from dataclasses import dataclass

from incbayes.claims.directional import Greater


@dataclass(frozen=True)
class Ordered(Greater):
    """Each group's metric is greater than that of the group after it."""

    def pairs(self, groups: int) -> list[tuple[int, int]]:
        """Return the neighbours."""
        return [(place, place + 1) for place in range(groups - 1)]
