"""What data sets that arrive in parts have in common: options, where a part lies, what is held out.

Of images and of tables alike; it reads no part.
"""

from pathlib import Path
from typing import Any

import numpy as np

from incbayes.core.fractions import some_images_in
from incbayes.core.options import option
from incbayes.core.streams import numpy_stream
from incbayes.data.raw import DataError
from incbayes.study.streams import PARTS, part_source
from incbayes.study.user_paths import expanded


def held_out_option(what: str) -> Any:
    """Return the share of a part that is held out; `what` a part holds, such as images."""
    return option(
        0.0,
        "Share of every part that no stage is fitted to, and that the part's stage is scored on, "
        f"drawn at random; 0: the {what} in `SOURCE/test` are, and must be there.",
        minimum=0,
        maximum=0.9,
    )


def largest_part_option(what: str, most: int) -> Any:
    """Return how much a part may hold, at most `most`; `what` that is, such as Images."""
    return option(
        100_000,
        f"{what} that a part may hold at most; what a cluster is asked for goes by it.",
        minimum=1,
        maximum=most,
    )


def without_option() -> Any:
    """Return the names of parts that are taken back."""
    return option(
        [],
        "Names of parts that are taken back: the chain goes on from the stage before the first of "
        "them, as if they had not come, and the report says so.",
    )


def root_of(source: str, data_root: Path) -> Path:
    """Return the folder of a stream, of its option `source`."""
    return Path(data_root) / expanded(source, ("source",))


def part_of(root: Path, name: str) -> Path:
    """Return the file or folder of a part.

    Raises:
        DataError: there is none.
    """
    source = part_source(root, name)
    if source is None:
        raise DataError(f"{root / PARTS}: there is no part {name!r}")
    return source


def duplicates_option(rows: bool = False) -> Any:
    """Return what to do where two parts, or a part and `test`, have something in common."""
    noun, how = ("row", "value by value") if rows else ("image", "pixel by pixel")
    honest = (
        " Rows of few columns, or with values missing, can be equal and yet different cases: "
        "allow them then. Equal rows "
        "within a part are counted in the log of its preparation, and never refused."
        if rows
        else " One that is twice in a part is taken twice, and held out or fitted to as one."
    )
    return option(
        "refuse",
        f"What to do where one {noun}, {how} as it is taken, is in two parts or in a part and in "
        f"`test`, also where the earlier part is gone. With `allow` the logs say how many.{honest}",
    )


def held_out(source: Path, groups: np.ndarray, share: float, one: str) -> np.ndarray:
    """Return which of a part no stage is fitted to, bool [N], at random.

    Args:
        source: of the part.
        groups: number from 0 of the group that each is of, int64 [N], as `equal_groups` gives
            them: a group is held out together, or not.
        share: of them, as near to it as whole groups come from below; at least one group where it
            is not 0.
        one: what each is, such as image.

    Raises:
        DataError: none would be left to fit.
    """
    number, sizes = len(groups), np.bincount(groups)
    held = some_images_in(share, number) if share else 0
    if held >= number:
        raise DataError(
            f"{source}: holds {number} {one}, and held_out takes it; give more {one}s, or "
            "held_out 0 and a folder test"
        )
    taken, left = np.zeros(len(sizes), dtype=bool), held
    order = numpy_stream(0, "held out of a part").permutation(len(sizes))
    for group in order:
        if sizes[group] <= left:
            taken[group], left = True, left - sizes[group]
    if share and not taken.any():
        taken[order[np.argmin(sizes[order])]] = True
    if taken.all():
        raise DataError(
            f"{source}: its {number} {one}s are the same one, and held_out takes it; give more "
            f"{one}s, or held_out 0 and a folder test"
        )
    return taken[groups]
