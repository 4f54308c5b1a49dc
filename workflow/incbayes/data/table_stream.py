"""A table of one's own that arrives in parts: each part a file, or a folder of files.

Knows how a part and the rows to score on have to lie, and what makes a part one that no stage
should see. Which parts there are, and in what order, `study.streams` says.
"""

from dataclasses import MISSING, dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from incbayes.core.options import option
from incbayes.data.arriving import (
    duplicates_option,
    held_out,
    held_out_option,
    largest_part_option,
    part_of,
    root_of,
    without_option,
)
from incbayes.data.columns import Missing, TableColumns
from incbayes.data.raw import DataError, RawSplits
from incbayes.data.table import chosen_rows, repeated, repeated_within, splits_of
from incbayes.data.table_file import MOST_ROWS, Rows, read_tables
from incbayes.data.table_options import (
    categories_option,
    classes_option,
    features_option,
    missing_option,
    stated_columns,
    target_option,
)
from incbayes.study.streams import TABLE_ENDINGS, TEST


@dataclass(frozen=True)
class TableStream:
    """Your own table that arrives in parts: `SOURCE/parts/NAME.csv` or `.parquet`, a part a NAME.

    A part may be a folder of such files, `SOURCE/parts/NAME/FILE.csv`. Parts count in the order of
    their names, or in that of the list `SOURCE/parts.yaml`. T is how many have arrived. What is
    scored are the rows of the files in `SOURCE/test`, or a share of every part. Columns are as
    those of `table`. Once a stage was fitted to a part, its files may be deleted.
    """

    constraints: ClassVar[dict[str, Any]] = {"arrives": True, "table": True}

    source: str = option(
        MISSING,
        "The folder: absolute or relative to `data_root`; a leading `~` is your home, `$NAME` a "
        "variable of the environment, and `$$` a dollar sign.",
    )
    target: str = target_option()
    features: list[str] = features_option()
    classes: list[str] | None = classes_option()
    categories: dict[str, list[str]] = categories_option()
    missing: Missing = missing_option()
    held_out: float = held_out_option("rows")
    largest_part: int = largest_part_option("Rows", MOST_ROWS)
    duplicates: Literal["refuse", "allow"] = duplicates_option(rows=True)
    without: list[str] = without_option()

    @property
    def columns(self) -> TableColumns:
        """What its columns are."""
        return stated_columns(vars(self))

    def load_part(self, data_root: Path, name: str) -> RawSplits:
        """Return the rows of a part to fit, and those to score: none where a test set is.

        Rows are in an order of their content, so that equal parts give equal bytes.

        Raises:
            DataError: naming the part, or the row and column in it that is not as stated.
        """
        source = part_of(root_of(self.source, data_root), name)
        rows = self._read(source)
        # Row by row: equal rows of one source are as a rule different cases.
        scored = held_out(source, np.arange(len(rows.labels)), self.held_out, "row")
        fitted, held = chosen_rows(rows, ~scored), chosen_rows(rows, scored)
        remarks = (f"rows that repeat another one of the part: {repeated_within(rows)}",)
        if self.held_out:
            both = f"{repeated(fitted, held)} of {len(held.labels)}"
            remarks += (f"rows to score that are among those to fit, too: {both}",)
        return splits_of(fitted, held, remarks)

    def load_test(self, data_root: Path) -> RawSplits:
        """Return the rows of the folder `test`, and none to fit.

        Raises:
            DataError: naming the file, and the row and column in it that is not as stated.
        """
        rows = self._read(root_of(self.source, data_root) / TEST)
        return splits_of(chosen_rows(rows, np.zeros(len(rows.labels), dtype=bool)), rows)

    def _read(self, source: Path) -> Rows:
        """Return the rows of a file, or of the files of a folder, ordered by their content."""
        files = [source]
        if source.is_dir():
            found = sorted(path for path in source.iterdir() if not path.name.startswith("."))
            files = [path for path in found if path.suffix.lower() in TABLE_ENDINGS]
            if files != found or not files:
                other = next((path.name for path in found if path not in files), "nothing")
                raise DataError(
                    f"{source}: holds {other}; expected files of {', '.join(TABLE_ENDINGS)} alone"
                )
        rows = read_tables(files, self.columns)
        if len(rows.labels) > self.largest_part:
            raise DataError(
                f"{source}: holds {len(rows.labels)} rows, more than the key largest_part allows, "
                f"{self.largest_part}"
            )
        last = rows.labels if rows.targets is None else rows.targets
        order = np.lexsort((last, *rows.inputs.T[::-1]))
        return chosen_rows(rows, order)
