"""A folder that changes as a whole: a reader finds all of its old files or all of the new ones.

Knows the file system only.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from incbayes.core.files import writable


@contextmanager
def atomic_folder(folder: Path) -> Iterator[Path]:
    """Yield an empty folder that takes the place of `folder` when the block ends well.

    A kill between the two renames leaves the old folder under another name, from which
    `restore_folder`, which readers are to call first, takes it back.

    Raises:
        FileError: the disk is full, or the folder may not be written to; `folder` is as it was.
    """
    partial, old = _beside(folder, "partial"), _beside(folder, "old")
    restore_folder(folder)
    for left_over in (partial, old):
        shutil.rmtree(left_over, ignore_errors=True)
    with writable(folder):
        partial.mkdir(parents=True)
        try:
            yield partial
            if folder.exists():
                os.replace(folder, old)
            os.replace(partial, folder)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    shutil.rmtree(old, ignore_errors=True)


def restore_folder(folder: Path) -> None:
    """Put a folder back that a killed `atomic_folder` had moved away but not yet replaced."""
    if not folder.exists() and _beside(folder, "old").is_dir():
        os.replace(_beside(folder, "old"), folder)


def _beside(folder: Path, suffix: str) -> Path:
    return folder.with_name(f".{folder.name}.{suffix}")
