"""The members of an ensemble in one posterior: tensors beside those of the first member.

A family knows its tensors by name and leaves others alone, so that without more the state is that
of the first member. `members_of` is for whoever has to see them all.
"""

import re
from collections.abc import Sequence

from incbayes.posterior.network import NetworkState

OF_MEMBER = re.compile(r"(?P<key>.+)_member_(?P<number>\d+)")


def joined_members(members: Sequence[NetworkState]) -> NetworkState:
    """Return one state of all members, whose tensors have the same names."""
    first, *others = members
    return {
        layer: {
            **tensors,
            **{
                f"{key}_member_{number}": value
                for number, other in enumerate(others, 2)
                for key, value in other[layer].items()
            },
        }
        for layer, tensors in first.items()
    }


def members_of(state: NetworkState) -> list[NetworkState]:
    """Return the state of every member, the first first; of no ensemble the state itself."""
    found: dict[int, NetworkState] = {1: {layer: {} for layer in state}}
    for layer, tensors in state.items():
        for name, value in tensors.items():
            match = OF_MEMBER.fullmatch(name)
            key, number = (name, 1) if match is None else (match["key"], int(match["number"]))
            own = found.setdefault(number, {layer: {} for layer in state})
            own[layer][key] = value
    return [found[number] for number in sorted(found)]


def is_ensemble(state: NetworkState) -> bool:
    """Return whether a state has several members."""
    return any(OF_MEMBER.fullmatch(name) for tensors in state.values() for name in tensors)
