"""Reads the rows of tables, CSV and Parquet, into numbers, and names what cannot be taken.

Knows files and columns; nothing of splits, parts or scaling.
"""

import csv
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from incbayes.core.registry import nearest
from incbayes.data.columns import TableColumns
from incbayes.data.raw import DataError

MISSING = ("", "NA", "N/A", "NaN", "nan", "null", "None")
"""Texts that stand for no value, but where a category has that name."""

MOST_ROWS = 10_000_000
"""Of all files of a source; all of them are held in memory."""

NAMED = 3
"""Rows, or columns, that a message names."""


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows of a table as numbers.

    Attributes:
        inputs: float64 [N, D], NaN where a value is missing.
        labels: int64 [N], class numbers; 0 where the target is a number, or was not asked for.
        targets: float64 [N]; None where the target is a class, or was not asked for.
        names: file and number of each row, from 1, e.g. `new.csv:7`.
    """

    inputs: np.ndarray
    labels: np.ndarray
    targets: np.ndarray | None
    names: tuple[str, ...]


def read_tables(files: Sequence[Path], columns: TableColumns, with_target: bool = True) -> Rows:
    """Return the rows of files, in their order.

    Args:
        files: CSV, with commas, a head line and UTF-8, or Parquet, by their endings. Columns that
            are not asked for are left alone.
        columns: that are wanted.
        with_target: whether the target is.

    Raises:
        DataError: naming the file, and the row and column of what cannot be taken.
    """
    wanted = [*columns.features, *([columns.target] if with_target else [])]
    found = [rows_of(_values(file, wanted), str(file), columns, with_target) for file in files]
    count = sum(len(rows.labels) for rows in found)
    if not count:
        raise DataError(f"{', '.join(map(str, files)) or 'no file'}: there is no row")
    if count > MOST_ROWS:
        raise DataError(f"{files[0].parent}: {count} rows; allowed: {MOST_ROWS}")
    targets = [rows.targets for rows in found if rows.targets is not None]
    return Rows(
        np.concatenate([rows.inputs for rows in found]),
        np.concatenate([rows.labels for rows in found]),
        np.concatenate(targets) if targets else None,
        tuple(name for rows in found for name in rows.names),
    )


def rows_of(
    values: Mapping[str, Sequence[Any]], where: str, columns: TableColumns, with_target: bool = True
) -> Rows:
    """Return rows from their values by column.

    Args:
        values: of all columns that are wanted.
        where: they are from, for messages and for the names of the rows.
        columns: that are wanted.
        with_target: whether the target is.

    Raises:
        DataError: naming row and column of what cannot be taken.
    """
    count = len(values[columns.features[0]])
    inputs = np.empty((count, len(columns.names)))
    place = 0
    for feature in columns.features:
        cells = _Cells(where, feature, values[feature])
        if feature in columns.categories:
            categories = columns.categories[feature]
            numbers = cells.category_numbers(categories, columns.missing != "refuse")
            block = numbers[:, None] == np.arange(len(categories))
        else:
            block = cells.numbers(columns.missing != "refuse")[:, None]
        inputs[:, place : place + block.shape[1]] = block
        place += block.shape[1]
    labels, targets = np.zeros(count, np.int64), None
    if with_target:
        cells = _Cells(where, columns.target, values[columns.target], is_target=True)
        if columns.classes is None:
            targets = cells.numbers(False)
        else:
            labels = cells.category_numbers(columns.classes, False)
    names = tuple(f"{where}:{number}" for number in range(1, count + 1))
    return Rows(inputs, labels, targets, names)


def _values(file: Path, wanted: Sequence[str]) -> dict[str, list[Any]]:
    """Return the values of the wanted columns: text of a CSV, of their types of a Parquet."""
    readers = {".csv": _values_of_csv, ".parquet": _values_of_parquet}
    reader = readers.get(file.suffix.lower())
    if reader is None:
        raise DataError(f"{file}: allowed endings of a table: {', '.join(readers)}")
    try:
        before = file.stat()
        found = reader(file, wanted)
        _check_unchanged(file, before)
        return found
    except DataError:
        raise
    except Exception as error:  # whatever a reader raises of a file that is something else
        cause = " ".join(f"{type(error).__name__}: {error}".split())
        raise DataError(f"{file}: not a readable table ({cause})") from error


def _check_unchanged(file: Path, before: os.stat_result) -> None:
    """Check that a file is still what it was: a part of what is being written is no table.

    Raises:
        DataError: it was written to meanwhile.
    """
    now = file.stat()
    if (now.st_mtime_ns, now.st_size) != (before.st_mtime_ns, before.st_size):
        raise DataError(f"{file}: changed while it was read; run again once it is whole")


def _values_of_parquet(file: Path, wanted: Sequence[str]) -> dict[str, list[Any]]:
    import pyarrow.parquet as pq

    check_columns(file, pq.read_schema(file).names, wanted)
    # As a file of its own: pyarrow would take folders called a=b for columns.
    found: dict[str, list[Any]] = pq.ParquetFile(file).read(columns=list(wanted)).to_pydict()
    return found


def _values_of_csv(file: Path, wanted: Sequence[str]) -> dict[str, list[Any]]:
    """Return texts; every row must have as many as the head, so that none is of another column."""
    with open(file, newline="", encoding="utf-8-sig") as opened:
        lines = csv.reader(opened, strict=True)
        head = next(filter(None, lines), [])
        check_columns(file, head, wanted)
        places = {name: head.index(name) for name in wanted}
        found: dict[str, list[Any]] = {name: [] for name in wanted}
        # Of a file with one column a blank line may be a row without a value, or none.
        of_one = len(head) == 1
        for number, line in enumerate(lines if of_one else filter(None, lines), start=1):
            if not line:
                raise DataError(
                    f'{file}: row {number} is a blank line; in a file of one column write "" for '
                    "a value that is missing, or remove the line"
                )
            if len(line) != len(head):
                raise DataError(
                    f"{file}: row {number} has {len(line)} values, where the head names "
                    f"{len(head)} columns"
                )
            for name, place in places.items():
                found[name].append(line[place])
    return found


def check_columns(file: object, held: list[str], wanted: Iterable[str]) -> None:
    """Check that a file, or what it is called, has every wanted column, once.

    Raises:
        DataError: naming the column that it lacks, or has twice.
    """
    for name in wanted:
        if name not in held:
            separated = "; columns are separated by commas" if len(held) == 1 else ""
            shown = ", ".join(map(repr, held[:10])) + (", …" if len(held) > 10 else "")
            raise DataError(
                f"{file}: lacks the column {name!r}{nearest(name, held)}; it has {shown or 'none'}"
                f"{separated}"
            )
        if held.count(name) > 1:
            raise DataError(f"{file}: has the column {name!r} twice")


@dataclass(frozen=True, eq=False)
class _Cells:
    """The values of a column of a file.

    Attributes:
        where: it is from.
        column: its name.
        values: as read.
        is_target: whether it is what is predicted.
    """

    where: str
    column: str
    values: Sequence[Any]
    is_target: bool = False

    def numbers(self, may_lack: bool) -> np.ndarray:
        """Return the numbers, float64 [N], NaN where one is missing."""
        lacks = self._lacking((), may_lack)
        found = np.array([_number(value) for value in self.values], dtype=np.float64)
        self._refuse(np.isnan(found) & ~lacks, "is no number")
        self._refuse(np.isinf(found), "is not finite")
        return found

    def category_numbers(self, categories: Sequence[str], may_lack: bool) -> np.ndarray:
        """Return the places of the values in `categories`, int64 [N], -1 where one is missing."""
        lacks = self._lacking(categories, may_lack)
        places = {name: place for place, name in enumerate(categories)}
        found = np.array([places.get(_text(value), -2) for value in self.values], dtype=np.int64)
        found[lacks] = -1
        key = "classes" if self.is_target else "categories"
        self._refuse(found == -2, f"is not among the {key} that are stated")
        return found

    def _lacking(self, named: Sequence[str], may_lack: bool) -> np.ndarray:
        """Return which values are missing, bool [N]; a text that `named` holds is not.

        Raises:
            DataError: one is, and none may be.
        """
        lacks = np.array([_is_missing(value, named) for value in self.values], dtype=bool)
        if not may_lack:
            way_out = "" if self.is_target else "; fill it, or state missing: mean"
            self._refuse(lacks, "is missing", way_out)
        return lacks

    def _refuse(self, bad: np.ndarray, why: str, way_out: str = "") -> None:
        """Refuse the column where a value is bad.

        Raises:
            DataError: naming the first such rows, and the value of the first.
        """
        rows = np.flatnonzero(bad)
        if not len(rows):
            return
        more = f" and {len(rows) - NAMED} more" if len(rows) > NAMED else ""
        numbers = ", ".join(str(row + 1) for row in rows[:NAMED])
        found = "" if why == "is missing" else f" {str(self.values[rows[0]])[:40]!r}"
        raise DataError(
            f"{self.where}: column {self.column!r}: the value{found} {why} "
            f"(row{'s' if len(rows) > 1 else ''} {numbers}{more}){way_out}"
        )


def _is_missing(value: Any, named: Sequence[str]) -> bool:
    if isinstance(value, str):
        return value.strip() in MISSING and value not in named
    return value is None or (isinstance(value, float) and math.isnan(value))


def _number(value: Any) -> float:
    """Return a value as a number, exactly as written; NaN where it is none."""
    if isinstance(value, str) and "_" in value:  # Python would take 1_000 for 1000
        return math.nan
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan


def _text(value: Any) -> str:
    """Return a value as a category is stated: a whole number without a point."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
