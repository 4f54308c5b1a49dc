"""SVHN, verified by torchvision's MD5 sums."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from incbayes.data.origin import Origin
from incbayes.data.torchvision.base import TorchvisionSet


@dataclass(frozen=True)
class SVHN(TorchvisionSet):
    """SVHN: street view house numbers, 73,257 and 26,032 colour images of 32×32 pixels."""

    constraints: ClassVar[dict[str, Any]] = {
        "shape": [3, 32, 32],
        "classes": [str(digit) for digit in range(10)],
        "train": 73_257,
        "test": 26_032,
    }
    origin: ClassVar[Origin] = Origin(
        "The Street View House Numbers (SVHN)",
        "http://ufldl.stanford.edu/housenumbers/",
        "Netzer, Wang, Coates, Bissacco, Wu, Ng (2011), Reading digits in natural images with "
        "unsupervised feature learning, NIPS Workshop on Deep Learning",
        "for non-commercial use only",
    )
    name = "svhn"
    dataset = "SVHN"
    folder = "."
    files = ("train_32x32.mat", "test_32x32.mat")

    def _open(self, root: Path, train: bool, download: bool) -> Any:
        split = "train" if train else "test"
        return self._torchvision_class()(root, split=split, download=download)

    def _download(self, root: Path, files: list[str]) -> None:
        for train, file in zip((True, False), self.files, strict=True):
            if file in files:
                self._open(root, train, True)

    def _arrays(self, split: Any) -> tuple[np.ndarray, np.ndarray]:
        return np.ascontiguousarray(split.data), split.labels

    def _sums(self) -> Mapping[str, str]:
        splits = self._torchvision_class().split_list
        return dict(splits[split][1:3] for split in ("train", "test"))

    def _address(self) -> str:
        return self._torchvision_class().split_list["train"][0].rsplit("/", 1)[0]

    def _alternative(self) -> str:
        return ""
