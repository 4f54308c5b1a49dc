"""A table of one's own: rows in CSV or Parquet files, with features and a target.

Knows what a study states of it, and which rows are held out to score on.
"""

from dataclasses import MISSING, dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from incbayes.core.options import option
from incbayes.core.streams import numpy_stream
from incbayes.data.columns import Missing, TableColumns
from incbayes.data.duplicates import content_digests
from incbayes.data.partition import class_balanced_order
from incbayes.data.raw import DataError, RawSplits
from incbayes.data.table_file import Rows, read_tables
from incbayes.data.table_options import (
    categories_option,
    classes_option,
    features_option,
    missing_option,
    stated_columns,
    target_option,
)
from incbayes.study.tables import USUAL_SHARE, rows_held_out, table_files
from incbayes.study.user_paths import expanded

CUT_SEED = 1936
"""Fixes which rows are test rows (the year in which the irises were measured)."""


@dataclass(frozen=True)
class Table:
    """Your own table: CSV (with commas, a head line, UTF-8) or Parquet, one file or several.

    A column of `features` is a number, or has `categories`, each of which becomes a column of 0 and
    1. The target is one of `classes`, or a number where there are none; the likelihood is
    `gaussian` then. Columns that are not named are not read. Rows are in the order of the files'
    names, and within a file as they stand.
    """

    constraints: ClassVar[dict[str, Any]] = {"table": True}

    source: str = option(
        MISSING,
        "The file, or a pattern of several, such as `parts/*.parquet`: absolute or relative to "
        "`data_root`; a leading `~` is your home, `$NAME` a variable of the environment, and `$$` "
        "a dollar sign.",
    )
    target: str = target_option()
    features: list[str] = features_option()
    classes: list[str] | None = classes_option()
    categories: dict[str, list[str]] = categories_option()
    missing: Missing = missing_option()
    test_source: str | None = option(
        None, "The file, or pattern, of the rows to score on; null: `test_share` of the source's."
    )
    test_share: float | None = option(
        None,
        "Share of the rows that no stage is fitted to, drawn at random, always the same ones for "
        "as many rows, with the share of each class; null: 0.2 where there is no `test_source`. 0: "
        "none, for `pretrain.data` alone, of which nothing is scored.",
        minimum=0,
        maximum=0.9,
    )
    duplicates: Literal["refuse", "allow"] = option(
        "refuse",
        "What to do where one row, value by value with its target, is in `source` and in "
        "`test_source`. Rows of few columns, or with values missing, can be equal and yet "
        "different cases: allow them then. Equal rows within `source` are never refused. The log "
        "of the preparation counts both.",
    )

    @property
    def columns(self) -> TableColumns:
        """What its columns are."""
        return stated_columns(vars(self))

    def load(self, data_root: Path) -> RawSplits:
        """Return the rows, those to fit and those to score.

        Raises:
            DataError: naming the file, and the row and column of what cannot be taken.
        """
        rows = self._read(data_root, self.source, "source")
        if self.test_source is not None:
            test = self._read(data_root, self.test_source, "test_source")
            return splits_of(rows, test, (self._check_repeated(rows, test),))
        share = USUAL_SHARE if self.test_share is None else self.test_share
        held_out = rows_held_out(vars(self), len(rows.labels))
        if share and not 0 < held_out < len(rows.labels):
            raise DataError(
                f"{self.source}: {share:g} of {len(rows.labels)} rows leaves none to "
                f"{'score on' if held_out == 0 else 'fit'}; give more rows, or a test_source"
            )
        remark = f"rows that repeat another one of source: {repeated_within(rows)}"
        return cut_rows(rows, held_out, (remark,))

    def _check_repeated(self, rows: Rows, test: Rows) -> str:
        """Refuse rows to score on that are rows to fit, or return for the log how many there are.

        Raises:
            DataError: there are some, and the study does not allow them.
        """
        count, number = repeated(rows, test), len(test.labels)
        if count and self.duplicates == "refuse":
            raise DataError(
                f"{self.test_source}: {count} of {number} rows are in {self.source}, too, value by "
                "value; a test on rows that were trained on says too much: remove them from one of "
                "the two, or set the key duplicates to allow where equal rows are different cases"
            )
        return f"rows of test_source that are in source, too: {count} of {number}"

    def _read(self, data_root: Path, stated: str, key: str) -> Rows:
        source = Path(data_root) / expanded(stated, (key,))
        files = table_files(source)
        if not files:
            raise DataError(f"{source}: no such file (key {key})")
        return read_tables(files, self.columns)


def cut_rows(rows: Rows, held_out: int, remarks: tuple[str, ...] = ()) -> RawSplits:
    """Return rows with so many held out to score on: at random, each class by its share."""
    shuffled = numpy_stream(CUT_SEED, "table", "test").permutation(len(rows.labels))
    order = shuffled[class_balanced_order(rows.labels[shuffled])]
    is_test = np.zeros(len(rows.labels), dtype=bool)
    is_test[order[:held_out]] = True
    return splits_of(chosen_rows(rows, ~is_test), chosen_rows(rows, is_test), remarks)


def splits_of(train: Rows, test: Rows, remarks: tuple[str, ...] = ()) -> RawSplits:
    """Return rows in the form that a data set delivers: a column a channel of one pixel."""
    return RawSplits(
        train.inputs[:, :, None, None],
        train.labels,
        test.inputs[:, :, None, None],
        test.labels,
        remarks,
        train.targets,
        test.targets,
    )


def chosen_rows(rows: Rows, which: np.ndarray) -> Rows:
    """Return the rows at places, int64, or those that are true, bool [N]."""
    targets = None if rows.targets is None else rows.targets[which]
    names = tuple(rows.names[place] for place in np.arange(len(rows.names))[which])
    return Rows(rows.inputs[which], rows.labels[which], targets, names)


def repeated(train: Rows, test: Rows) -> int:
    """Return how many rows to score on are, value by value, rows to fit as well."""
    seen = set(_digests(train))
    return sum(digest in seen for digest in _digests(test))


def repeated_within(rows: Rows) -> int:
    """Return how many rows repeat an earlier one, value by value."""
    return len(rows.labels) - len(set(_digests(rows)))


def _digests(rows: Rows) -> list[tuple[int, ...]]:
    found = content_digests(rows.inputs[:, :, None, None], rows.labels, rows.targets)
    return [tuple(digest) for digest in found.tolist()]
