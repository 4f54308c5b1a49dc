"""What a relation says of its groups, in the plain facts that its class declares.

It needs no numbers of replicates and nothing that computes with them, so that a claim which could
never hold, or never fail, is found while a workflow is planned.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

Region = tuple[float, float]
"""Where a difference lies, `(low, high)`, in the metric's unit; an open end is infinite."""

FIRST, NEIGHBOURS = "first", "neighbours"
"""What is compared: the first group with each of the others, or each group with the next."""


def region_of(ends: Sequence[str | None], options: Mapping[str, Any]) -> Region:
    """Return where a claim says that the difference of a pair lies.

    Args:
        ends: for low and high the name of an option, with a minus for its negative, or None for
            an open end.
        options: of the relation, by name.
    """
    low, high = (None if end is None else _value(end, options) for end in ends)
    return -math.inf if low is None else low, math.inf if high is None else high


def pairs_of(compared: str, groups: int) -> list[tuple[int, int]]:
    """Return the positions of the groups to compare.

    Args:
        compared: `FIRST` or `NEIGHBOURS`.
        groups: their number.
    """
    if compared == NEIGHBOURS:
        return [(place, place + 1) for place in range(groups - 1)]
    return [(0, other) for other in range(1, groups)]


def _value(end: str, options: Mapping[str, Any]) -> float:
    name = end.removeprefix("-")
    return float(options[name]) if name == end else 0.0 - options[name]  # not -0.0
