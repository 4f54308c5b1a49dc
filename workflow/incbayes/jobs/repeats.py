"""Finds what is in a stream more than once: in two parts of a chain, or in a part and in `test`.

A part with images of an earlier one counts them twice, and a test on images that were fitted says
too much. Which parts count together is a matter of the chain: one that was taken back does not.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

from incbayes.core.errors import UserError
from incbayes.core.seal import SealError, read_seal
from incbayes.data.seen import Seen, folder_of_test, read_seen

Duplicates = Literal["refuse", "allow"]

TWICE = "what is in both would count twice"
TESTED = "a test on what was fitted says too much"


class RepeatError(UserError, ValueError):
    """A part with what is in an earlier one, or in the folder test, already."""


def check_repeats(
    part: Path, stage: Path, t: int, duplicates: Duplicates, log: Callable[[str], None]
) -> None:
    """Compare the part of a stage with those before it, and all of them with the test images.

    Args:
        part: folder of the prepared part of stage t.
        stage: folder of the stage, beside those of the stages before it.
        t: the stage.
        duplicates: what to do where something is in two of them; `allow` says how many.
        log: is told that, and with what a part could not be compared.

    Raises:
        RepeatError: naming the two, and how many they have in common.
        SealError: a file of digests is damaged or edited.
    """
    names = [*_earlier(stage, t), part.name]
    parts = {}
    for name in names:
        found = read_seen(part.with_name(name))
        if found is None:
            log(f"the part {name!r} is gone and left no digests: repeats of it cannot be found")
        else:
            parts[name] = found
    for common in _found(parts, part.name, read_seen(folder_of_test(part))):
        if duplicates == "refuse":
            raise RepeatError(common)
        log(f"{common} (duplicates: allow)")


def _found(parts: dict[str, Seen], last: str, test: Seen | None) -> Iterator[str]:
    """Yield a line on each pair that has something in common."""
    for name, seen in parts.items():
        own = parts[last]
        if name != last and (count := own.common(seen)):
            of = f"{count} of {len(own.digests)} {own.noun}s"
            yield _line(f"{of} of the part {last!r} are in the part {name!r}", own, TWICE)
        if test is not None and (count := test.common(seen)):
            of = f"{count} of {len(test.digests)} {test.noun}s"
            yield _line(f"{of} of the folder test are in the part {name!r}", test, TESTED)


def _line(what: str, seen: Seen, why: str) -> str:
    how, allowed = "pixel by pixel", "set the key duplicates to allow"
    if seen.noun == "row":
        how, allowed = "value by value", f"{allowed} where equal rows are different cases"
    return (
        f"{what}, too, {how}: {why}; remove them from one of the two, take the part back (key "
        f"without), or {allowed}"
    )


def _earlier(stage: Path, t: int) -> list[str]:
    """Return the names of the parts that the stages before t were fitted to."""
    names = []
    for earlier in range(1, t):
        path = stage.with_name(f"t{earlier:02d}") / "posterior.seal.json"
        try:
            names.append(str(read_seal(path, "posterior").identity["part"]))
        except (SealError, KeyError):
            continue  # a damaged one is named where its posterior is read
    return names
