"""How many images, or rows, of one's own there are, found while a study is planned.

Of images only names are read: a folder and a zip archive are listed. A tar archive has no index, so
nothing is known of it before it is prepared. Of a table the rows of a Parquet are in its footer,
and those of a CSV are counted if that takes no more than a moment.
"""

import csv
import os
import zipfile
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path

SPLITS = ("train", "test")
MOST_COUNTED = 32_000_000
"""Bytes of CSV files of which rows are counted while a study is planned: a second or less."""

HIDDEN = frozenset({"__MACOSX", "Thumbs.db", "desktop.ini"})
"""Files and folders that systems leave behind; skipped, as are names that begin with a dot."""


def is_hidden(name: str) -> bool:
    """Return whether a file or folder of this name is no part of a source."""
    return name.startswith(".") or name in HIDDEN


def enclosing(paths: Iterable[Sequence[str]]) -> tuple[str, ...]:
    """Return the one folder that all paths lie in, where that is no split; else nothing.

    Args:
        paths: components of each, below the source.
    """
    heads = {path[0] for path in paths if path}
    return (heads.pop(),) if len(heads) == 1 and heads.isdisjoint(SPLITS) else ()


def class_folders(source: Path, classes: Iterable[str]) -> dict[str, list[Path]]:
    """Return the folders of the classes that are there, by split.

    Args:
        source: a folder.
        classes: their names.

    Raises:
        OSError: the folder cannot be read.
    """
    inner = [path for path in source.iterdir() if not is_hidden(path.name)]
    root = source if (source / "train").is_dir() or len(inner) != 1 else inner[0]
    named = {split: [root / split / name for name in classes] for split in SPLITS}
    return {split: [path for path in paths if path.is_dir()] for split, paths in named.items()}


def count_images(source: Path, classes: Iterable[str]) -> dict[str, int] | None:
    """Return the number of files in the folders of the classes, by split; None if it is unknown.

    That is so of a source that is absent or cannot be read, and of a tar archive. What was found
    is kept for as long as the process runs and the time stamp stays.

    Args:
        source: a folder or an archive.
        classes: names of the classes.
    """
    try:
        if source.is_dir():
            return {
                split: sum(_files_in(str(path), path.stat().st_mtime_ns) for path in paths)
                for split, paths in class_folders(source, classes).items()
            }
        if source.suffix.lower() != ".zip":
            return None
        found = _zipped(str(source), source.stat().st_mtime_ns)
        return {split: sum(found[split, name] for name in classes) for split in SPLITS}
    except Exception:  # whatever the disk or a damaged archive raise: its preparation says it
        return None


def count_rows(files: Sequence[Path]) -> int | None:
    """Return the number of rows of files of a table; None if it is unknown.

    That is so where there is no file or no row, where one cannot be read, and of CSV files of more
    than `MOST_COUNTED` bytes. What was found is kept for as long as the file stays.

    Args:
        files: CSV with a head line, or Parquet, by their endings.
    """
    try:
        stats = [(str(path), path.suffix.lower(), path.stat()) for path in files]
        if sum(of.st_size for _, ending, of in stats if ending == ".csv") > MOST_COUNTED:
            return None
        counts = [_rows_in(path, ending, of.st_mtime_ns, of.st_size) for path, ending, of in stats]
    except Exception:  # whatever the disk or a damaged file raise: its preparation says it
        return None
    return sum(counts) or None


@lru_cache(maxsize=10_000)
def _rows_in(path: str, ending: str, stamp: int, size: int) -> int:
    if ending == ".parquet":
        import pyarrow.parquet as pq

        return int(pq.read_metadata(path).num_rows)
    if ending != ".csv":
        raise ValueError(ending)
    with open(path, newline="", encoding="utf-8-sig") as opened:
        return max(0, sum(bool(line) for line in csv.reader(opened, strict=True)) - 1)


@lru_cache(maxsize=10_000)
def _files_in(folder: str, stamp: int) -> int:
    with os.scandir(folder) as listing:
        return sum(
            not is_hidden(item.name) and not item.is_dir(follow_symlinks=False) for item in listing
        )


@lru_cache(maxsize=100)
def _zipped(archive: str, stamp: int) -> Counter[tuple[str, str]]:
    """Return the number of images of an archive by split and class."""
    with zipfile.ZipFile(archive) as file:
        names = (name.rpartition("/") for name in file.namelist())
        files = Counter(folder for folder, _, name in names if name and not is_hidden(name))
    paths = {
        tuple(part for part in folder.split("/") if part not in ("", ".")): number
        for folder, number in files.items()
    }
    paths = {path: number for path, number in paths.items() if not any(map(is_hidden, path))}
    start = len(enclosing(paths))
    found = Counter[tuple[str, str]]()
    for path, number in paths.items():
        if len(path) == start + 2:
            found[path[start], path[start + 1]] += number
    return found
