"""Files that appear whole or not at all, and the checksums that prove it.

Knows the file system only: nothing of tensors, studies or Snakemake.
"""

import errno
import hashlib
import json
import os
import re
import secrets
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from incbayes.core.errors import UserError

FOREIGN_PARTIAL_SECONDS = 24 * 3600.0
"""Age from which a partial file of another machine counts as abandoned."""


class FileError(UserError, OSError):
    """A file that cannot be written, and why: a full disk, a read-only folder, no permission."""


REFUSALS = {
    errno.ENOSPC: "make room and run again: what is done is kept",
    errno.EDQUOT: "make room and run again: what is done is kept",
    errno.EROFS: "results must lie on a file system that is mounted for writing",
    errno.EACCES: "give the user who runs this the permission to write there",
    errno.EPERM: "give the user who runs this the permission to write there",
}
"""What the system may refuse a writer, and the way out."""

_PARTIAL = re.compile(r"^\.(?P<name>.+)\.(?P<host>[0-9a-f]{8})-(?P<pid>\d+)-[0-9a-f]{8}\.partial$")


@contextmanager
def atomic_write(path: Path | str) -> Iterator[Path]:
    """Yield a temporary path that becomes `path` when the block ends without an exception.

    The temporary file lies in the folder of `path` (made when absent), so that the final
    rename stays on one file system; a reader sees the old file or the whole new one. File
    and folder are synced, so that this also holds after a power cut. What killed writers of
    `path` left is removed. Write bytes to the temporary path: safetensors' `save_file` makes a
    temporary file of its own, which a kill leaves behind.

    Raises:
        FileNotFoundError: the block wrote nothing to the temporary path.
        FileError: the disk is full, or the folder may not be written to; `path` is as it was.
    """
    path = Path(path)
    partial = path.parent / f".{path.name}.{_host()}-{os.getpid()}-{secrets.token_hex(4)}.partial"
    with writable(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_stale_partials(path.parent, path.name)
        try:
            yield partial
            if not partial.is_file():
                raise FileNotFoundError(
                    f"{path}: nothing was written to its temporary file {partial}"
                )
            _sync(partial)
            os.replace(partial, path)
            _sync(path.parent)
        finally:
            with suppress(OSError):  # of a read-only folder, in which nothing is
                partial.unlink(missing_ok=True)


@contextmanager
def writable(path: Path | str) -> Iterator[None]:
    """Turn what the system refuses a block that writes `path` into a readable error.

    Raises:
        FileError: naming the file and what the system says.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in REFUSALS:
            raise
        raise FileError(
            f"{path}: cannot be written ({error.strerror}); {REFUSALS[error.errno]}"
        ) from error


def check_writable(path: Path | str) -> None:
    """Check that a file or folder, which need not be there yet, may be written to.

    Raises:
        FileError: naming the folder, or the one above it that is there.
    """
    path = Path(path).absolute()
    existing = next(folder for folder in (path, *path.parents) if folder.exists())
    with writable(existing):
        if not os.access(existing, os.W_OK):
            read_only = os.statvfs(existing).f_flag & os.ST_RDONLY
            refused = errno.EROFS if read_only else errno.EACCES
            raise OSError(refused, os.strerror(refused))


def write_json(path: Path | str, obj: Any) -> None:
    """Write `obj` atomically as JSON: equal objects give equal bytes.

    Raises:
        ValueError: `obj` holds NaN or an infinity, which JSON cannot express.
        TypeError: `obj` holds something that is no JSON type.
    """
    try:
        text = json.dumps(obj, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{path}: cannot be written as JSON: {error}") from error
    with atomic_write(path) as partial:
        partial.write_text(text + "\n", encoding="utf-8")


def sha256_file(path: Path | str) -> str:
    """Return the SHA-256 of the file's bytes, 64 hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def remove_stale_partials(folder: Path | str, name: str | None = None) -> list[Path]:
    """Delete the partial files that killed writers left in `folder`, and return their paths.

    With `name`, only those of the file of that name. A partial file is kept while its writer
    lives: one of this machine as long as its process runs, one of another machine (a shared file
    system) for `FOREIGN_PARTIAL_SECONDS`.
    """
    removed = []
    for path in sorted(Path(folder).glob(".*.partial")):
        match = _PARTIAL.match(path.name)
        if match is None or name not in (None, match["name"]):
            continue
        if _is_stale(path, match["host"], int(match["pid"])):
            path.unlink(missing_ok=True)
            removed.append(path)
    return removed


def _host() -> str:
    """Return 8 hexadecimal digits for this machine: host names may hold any separator."""
    return hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]


def _is_stale(path: Path, host: str, pid: int) -> bool:
    if host == _host():
        return not _is_running(pid)
    try:
        return time.time() - path.stat().st_mtime > FOREIGN_PARTIAL_SECONDS
    except FileNotFoundError:  # its writer finished meanwhile
        return False


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it runs, as another user
        return True
    return True


def _sync(path: Path) -> None:
    """Flush a file or a folder's entries to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
