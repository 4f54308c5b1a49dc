"""The MNIST family: four idx files each.

Torchvision verifies their archives only, so that the MD5 sums of the extracted files are here (but
for KMNIST, whose authors give none: kind and size are checked).
"""

import gzip
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from incbayes.data.origin import Origin
from incbayes.data.torchvision.base import TorchvisionSet

MNIST_SIZES = {"shape": [1, 28, 28], "train": 60_000, "test": 10_000}


class IdxSet(TorchvisionSet):
    """The MNIST family: four idx files, images and labels of either split.

    Attributes:
        sums: MD5 sums of the extracted files, where they are known.
    """

    sums: ClassVar[dict[str, str]] = {}
    files = (
        "train-images-idx3-ubyte",
        "train-labels-idx1-ubyte",
        "t10k-images-idx3-ubyte",
        "t10k-labels-idx1-ubyte",
    )

    def _open(self, root: Path, train: bool, download: bool) -> Any:
        return self._torchvision_class()(root, train=train, download=download)

    def _arrays(self, split: Any) -> tuple[np.ndarray, np.ndarray]:
        return split.data.numpy()[:, None], split.targets.numpy()

    def _sums(self) -> Mapping[str, str]:
        return self.sums

    def _fault(self, path: Path) -> str:
        return _idx_fault(path, self._dimensions(path.name)) or super()._fault(path)

    def _dimensions(self, file: str) -> list[int]:
        """Return what an idx file's header has to declare."""
        number = self.constraints["train" if file.startswith("train") else "test"]
        return [number, *self.constraints["shape"][1:]] if "images" in file else [number]

    def _archives(self, data_root: Path, files: Iterable[str]) -> list[Path]:
        paths = [self._path(data_root, f"{file}.gz") for file in files]
        return [path for path in paths if path.is_file()]

    def _packed(self, archive: Path) -> Iterator[tuple[str, bytes]]:
        file = archive.name.removesuffix(".gz")
        with gzip.open(archive) as content:
            yield file, content.read(_idx_size(self._dimensions(file)) + 1)

    def _address(self) -> str:
        return self._torchvision_class().mirrors[0]

    def _alternative(self) -> str:
        return " (or the same with the ending .gz, as downloaded)"


@dataclass(frozen=True)
class MNIST(IdxSet):
    """MNIST: handwritten digits, 60,000 and 10,000 grey images of 28×28 pixels."""

    constraints: ClassVar[dict[str, Any]] = {
        **MNIST_SIZES,
        "classes": [str(digit) for digit in range(10)],
    }
    origin: ClassVar[Origin] = Origin(
        "MNIST",
        "http://yann.lecun.com/exdb/mnist/",
        "LeCun, Bottou, Bengio, Haffner (1998), Gradient-based learning applied to document "
        "recognition, Proceedings of the IEEE 86(11)",
        "https://creativecommons.org/licenses/by-sa/3.0/",
    )
    name = "mnist"
    dataset = "MNIST"
    folder = "MNIST/raw"
    sums: ClassVar[dict[str, str]] = {
        "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
        "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
        "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
        "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
    }


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
    origin: ClassVar[Origin] = Origin(
        "Fashion-MNIST",
        "https://github.com/zalandoresearch/fashion-mnist",
        "Xiao, Rasul, Vollgraf (2017), Fashion-MNIST: a novel image dataset for benchmarking "
        "machine learning algorithms, arXiv:1708.07747",
        "https://spdx.org/licenses/MIT",
    )
    name = "fashion_mnist"
    dataset = "FashionMNIST"
    folder = "FashionMNIST/raw"
    sums: ClassVar[dict[str, str]] = {
        "train-images-idx3-ubyte": "f4a8712d7a061bf5bd6d2ca38dc4d50a",
        "train-labels-idx1-ubyte": "9018921c3c673c538a1fc5bad174d6f9",
        "t10k-images-idx3-ubyte": "8181f5470baa50b63fa0f6fddb340f0a",
        "t10k-labels-idx1-ubyte": "15d484375f8d13e6eb1aabb0c3f46965",
    }


@dataclass(frozen=True)
class KMNIST(IdxSet):
    """Kuzushiji-MNIST: cursive hiragana, 60,000 and 10,000 grey images of 28×28 pixels."""

    constraints: ClassVar[dict[str, Any]] = {
        **MNIST_SIZES,
        "classes": ["o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"],
    }
    origin: ClassVar[Origin] = Origin(
        "Kuzushiji-MNIST",
        "http://codh.rois.ac.jp/kmnist/",
        "Clanuwat, Bober-Irizar, Kitamoto, Lamb, Yamamoto, Ha (2018), Deep learning for classical "
        "Japanese literature, arXiv:1812.01718",
        "https://creativecommons.org/licenses/by-sa/4.0/",
    )
    name = "kmnist"
    dataset = "KMNIST"
    folder = "KMNIST/raw"


def _idx_fault(path: Path, dimensions: list[int]) -> str:
    """Return what is wrong with an idx file of unsigned bytes, or an empty text.

    The format: two zero bytes, 8 for unsigned bytes, the number of dimensions, each dimension
    as a big-endian 32-bit integer, the bytes.

    Args:
        path: of the file.
        dimensions: that it has to declare.
    """
    header = bytes([0, 0, 8, len(dimensions)])
    with path.open("rb") as content:
        magic = content.read(4)
        declared = content.read(4 * len(dimensions)).ljust(4 * len(dimensions))
    found, size, expected = (
        np.frombuffer(declared, ">u4"),
        path.stat().st_size,
        _idx_size(dimensions),
    )
    if magic != header:
        return f"begins with {magic.hex()} instead of {header.hex()}: not an extracted idx file"
    if size != expected:
        return f"has {size} bytes instead of {expected}: truncated or corrupted"
    if found.tolist() != dimensions:
        return f"declares dimensions {found.tolist()} instead of {dimensions}"
    return ""


def _idx_size(dimensions: list[int]) -> int:
    """Return the bytes of an idx file of unsigned bytes."""
    return 4 + 4 * len(dimensions) + math.prod(dimensions)
