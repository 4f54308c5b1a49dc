"""Small folders of corrupted copies of the digits, laid out as CIFAR-10-C or as MNIST-C."""

from functools import cache
from pathlib import Path

import numpy as np

from incbayes.kinds import DATASETS

STRENGTHS = {"cifar_c": 5, "mnist_c": 1}


@cache
def digits_of_the_test_set() -> tuple[np.ndarray, np.ndarray]:
    """Return the test images of the digits as such files have them, [N, H, W, C], and labels."""
    raw = DATASETS.build({"kind": "digits"}).load(Path())
    return raw.test_images.transpose(0, 2, 3, 1), raw.test_labels


def darker(place: int, strength: int) -> np.ndarray:
    """Return the copies of the corruption at a place: each darker by it and by the strength."""
    images, _ = digits_of_the_test_set()
    return (images // (1 + place + strength)).astype(np.uint8)


def paths_of(kind: str, folder: Path, name: str) -> tuple[Path, Path]:
    """Return the files of the images and of the labels of a corruption."""
    if kind == "cifar_c":
        return folder / f"{name}.npy", folder / "labels.npy"
    return folder / name / "test_images.npy", folder / name / "test_labels.npy"


def write_copies(kind: str, folder: Path, names: list[str]) -> Path:
    """Write copies of the digits of every corruption, and return the folder."""
    _, labels = digits_of_the_test_set()
    strengths = range(1, STRENGTHS[kind] + 1)
    for place, name in enumerate(names):
        images, theirs = paths_of(kind, folder, name)
        images.parent.mkdir(parents=True, exist_ok=True)
        np.save(images, np.concatenate([darker(place, strength) for strength in strengths]))
        np.save(theirs, np.tile(labels, len(strengths)))
    return folder
