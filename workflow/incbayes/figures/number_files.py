"""The numbers of a picture as CSV: what they are drawn from, and what others can draw."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from incbayes.core.files import atomic_write

if TYPE_CHECKING:  # so that planning, which names figures, does not import it
    from pandas import DataFrame


def save_numbers(numbers: "DataFrame", path: Path) -> None:
    """Write the numbers of a picture."""
    with atomic_write(path) as partial:
        numbers.to_csv(partial, index=False, float_format="%.10g", lineterminator="\n")


def read_numbers(path: Path, text_columns: Sequence[str]) -> "DataFrame":
    """Return numbers that `save_numbers` wrote; an empty cell is NaN.

    Args:
        path: of the file.
        text_columns: those that hold text, which `NA` is, too.
    """
    import pandas as pd

    text = dict.fromkeys(text_columns, str)
    return pd.read_csv(path, dtype=text, keep_default_na=False, na_values=[""])
