"""Keeps what a study measured: its report, records, claims and figures, without the posteriors.

Copies files and knows nothing of what is in them.
"""

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from incbayes.files import atomic_write


def publish(
    study: Mapping[str, Any],
    path: Path,
    page: str,
    front: Path,
    copies: Iterable[tuple[Path, Path]],
) -> None:
    """Write a study as YAML and its page, and copy its files.

    Args:
        study: in its resolved form, every default in place.
        path: where it goes.
        page: what to show first, as Markdown.
        front: where that goes.
        copies: file and copy of each.

    Raises:
        FileError: something cannot be written.
    """
    with atomic_write(path) as partial:
        text = yaml.safe_dump(dict(study), sort_keys=False, allow_unicode=True, width=100)
        partial.write_text(text, encoding="utf-8")
    with atomic_write(front) as partial:
        partial.write_text(page, encoding="utf-8")
    for file, copy in copies:
        with atomic_write(copy) as partial:
            shutil.copyfile(file, partial)
