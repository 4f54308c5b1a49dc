"""Whether posterior files are blocks of one stage of one chain, by what they say of themselves.

Blocks whose inputs or outputs stand for other things fit each other in every shape, and every
number of their mixture would be wrong.
"""

from collections.abc import Mapping
from typing import Any

from incbayes.posterior.described import Described
from incbayes.posterior.file import PosteriorError, shown

SAME = (
    *("study", "experiment", "method", "T", "t", "seed", "budget", "config", "network"),
    *("table", "part"),
)
"""Metadata that blocks of one chain have in common; one that both lack is the same."""

SAME_IF_SAID = ("dataset", "prepared")
"""Metadata that files of earlier releases lack, and that are compared where both have them."""


def check_same_chain(first: Described, other: Described) -> None:
    """Check that two files are blocks of one stage of one chain.

    Raises:
        PosteriorError: naming both, and in what they differ.
    """
    mine, theirs = (_common(one) for one in (first, other))
    for key in (*SAME, "decoding", "pixels", *SAME_IF_SAID):
        if key in SAME_IF_SAID and None in (mine[key], theirs[key]):
            continue
        if mine[key] != theirs[key]:
            where, one, another = _difference(key, mine[key], theirs[key])
            raise PosteriorError(
                f"{other.file}: {where} is {shown(another)}, that of {first.file} is {shown(one)}: "
                "they are not blocks of one chain and stage"
            )


def _common(of: Described) -> dict[str, Any]:
    """Return what is compared of a file; None of what it does not say."""
    said = {key: of.metadata.get(key) for key in (*SAME, *SAME_IF_SAID)}
    return {**said, "decoding": vars(of.decoding), "pixels": dict(of.pixels)}


def _difference(key: str, mine: Any, theirs: Any) -> tuple[str, Any, Any]:
    """Return the innermost key at which two JSON values first differ, and what each has there."""
    if isinstance(mine, Mapping) and isinstance(theirs, Mapping):
        for inner in sorted({*mine, *theirs}):
            if mine.get(inner) != theirs.get(inner):
                return _difference(f"{key}.{inner}", mine.get(inner), theirs.get(inner))
    if isinstance(mine, list) and isinstance(theirs, list) and len(mine) == len(theirs):
        for place, (one, another) in enumerate(zip(mine, theirs, strict=True)):
            if one != another:
                return _difference(f"{key}[{place}]", one, another)
    return key, mine, theirs
