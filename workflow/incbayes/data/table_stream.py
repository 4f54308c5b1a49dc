"""A table of one's own that arrives in parts: each part a file, or a folder of files.

Knows how a part and the rows to score on have to lie, and what makes a part one that no stage
should see. Which parts there are, and in what order, `study.streams` says.
"""

from dataclasses import MISSING, dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from incbayes.core.fractions import images_in
from incbayes.core.options import option
from incbayes.core.streams import numpy_stream
from incbayes.data.columns import Missing, TableColumns
from incbayes.data.raw import DataError, RawSplits
from incbayes.data.table import chosen_rows, splits_of
from incbayes.data.table_file import MOST_ROWS, Rows, read_tables
from incbayes.data.table_options import (
    categories_option,
    classes_option,
    features_option,
    missing_option,
    stated_columns,
    target_option,
)
from incbayes.study.streams import PARTS, TABLE_ENDINGS, TEST, part_source
from incbayes.study.user_paths import expanded


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
    held_out: float = option(
        0.0,
        "Share of every part that no stage is fitted to, and that the part's stage is scored on, "
        "drawn at random; 0: the rows in `SOURCE/test` are, and must be there.",
        minimum=0,
        maximum=0.9,
    )
    largest_part: int = option(
        100_000,
        "Rows that a part may hold at most; what a cluster is asked for goes by it.",
        minimum=1,
        maximum=MOST_ROWS,
    )
    without: list[str] = option(
        [],
        "Names of parts that are taken back: the chain goes on from the stage before the first of "
        "them, as if they had not come, and the report says so.",
    )

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
        root = self._root(data_root)
        source = part_source(root, name)
        if source is None:
            raise DataError(f"{root / PARTS}: there is no part {name!r}")
        rows = self._read(source)
        number = len(rows.labels)
        held = max(1, images_in(self.held_out, number)) if self.held_out else 0
        if held >= number:
            raise DataError(
                f"{source}: holds {number} row, and held_out takes it; give more rows, or "
                "held_out 0 and a folder test"
            )
        order = numpy_stream(0, "held out of a part").permutation(number)
        is_scored = np.zeros(number, dtype=bool)
        is_scored[order[:held]] = True
        return splits_of(chosen_rows(rows, ~is_scored), chosen_rows(rows, is_scored))

    def load_test(self, data_root: Path) -> RawSplits:
        """Return the rows of the folder `test`, and none to fit.

        Raises:
            DataError: naming the file, and the row and column in it that is not as stated.
        """
        rows = self._read(self._root(data_root) / TEST)
        return splits_of(chosen_rows(rows, np.zeros(len(rows.labels), dtype=bool)), rows)

    def _root(self, data_root: Path) -> Path:
        return Path(data_root) / expanded(self.source, ("source",))

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
