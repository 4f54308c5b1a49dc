"""Whether a user's files are still those that a data set was prepared from: by content, not by age.

Names, sizes and time stamps are looked at while a study is planned, and whatever differs counts, be
it newer or older. Then contents are compared, so that a copy with other time stamps is the same
source. What was prepared has a record of both beside it.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from incbayes.core.errors import UserError
from incbayes.core.files import sha256_file, write_json
from incbayes.study.counting import is_hidden

RECORD = "source.json"
"""Beside the prepared files; Snakemake does not know of it."""

Found = TypeVar("Found")


class SourceError(UserError):
    """Files of a user that cannot be looked at, or that change while they are read."""


@dataclass(frozen=True)
class Record:
    """What a data set was prepared from.

    Attributes:
        state: what the rule of the preparation was given as such.
        stamps: digest of names, sizes and time stamps.
        content: digest of names and contents.
        counted: numbers of images or rows by split that planning found; null for what it could not.
    """

    state: str
    stamps: str
    content: str
    counted: Mapping[str, int | None] = field(default_factory=dict)


def read_record(folder: Path) -> Record | None:
    """Return the record beside prepared files; None where there is none that can be read."""
    try:
        return Record(**json.loads((folder / RECORD).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def stamps_of(roots: Sequence[Path]) -> str:
    """Return the digest of what the system says of files: names, sizes and both time stamps.

    That of the last change of the entry (ctime) is among them: a file that is replaced by one of
    the same size and time stamp has another.

    Args:
        roots: files and folders, in order; where they lie does not count.

    Raises:
        SourceError: one cannot be read.
    """
    return _digest(roots, _stamps)


def content_of(roots: Sequence[Path]) -> str:
    """Return the digest of the names and the bytes of files.

    Args:
        roots: as in `stamps_of`.

    Raises:
        SourceError: one cannot be read.
    """
    return _digest(roots, _content)


def current_state(roots: Sequence[Path], folder: Path) -> str:
    """Return the state of files, another one exactly where they are not those that were prepared.

    It reads contents only where time stamps differ from those of the record, and then notes the
    new ones there.

    Args:
        roots: as in `stamps_of`; while one is not there, what was prepared stays as it is.
        folder: of the prepared files.

    Raises:
        SourceError: one cannot be read.
    """
    known = read_record(folder)
    if not all(root.exists() for root in roots):
        return known.state if known else ""
    stamps = stamps_of(roots)
    if known is None:
        return stamps
    if stamps != known.stamps:
        if content_of(roots) != known.content:
            return stamps
        with suppress(UserError, OSError):  # it is compared again next time
            write_json(folder / RECORD, asdict(replace(known, stamps=stamps)))
    return known.state


@contextmanager
def recorded(found: Mapping[str, Any] | None, roots: Iterable[str], folder: Path) -> Iterator[None]:
    """Note beside what the block prepares in which state its source was.

    Args:
        found: by planning: the state as `source`, and numbers of images or rows by split; None of
            data that are no files of a user.
        roots: paths as in `stamps_of`.
        folder: of the prepared files.

    Raises:
        SourceError: a file cannot be read, or was changed meanwhile.
    """
    if found is None:
        yield
        return
    counted, paths = dict(found), [Path(root) for root in roots]
    state = counted.pop("source")
    (folder / RECORD).unlink(missing_ok=True)
    stamps, content = stamps_of(paths), content_of(paths)
    yield
    after = stamps_of(paths)
    if after != stamps and content_of(paths) != content:
        raise SourceError(
            f"{paths[0]}: changed while it was read; once it is whole, the same command prepares "
            "it again"
        )
    write_json(folder / RECORD, asdict(Record(state, after, content, counted)))


def _files(roots: Sequence[Path]) -> Iterator[tuple[str, str | None]]:
    """Yield name and path of every file that is not hidden, in an order of the names.

    Of a folder, which counts also where it is empty, the name alone.

    Raises:
        SourceError: a folder cannot be read.
    """
    for root in roots:
        if not root.is_dir():
            yield root.name, str(root)
            continue
        waiting = [(root.name, str(root))]
        while waiting:
            name, folder = waiting.pop()
            yield f"{name}/", None
            for item in sorted(_readable(_listed, folder), key=lambda item: item.name):
                if is_hidden(item.name):
                    continue
                if item.is_dir(follow_symlinks=False):
                    waiting.append((f"{name}/{item.name}", item.path))
                else:
                    yield f"{name}/{item.name}", item.path


def _digest(roots: Sequence[Path], of: Callable[[str], str]) -> str:
    """Return the digest of the names of files and of what `of` returns for each."""
    found = hashlib.sha256()
    for name, path in _files(roots):
        said = "" if path is None else _readable(of, path)
        found.update(os.fsencode(f"{name}\0{said}\n"))
    return found.hexdigest()


def _listed(folder: str) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as listing:
        return list(listing)


def _stamps(path: str) -> str:
    try:
        found = os.stat(path)
    except FileNotFoundError:  # a link that leads nowhere, which is refused where it is prepared
        found = os.lstat(path)
    return f"{found.st_size} {found.st_mtime_ns} {found.st_ctime_ns}"


def _content(path: str) -> str:
    # A device or a link that leads nowhere is refused where it is prepared; reading may not end.
    return sha256_file(path) if os.path.isfile(path) else ""


def _readable(reader: Callable[[str], Found], path: str) -> Found:
    try:
        return reader(path)
    except OSError as error:
        raise SourceError(f"{path}: cannot be read ({error.strerror or error})") from None
