"""Reads the files of a folder, a zip or a tar archive into memory, and writes none.

Knows what an archive may do to its reader: names that lead elsewhere, links, devices, content
that fills the memory. It knows nothing of images.
"""

import copy
import gzip
import os
import re
import stat
import sys
import tarfile
import textwrap
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

from incbayes.data.raw import DataError
from incbayes.study.counting import is_hidden

FILE, FOLDER, LINK, DEVICE = "a file", "a folder", "a link", "a device"
UNPACKED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""Compressions of a zip whose output Python can bound while it is made."""

LEAST_TOTAL = 2**30
"""Bytes that an archive of unknown content may unpack to in any case, …"""

LARGEST_RATIO = 100
"""… and times its own size that it may unpack to beyond that; images are compressed already."""

CHUNK = 2**16
"""Bytes that are read at once where the content does not matter."""


@dataclass(frozen=True)
class Limits:
    """What a source may hold, so that a small archive cannot fill the memory.

    Attributes:
        file: bytes of the largest file, uncompressed.
        total: bytes of all files together, uncompressed.
        way_out: what the error says to do about it.
    """

    file: int
    total: int
    way_out: str = ""


@dataclass(frozen=True)
class Entry:
    """A file or a folder of a source.

    Attributes:
        parts: its path below the source.
        is_folder: whether it is a folder.
        read: returns the content of a file; to be called before the next entry is asked for.
    """

    parts: tuple[str, ...]
    is_folder: bool
    read: Callable[[], bytes]


@dataclass(frozen=True)
class _Found:
    """An entry as the source declares it: nothing of it has been checked."""

    name: str
    kind: str
    size: int
    read: Callable[[], bytes]


def entries(source: Path, limits: Limits) -> Iterator[Entry]:
    """Yield the files and folders of a source in its own order, hidden ones left out.

    Args:
        source: a folder, or an archive that ends in .zip, .tar, .tar.gz or .tgz.
        limits: of the sizes.

    Raises:
        DataError: naming the source and, where it is one, the entry: absent, truncated,
            damaged, encrypted, too large, given twice, a link or device, or its name leads
            out of the source.
    """
    seen: set[tuple[str, ...]] = set()
    total = 0
    with _readable(source):
        for found in _reader(source)(source, limits):
            parts = _safe_parts(source, found.name)
            total += found.size
            if found.size > limits.file or total > limits.total:
                raise _too_large(source, f"{found.name!r} with its {found.size} bytes", limits)
            if not parts or any(map(is_hidden, parts)):
                continue
            if found.kind not in (FILE, FOLDER):
                raise DataError(
                    f"{source}: {found.name!r} is {found.kind}; allowed: files and folders"
                )
            if found.kind == FILE and parts in seen:
                raise DataError(f"{source}: {found.name!r} is in it twice")
            seen.add(parts)
            yield Entry(parts, found.kind == FOLDER, partial(_read, source, found))


def most_bytes(source: Path) -> int:
    """Return what all files of a source may take, where no more is known of them.

    What lies in a folder is on the disk already, and may take anything.
    """
    if not source.is_file():
        return sys.maxsize
    return max(LEAST_TOTAL, LARGEST_RATIO * source.stat().st_size)


def _reader(source: Path) -> Callable[[Path, Limits], Iterator[_Found]]:
    """Return the function that lists a source of this form."""
    if source.is_dir():
        return _folder_files
    if not source.is_file():
        raise DataError(f"{source}: there is no such file or folder")
    for ending, reader in READERS.items():
        if source.name.lower().endswith(ending):
            return reader
    raise DataError(f"{source}: is no folder; allowed: archives, {', '.join(READERS)}")


def _folder_files(source: Path, limits: Limits) -> Iterator[_Found]:
    waiting = [source]
    while waiting:
        with os.scandir(waiting.pop()) as listing:
            for item in listing:
                path = Path(item.path)
                kind = _kind(item.stat(follow_symlinks=False).st_mode)
                size = item.stat().st_size if kind == FILE else 0
                if kind == FOLDER and not is_hidden(path.name):
                    waiting.append(path)
                yield _Found(path.relative_to(source).as_posix(), kind, size, path.read_bytes)


def _zip_files(source: Path, limits: Limits) -> Iterator[_Found]:
    with zipfile.ZipFile(source) as archive:
        for member in archive.infolist():
            if member.compress_type not in UNPACKED:
                raise DataError(
                    f"{source}: {member.filename!r} is compressed by method "
                    f"{member.compress_type}; allowed: stored or deflated"
                )
            mode = member.external_attr >> 16  # 0 where no Unix system made the archive
            kind = _kind(mode) if stat.S_IFMT(mode) else FILE
            kind = FOLDER if member.is_dir() and kind == FILE else kind
            read = partial(_read_zipped, archive, member)
            yield _Found(member.filename, kind, member.file_size, read)


def _tar_files(source: Path, limits: Limits) -> Iterator[_Found]:
    compressed = not source.name.lower().endswith(".tar")
    with gzip.open(source) if compressed else source.open("rb") as file:
        stream = _Bounded(file, source, limits)
        with tarfile.open(fileobj=stream, mode="r:") as archive:
            for member in archive:
                kind = _tar_kind(member)
                size = member.size if kind == FILE else 0
                read = partial(_read_member, archive, member)
                yield _Found(member.name, kind, size, read)
        while stream.read(CHUNK):  # to the end, where gzip keeps its checksum
            pass


READERS = {".zip": _zip_files, ".tar": _tar_files, ".tar.gz": _tar_files, ".tgz": _tar_files}
"""What lists an archive, by the ending of its name."""


class _Bounded:
    """A stream for `tarfile` that ends in an error where an archive says too much.

    The sizes in a tar's headers are the archive's own word, also those of headers that are read
    whole into memory.
    """

    def __init__(self, stream: BinaryIO, source: Path, limits: Limits):
        self.stream, self.source, self.limits = stream, source, limits

    def read(self, size: int) -> bytes:
        if size > self.limits.file + CHUNK:
            raise _too_large(self.source, f"a header of {size} bytes", self.limits)
        content = self.stream.read(size)
        self._check(self.stream.tell())
        return content

    def seek(self, position: int) -> int:
        self._check(position)
        return self.stream.seek(position)

    def tell(self) -> int:
        return self.stream.tell()

    def _check(self, position: int) -> None:
        if position > self.limits.total:
            raise _too_large(self.source, f"content of {position} bytes or more", self.limits)


def _read_zipped(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    """Return the content of a member; one that holds more than it declares fails its checksum.

    `ZipFile.read` would unpack all of it before it cut it to the declared size.
    """
    longer = copy.copy(member)
    longer.file_size += 1
    with archive.open(longer) as file:
        return file.read(longer.file_size)


def _read_member(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    with archive.extractfile(member) as file:
        return file.read()


def _read(source: Path, found: _Found) -> bytes:
    with _readable(source):
        content = found.read()
    if len(content) != found.size:
        raise DataError(
            f"{source}: {found.name!r} has {len(content)} bytes instead of {found.size}: damaged, "
            "or changed while it was read"
        )
    return content


def _kind(mode: int) -> str:
    """Return what a file's mode says that it is."""
    if stat.S_ISREG(mode):
        return FILE
    if stat.S_ISDIR(mode):
        return FOLDER
    return LINK if stat.S_ISLNK(mode) else DEVICE


def _tar_kind(member: tarfile.TarInfo) -> str:
    if member.isreg():
        return FILE
    if member.isdir():
        return FOLDER
    return LINK if member.issym() or member.islnk() else DEVICE


def _safe_parts(source: Path, name: str) -> tuple[str, ...]:
    """Return the components of a name, which has to stay within the source."""
    parts = re.split(r"[/\\]", name)
    if name[:1] in ("/", "\\") or ".." in parts or re.match("[A-Za-z]:", name):
        raise DataError(f"{source}: the name {name!r} leads out of the archive")
    return tuple(part for part in name.split("/") if part not in ("", "."))


def _too_large(source: Path, what: str, limits: Limits) -> DataError:
    return DataError(
        f"{source}: {what} is more than images of this number and shape take; allowed: "
        f"{limits.file} bytes a file, {limits.total} in all, uncompressed{limits.way_out}"
    )


@contextmanager
def _readable(source: Path) -> Iterator[None]:
    """Say of any error which source it was that could not be read."""
    try:
        yield
    except DataError:
        raise
    except Exception as error:  # whatever gzip, zlib, tarfile, zipfile or the disk raise
        cause = textwrap.shorten(f"{type(error).__name__}: {error}", 200, placeholder=" …")
        raise DataError(f"{source}: cannot be read, truncated or damaged ({cause})") from error
