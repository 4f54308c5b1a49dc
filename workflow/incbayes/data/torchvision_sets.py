"""The data sets that torchvision downloads and reads: the MNIST family, CIFAR and SVHN.

Knows which files each set consists of and how torchvision may fail on them. CIFAR and SVHN
are verified by torchvision's MD5 sums; of the MNIST family torchvision verifies the archives
only, so here the extracted files are checked for kind and size.
"""

import math
import textwrap
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from incbayes.data.raw import DataError, RawSplits

MNIST_SIZES = {"shape": [1, 28, 28], "train": 60_000, "test": 10_000}
CIFAR_SIZES = {"shape": [3, 32, 32], "train": 50_000, "test": 10_000}
CIFAR100_CLASSES = """
    apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus
    butterfly camel can castle caterpillar cattle chair chimpanzee clock cloud cockroach couch
    crab crocodile cup dinosaur dolphin elephant flatfish forest fox girl hamster house kangaroo
    keyboard lamp lawn_mower leopard lion lizard lobster man maple_tree motorcycle mountain mouse
    mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain plate poppy
    porcupine possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper
    snail snake spider squirrel streetcar sunflower sweet_pepper table tank telephone television
    tiger tractor train trout tulip turtle wardrobe whale willow_tree wolf woman worm
""".split()  # noqa: SIM905 (as a list: a line each)


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

        The files are only read when they are all there; else torchvision downloads them, and
        when that fails, what this call has put under `data_root` is removed again.

        Raises:
            DataError: files are absent and cannot be downloaded, or a file is damaged.
        """
        data_root = Path(data_root)
        if self._missing(data_root):
            self._download(data_root)
        self._check_files(data_root)
        try:
            train, test = self._open(data_root, True, False), self._open(data_root, False, False)
            return RawSplits(*self._arrays(train), *self._arrays(test))
        except Exception as error:  # whatever numpy, pickle or scipy raise on a damaged file
            raise DataError(
                f"data set {self.name}: {data_root / self.folder} cannot be read "
                f"({_short(error)}); delete the set's files there and run again"
            ) from error

    @abstractmethod
    def _open(self, data_root: Path, train: bool, download: bool) -> Any:
        """Return the torchvision data set of one split."""

    @abstractmethod
    def _arrays(self, split: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return images uint8 [N, C, H, W] and labels int64 [N] of a torchvision data set."""

    @abstractmethod
    def _check_files(self, data_root: Path) -> None:
        """Raise a DataError naming the first file that is not what it should be."""

    @abstractmethod
    def _address(self) -> str:
        """Return the web address that torchvision downloads from."""

    @abstractmethod
    def _owned(self) -> list[str]:
        """Return all that a download may create, files and folders relative to `data_root`."""

    @abstractmethod
    def _alternative(self) -> str:
        """Return ` (or …)`: what may be put there instead of the files."""

    def _torchvision_class(self) -> Any:
        import torchvision.datasets

        return getattr(torchvision.datasets, self.dataset)

    def _missing(self, data_root: Path) -> list[str]:
        return [file for file in self.files if not (data_root / self.folder / file).is_file()]

    def _download(self, data_root: Path) -> None:
        try:
            with _removing_new_files(data_root, self._owned()):
                for train in (True, False):
                    self._open(data_root, train, True)
        except Exception as error:  # whatever urllib, gzip, tarfile or the disk raise
            raise DataError(self._not_found(data_root, _short(error))) from error
        if self._missing(data_root):
            raise DataError(self._not_found(data_root, "it did not bring these files"))

    def _not_found(self, data_root: Path, cause: str) -> str:
        below = "" if self.folder == "." else f" in {self.folder}"
        return (
            f"data set {self.name}: {data_root / self.folder} lacks "
            f"{', '.join(self._missing(data_root))}, and the download from {self._address()} "
            f"failed ({cause}); put these files there{self._alternative()}, or set the key "
            f"data_root, now {data_root}, to the folder that has them{below}"
        )

    def _damaged(self, path: Path, found: str) -> DataError:
        return DataError(
            f"data set {self.name}: {path} {found}; delete the file and run again to download "
            "it, or put a whole copy there (key data_root)"
        )

    def _check_md5(self, data_root: Path, sums: dict[str, str]) -> None:
        """Check files by the MD5 sums that torchvision knows, a mapping of file to sum."""
        from torchvision.datasets.utils import check_integrity

        for file, md5 in sums.items():
            path = data_root / self.folder / file
            if not check_integrity(path, md5):
                raise self._damaged(path, f"is truncated or corrupted: its MD5 sum is not {md5}")


class IdxSet(TorchvisionSet):
    """The MNIST family: four idx files, images and labels of either split."""

    files = (
        "train-images-idx3-ubyte",
        "train-labels-idx1-ubyte",
        "t10k-images-idx3-ubyte",
        "t10k-labels-idx1-ubyte",
    )

    def _open(self, data_root: Path, train: bool, download: bool) -> Any:
        return self._torchvision_class()(data_root, train=train, download=download)

    def _arrays(self, split: Any) -> tuple[np.ndarray, np.ndarray]:
        return split.data.numpy()[:, None], split.targets.numpy()

    def _check_files(self, data_root: Path) -> None:
        shape = self.constraints["shape"][1:]
        for file in self.files:
            number = self.constraints["train" if file.startswith("train") else "test"]
            dimensions = [number, *shape] if "images" in file else [number]
            path = data_root / self.folder / file
            fault = _idx_fault(path, dimensions)
            if fault:
                raise self._damaged(path, fault)

    def _address(self) -> str:
        return self._torchvision_class().mirrors[0]

    def _owned(self) -> list[str]:
        return [self.folder]

    def _alternative(self) -> str:
        return " (or the same with the ending .gz, as downloaded)"


@dataclass(frozen=True)
class MNIST(IdxSet):
    """MNIST: handwritten digits, 60,000 and 10,000 grey images of 28×28 pixels."""

    constraints: ClassVar[dict[str, Any]] = {
        **MNIST_SIZES,
        "classes": [str(digit) for digit in range(10)],
    }
    name = "mnist"
    dataset = "MNIST"
    folder = "MNIST/raw"


@dataclass(frozen=True)
class FashionMNIST(IdxSet):
    """Fashion-MNIST: articles of clothing, 60,000 and 10,000 grey images of 28×28 pixels."""

    constraints: ClassVar[dict[str, Any]] = {
        **MNIST_SIZES,
        "classes": [
            "T-shirt/top",
            "Trouser",
            "Pullover",
            "Dress",
            "Coat",
            "Sandal",
            "Shirt",
            "Sneaker",
            "Bag",
            "Ankle boot",
        ],
    }
    name = "fashion_mnist"
    dataset = "FashionMNIST"
    folder = "FashionMNIST/raw"


@dataclass(frozen=True)
class KMNIST(IdxSet):
    """Kuzushiji-MNIST: cursive hiragana, 60,000 and 10,000 grey images of 28×28 pixels."""

    constraints: ClassVar[dict[str, Any]] = {
        **MNIST_SIZES,
        "classes": ["o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"],
    }
    name = "kmnist"
    dataset = "KMNIST"
    folder = "KMNIST/raw"


class CifarSet(TorchvisionSet):
    """CIFAR: pickled batches, each verified by its MD5 sum before it is unpickled."""

    def _open(self, data_root: Path, train: bool, download: bool) -> Any:
        return self._torchvision_class()(data_root, train=train, download=download)

    def _arrays(self, split: Any) -> tuple[np.ndarray, np.ndarray]:
        # torchvision stores [N, H, W, C].
        images = np.ascontiguousarray(split.data.transpose(0, 3, 1, 2))
        return images, np.array(split.targets, dtype=np.int64)

    def _check_files(self, data_root: Path) -> None:
        dataset = self._torchvision_class()
        batches = dict(dataset.train_list + dataset.test_list)
        self._check_md5(data_root, {**batches, dataset.meta["filename"]: dataset.meta["md5"]})

    def _address(self) -> str:
        return self._torchvision_class().url

    def _owned(self) -> list[str]:
        return [self.folder, self._torchvision_class().filename]

    def _alternative(self) -> str:
        return f" (or the archive {self._torchvision_class().filename} beside that folder)"


@dataclass(frozen=True)
class CIFAR10(CifarSet):
    """CIFAR-10: animals and vehicles, 50,000 and 10,000 colour images of 32×32 pixels."""

    constraints: ClassVar[dict[str, Any]] = {
        **CIFAR_SIZES,
        "classes": [
            "airplane",
            "automobile",
            "bird",
            "cat",
            "deer",
            "dog",
            "frog",
            "horse",
            "ship",
            "truck",
        ],
    }
    name = "cifar10"
    dataset = "CIFAR10"
    folder = "cifar-10-batches-py"
    files = (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch", "batches.meta")


@dataclass(frozen=True)
class CIFAR100(CifarSet):
    """CIFAR-100: a hundred fine classes, 50,000 and 10,000 colour images of 32×32 pixels."""

    constraints: ClassVar[dict[str, Any]] = {
        **CIFAR_SIZES,
        "classes": CIFAR100_CLASSES,
    }
    name = "cifar100"
    dataset = "CIFAR100"
    folder = "cifar-100-python"
    files = ("train", "test", "meta")


@dataclass(frozen=True)
class SVHN(TorchvisionSet):
    """SVHN: street view house numbers, 73,257 and 26,032 colour images of 32×32 pixels."""

    constraints: ClassVar[dict[str, Any]] = {
        "shape": [3, 32, 32],
        "classes": [str(digit) for digit in range(10)],
        "train": 73_257,
        "test": 26_032,
    }
    name = "svhn"
    dataset = "SVHN"
    folder = "."
    files = ("train_32x32.mat", "test_32x32.mat")

    def _open(self, data_root: Path, train: bool, download: bool) -> Any:
        split = "train" if train else "test"
        return self._torchvision_class()(data_root, split=split, download=download)

    def _arrays(self, split: Any) -> tuple[np.ndarray, np.ndarray]:
        return np.ascontiguousarray(split.data), split.labels

    def _check_files(self, data_root: Path) -> None:
        splits = self._torchvision_class().split_list
        self._check_md5(data_root, dict(splits[split][1:3] for split in ("train", "test")))

    def _address(self) -> str:
        return self._torchvision_class().split_list["train"][0].rsplit("/", 1)[0]

    def _owned(self) -> list[str]:
        return list(self.files)

    def _alternative(self) -> str:
        return ""


def _idx_fault(path: Path, dimensions: list[int]) -> str:
    """Return what is wrong with an idx file of unsigned bytes, or an empty string.

    The format: two zero bytes, 8 for unsigned bytes, the number of dimensions, each dimension
    as a big-endian 32-bit integer, the bytes.
    """
    header = bytes([0, 0, 8, len(dimensions)])
    with path.open("rb") as file:
        magic = file.read(4)
        found = np.frombuffer(file.read(4 * len(dimensions)).ljust(4 * len(dimensions)), ">u4")
    if magic != header:
        return f"begins with {magic.hex()} instead of {header.hex()}: not an extracted idx file"
    size, expected = path.stat().st_size, 4 + 4 * len(dimensions) + math.prod(dimensions)
    if size != expected:
        return f"has {size} bytes instead of {expected}: truncated or corrupted"
    if found.tolist() != dimensions:
        return f"declares dimensions {found.tolist()} instead of {dimensions}"
    return ""


@contextmanager
def _removing_new_files(data_root: Path, owned: list[str]) -> Iterator[None]:
    """Remove what the block created, among the paths `owned` below `data_root`, if it fails.

    A download that breaks off leaves half files, which torchvision would partly take for whole
    ones. Other sets may be arriving in `data_root` at the same time: they are left alone.
    """
    is_new_root = not data_root.exists()
    before = _paths(data_root, owned)
    try:
        yield
    except BaseException:  # an interrupt leaves half files too
        for path in sorted(_paths(data_root, owned) - before, reverse=True):
            _remove(path)
        if is_new_root:
            _remove(data_root)
        raise


def _paths(data_root: Path, owned: list[str]) -> set[Path]:
    """Return the existing paths of `owned`, what their folders hold, and the folders on the way."""
    found: set[Path] = set()
    for relative in owned:
        path = data_root / relative
        found |= {path, *path.rglob("*")}
        found |= {folder for folder in path.parents if data_root in folder.parents}
    return {path for path in found if path.exists()}


def _remove(path: Path) -> None:
    try:
        if path.is_dir():
            path.rmdir()
        else:
            path.unlink()
    except OSError:  # another job put something into the folder, or the disk is read-only
        pass


def _short(error: BaseException) -> str:
    """Return the kind and message of an error in one line of at most 200 characters."""
    text = " ".join(f"{type(error).__name__}: {error}".split())
    return textwrap.shorten(text, 200, placeholder=" …")
