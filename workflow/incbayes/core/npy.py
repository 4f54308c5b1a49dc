"""Arrays of NumPy files (.npy) that others wrote, mapped into memory, once they are what is meant.

Knows the format alone: nothing of images. Nothing is unpickled.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from incbayes.core.errors import UserError
from incbayes.core.seal import readable


class NpyError(UserError, ValueError):
    """An array that is missing, damaged or not what was meant; the message is one line."""


def open_array(path: Path | str, shape: Sequence[int | None], kinds: str) -> np.ndarray:
    """Map a file into memory; its values are read from the disk as they are used.

    Args:
        path: of the file.
        shape: that it must have; None for a length that is not known.
        kinds: that its numbers may be of: `u1` for bytes, or `iu` for whole numbers of any size.

    Raises:
        NpyError: naming the file, what was found and what was expected.
    """
    array = readable(Path(path), _mapped, "not a whole .npy file of numbers", NpyError)
    expected = "uint8" if kinds == "u1" else "whole numbers"
    right = array.dtype == np.uint8 if kinds == "u1" else array.dtype.kind in kinds
    lengths = zip(array.shape, shape, strict=False)
    right = right and array.ndim == len(shape)
    if not right or any(meant not in (None, found) for found, meant in lengths):
        sides = ", ".join("N" if side is None else str(side) for side in shape)
        raise NpyError(
            f"{path}: holds {array.dtype} {list(array.shape)}, expected {expected} [{sides}]"
        )
    return array


def _mapped(path: Path) -> np.ndarray:
    with path.open("rb") as file:  # of no bytes, of which NumPy says something else
        if file.read(6) != b"\x93NUMPY":
            raise ValueError("it does not begin as one")
    array: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
    return array
