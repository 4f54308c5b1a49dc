"""What data sets that arrive in parts have in common: options, where a part lies, what is held out.

Of images and of tables alike; it reads no part.
"""

from pathlib import Path
from typing import Any

import numpy as np

from incbayes.core.fractions import images_in
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


def held_out(source: Path, number: int, share: float, one: str) -> np.ndarray:
    """Return which of a part no stage is fitted to, bool [N], at random.

    Args:
        source: of the part.
        number: N, how many it holds.
        share: of them, at least one where it is not 0.
        one: what each is, such as image.

    Raises:
        DataError: none would be left to fit.
    """
    held = max(1, images_in(share, number)) if share else 0
    if held >= number:
        raise DataError(
            f"{source}: holds {number} {one}, and held_out takes it; give more {one}s, or "
            "held_out 0 and a folder test"
        )
    chosen = np.zeros(number, dtype=bool)
    chosen[numpy_stream(0, "held out of a part").permutation(number)[:held]] = True
    return chosen
