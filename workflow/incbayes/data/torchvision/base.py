"""What the data sets that torchvision downloads have in common, whatever their files are.

Knows how torchvision may fail, and which files count: those with the right content, also from an
archive that was packed anew. Which files a set consists of, the set says.
"""

import shutil
import tempfile
import textwrap
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from incbayes.core.files import atomic_write
from incbayes.data.raw import DataError, RawSplits


class TorchvisionSet(ABC):
    """What the sets have in common: find the files, download when absent, read, blame.

    Attributes:
        constraints: shape, classes and sizes of the set, exported with its schema.
        name: the set's name in the registry.
        dataset: the name of its class in `torchvision.datasets`.
        folder: where its files lie, relative to `data_root`.
        files: their names in that folder, all of which are needed.
    """

    constraints: ClassVar[dict[str, Any]]
    name: ClassVar[str]
    dataset: ClassVar[str]
    folder: ClassVar[str]
    files: ClassVar[tuple[str, ...]]

    def load(self, data_root: Path) -> RawSplits:
        """Return the images and labels, from the files under `data_root`.

        The files are only read when they are all there; else they are unpacked from the archives
        that lie there, or torchvision downloads them, and when that fails, nothing is put there.

        Raises:
            DataError: files are absent and cannot be downloaded, or a file is damaged.
        """
        data_root = Path(data_root)
        missing = [file for file in self.files if not self._path(data_root, file).is_file()]
        if missing:
            self._bring(data_root, missing)
        for path in (self._path(data_root, file) for file in self.files):
            if fault := self._fault(path):
                raise DataError(
                    f"data set {self.name}: {path} {fault}; delete the file and run again to "
                    "download it, or put a whole copy there (key data_root)"
                )
        try:
            train, test = self._open(data_root, True, False), self._open(data_root, False, False)
            return RawSplits(*self._arrays(train), *self._arrays(test))
        except Exception as error:  # whatever numpy, pickle or scipy raise on a damaged file
            raise DataError(
                f"data set {self.name}: {data_root / self.folder} cannot be read "
                f"({_short(error)}); delete the set's files there and run again"
            ) from error

    @abstractmethod
    def _open(self, root: Path, train: bool, download: bool) -> Any:
        """Return the torchvision data set of one split, whose files lie or come below `root`."""

    @abstractmethod
    def _arrays(self, split: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return images uint8 [N, C, H, W] and labels int64 [N] of a torchvision data set."""

    @abstractmethod
    def _sums(self) -> Mapping[str, str]:
        """Return the MD5 sum of every file of which one is known."""

    @abstractmethod
    def _address(self) -> str:
        """Return the web address that torchvision downloads from."""

    @abstractmethod
    def _alternative(self) -> str:
        """Return ` (or …)`: what may be put there instead of the files."""

    def _archives(self, data_root: Path, files: Iterable[str]) -> list[Path]:
        """Return the archives under `data_root` that may hold files; none for most sets."""
        return []

    def _packed(self, archive: Path) -> Iterator[tuple[str, bytes]]:
        """Yield name and content of the set's files in an archive; may fail on a damaged one."""
        raise NotImplementedError

    def _fault(self, path: Path) -> str:
        """Return what is wrong with one of the set's files, or an empty text."""
        from torchvision.datasets.utils import check_integrity

        md5 = self._sums().get(path.name)
        whole = md5 is None or check_integrity(path, md5)
        return "" if whole else f"is truncated or corrupted: its MD5 sum is not {md5}"

    def _download(self, root: Path, files: list[str]) -> None:
        """Let torchvision download files, or more than these, below `root`, and verify them."""
        for train in (True, False):
            self._open(root, train, True)

    def _torchvision_class(self) -> Any:
        import torchvision.datasets

        return getattr(torchvision.datasets, self.dataset)

    def _path(self, root: Path, file: str) -> Path:
        return root / self.folder / file

    def _bring(self, data_root: Path, missing: list[str]) -> None:
        """Put the missing files into their place once all of them are whole, or none.

        Raises:
            DataError: some are in no archive that is there, and cannot be downloaded.
        """
        lacking, useless = missing, []
        try:
            with _folder_for_a_while(data_root, f".{self.name}-") as root:
                archives = self._archives(data_root, missing)
                self._unpack(archives, root, missing)
                lacking = self._lacking(root, missing)
                if lacking:
                    held = self._archives(data_root, lacking)
                    useless = [path for path in archives if path in held]
                    self._download(root, lacking)
                    lacking = self._lacking(root, missing)
                for file in [] if lacking else missing:
                    with atomic_write(self._path(data_root, file)) as partial:
                        shutil.move(self._path(root, file), partial)
        except Exception as error:  # whatever urllib, gzip, tarfile or the disk raise
            cause = _short(error)
            raise DataError(self._not_found(data_root, lacking, useless, cause)) from error
        if lacking:
            cause = "it did not bring these files"
            raise DataError(self._not_found(data_root, lacking, useless, cause))

    def _unpack(self, archives: Iterable[Path], root: Path, files: list[str]) -> None:
        """Write files that are whole below `root`, from archives up to where one is damaged.

        Which program packed an archive does not matter, as its checksum would make it.
        """
        for archive in archives:
            for file, content in _until_damaged(self._packed(archive)):
                path = self._path(root, file)
                if file in files:
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_bytes(content)
                    if self._fault(path):
                        path.unlink()  # torchvision would not download what is there

    def _lacking(self, root: Path, files: list[str]) -> list[str]:
        """Return the files that are not below `root`, or not whole."""
        paths = {file: self._path(root, file) for file in files}
        return [file for file, path in paths.items() if not path.is_file() or self._fault(path)]

    def _not_found(
        self, data_root: Path, missing: list[str], useless: list[Path], cause: str
    ) -> str:
        below = "" if self.folder == "." else f" in {self.folder}"
        archives = ", ".join(path.name for path in useless)
        found = f" ({archives} is damaged or holds something else)" if useless else ""
        return (
            f"data set {self.name}: {data_root / self.folder} lacks {', '.join(missing)}{found}, "
            f"and the download from {self._address()} failed ({cause}); put these files there"
            f"{self._alternative()}, or set the key data_root, now {data_root}, to the folder that "
            f"has them{below}"
        )


def _until_damaged(packed: Iterator[tuple[str, bytes]]) -> Iterator[tuple[str, bytes]]:
    """Yield what an archive holds up to where it is damaged: what is whole may be used."""
    with suppress(Exception):  # whatever gzip or tarfile raise
        yield from packed


@contextmanager
def _folder_for_a_while(data_root: Path, prefix: str) -> Iterator[Path]:
    """Yield a folder in `data_root`, which is made when absent; nothing of it stays.

    Other sets may be arriving in `data_root` at the same time: they are left alone.
    """
    is_new = not data_root.exists()
    data_root.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(dir=data_root, prefix=prefix) as folder:
            yield Path(folder)
    finally:
        if is_new:
            with suppress(OSError):  # the files, or another set, came into it
                data_root.rmdir()


def _short(error: BaseException) -> str:
    """Return the kind and message of an error in one line of at most 200 characters."""
    text = " ".join(f"{type(error).__name__}: {error}".split())
    return textwrap.shorten(text, 200, placeholder=" …")
