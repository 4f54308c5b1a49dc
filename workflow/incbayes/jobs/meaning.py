"""Checks that inputs and outputs stand for the same in a posterior and in what follows from it.

Two networks of one shape may be of columns or classes in another order, or of images that were cut
otherwise: the weights fit, and every number is wrong.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from incbayes.data.images import ImageSource
from incbayes.posterior.file import PosteriorError

AS_THEY_ARE = "refuse"
"""Of an option of decoding: other images are refused, so that none was changed by it."""


def check_inputs(path: Path, metadata: Mapping[str, Any], images: ImageSource) -> None:
    """Check that columns, and how image files became images, are those of a posterior.

    Resizing and converting are compared where both sides do it. What the posterior does not say,
    as its images came from no files, is not compared.

    Args:
        path: of the posterior.
        metadata: of it.
        images: that go on from it.

    Raises:
        PosteriorError: naming the file, and both.
    """
    found = metadata.get("table")
    meant = images.table.facts if images.table else None
    if found != meant:
        raise PosteriorError(
            f"{path}: the columns are {found}, expected {meant}: its inputs stand for others"
        )
    stated, own = metadata.get("decoding", {}), images.decoding
    for key in ("resize", "convert"):
        values = stated.get(key, AS_THEY_ARE), own.get(key, AS_THEY_ARE)
        if AS_THEY_ARE not in values and values[0] != values[1]:
            raise PosteriorError(
                f"{path}: {key} of its images is {values[0]!r}, expected {values[1]!r}: image "
                f"files became other inputs; give the data set {key}: {values[0]}"
            )


def check_classes(path: Path, replicate: int, found: Sequence[str], meant: Sequence[str]) -> None:
    """Check that the outputs of a replicate are of these classes, in this order.

    Raises:
        PosteriorError: naming the file, and both.
    """
    if list(found) != list(meant):
        raise PosteriorError(
            f"{path}: the classes of replicate {replicate} are {list(found)}, expected "
            f"{list(meant)}, in this order: its outputs stand for other classes"
        )
