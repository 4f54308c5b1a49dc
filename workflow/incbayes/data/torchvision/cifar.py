"""CIFAR-10 and CIFAR-100, verified by torchvision's MD5 sums."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from incbayes.data.archives import Limits, entries
from incbayes.data.origin import Origin
from incbayes.data.torchvision.base import TorchvisionSet

CIFAR_SIZES = {"shape": [3, 32, 32], "train": 50_000, "test": 10_000}
ARCHIVE_LIMITS = Limits(file=2**28, total=2**29)
"""Of an archive of CIFAR, whose largest file has 155 MB, uncompressed."""

PAGE = "https://www.cs.toronto.edu/~kriz/cifar.html"
REPORT = (
    "Krizhevsky (2009), Learning multiple layers of features from tiny images, technical report"
)

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


class CifarSet(TorchvisionSet):
    """CIFAR: pickled batches, each verified by its MD5 sum before it is unpickled."""

    def _open(self, root: Path, train: bool, download: bool) -> Any:
        return self._torchvision_class()(root, train=train, download=download)

    def _arrays(self, split: Any) -> tuple[np.ndarray, np.ndarray]:
        # torchvision stores [N, H, W, C].
        images = np.ascontiguousarray(split.data.transpose(0, 3, 1, 2))
        return images, np.array(split.targets, dtype=np.int64)

    def _sums(self) -> Mapping[str, str]:
        dataset = self._torchvision_class()
        batches = dict(dataset.train_list + dataset.test_list)
        return {**batches, dataset.meta["filename"]: dataset.meta["md5"]}

    def _archives(self, data_root: Path, files: Iterable[str]) -> list[Path]:
        path = data_root / self._torchvision_class().filename
        return [path] if path.is_file() else []

    def _packed(self, archive: Path) -> Iterator[tuple[str, bytes]]:
        for entry in entries(archive, ARCHIVE_LIMITS):
            if entry.parts[:-1] == (self.folder,) and not entry.is_folder:
                yield entry.parts[-1], entry.read()

    def _address(self) -> str:
        return self._torchvision_class().url

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
    origin: ClassVar[Origin] = Origin("CIFAR-10", PAGE, REPORT)
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
    origin: ClassVar[Origin] = Origin("CIFAR-100", PAGE, REPORT)
    name = "cifar100"
    dataset = "CIFAR100"
    folder = "cifar-100-python"
    files = ("train", "test", "meta")
