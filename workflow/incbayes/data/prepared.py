"""Prepared data: the files that a data set becomes once and every later job maps into memory.

Knows the form of `{train,test}.safetensors` and `checksums.json`; nothing of tasks or parts.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from incbayes.data import DATASETS
from incbayes.data.raw import DataError, RawSplits
from incbayes.files import atomic_write, remove_stale_partials, sha256_file, write_json

if TYPE_CHECKING:
    import torch

CHECKSUM_KEYS = ("train", "test", "classes", "shape", "mean", "std")


@dataclass(frozen=True, eq=False)
class PreparedSplit:
    """One prepared split, in pages that every process which maps the file shares.

    The mapping is private: writing to the tensors copies the page and never reaches the file.

    Attributes:
        path: the file.
        images: uint8 [N, C, H, W].
        labels: int64 [N], class numbers of the data set.
    """

    path: Path
    images: torch.Tensor
    labels: torch.Tensor


def prepare(
    dataset_kind: str,
    spec: Mapping[str, Any],
    data_root: Path | str,
    train_path: Path | str,
    test_path: Path | str,
    checksums_path: Path | str,
) -> dict[str, Any]:
    """Load a data set, check it and write its files; return what `load_checksums` will.

    Each file appears whole or not at all, the checksums last.

    Args:
        dataset_kind: the name under which the files are kept; must be the kind of `spec`.
        spec: `{"kind": name, **options}`.
        data_root: where the raw files are, or are downloaded to.
        train_path: the safetensors file of the training images.
        test_path: that of the test images.
        checksums_path: the JSON file that vouches for both.

    Raises:
        DataError: the data set is absent, damaged or not what its class declares.
    """
    if spec["kind"] != dataset_kind:
        raise DataError(f"data set {dataset_kind!r} cannot be prepared from kind {spec['kind']!r}")
    dataset = DATASETS.build(spec)
    raw = dataset.load(Path(data_root))
    validate(raw, dataset.constraints, dataset_kind)
    for folder in {Path(path).parent for path in (train_path, test_path, checksums_path)}:
        remove_stale_partials(folder)
    mean, std = pixel_statistics(raw.train_images)
    checksums = {
        "train": _write_split(train_path, raw.train_images, raw.train_labels),
        "test": _write_split(test_path, raw.test_images, raw.test_labels),
        "classes": dataset.constraints["classes"],
        "shape": dataset.constraints["shape"],
        "mean": mean,
        "std": std,
    }
    write_json(checksums_path, checksums)
    return checksums


def validate(raw: RawSplits, constraints: Mapping[str, Any], name: str) -> None:
    """Check a data set against what its class declares.

    Args:
        raw: the images and labels.
        constraints: `shape` [C, H, W], `classes`, and the numbers of images `train`, `test`.
        name: the data set, for the message.

    Raises:
        DataError: naming the split, what was found and what is declared.
    """
    classes = len(constraints["classes"])
    splits = {
        "train": (raw.train_images, raw.train_labels),
        "test": (raw.test_images, raw.test_labels),
    }
    for split, (images, labels) in splits.items():
        expected = (constraints[split], *constraints["shape"])
        found = {
            "images": (str(images.dtype), images.shape, "uint8", expected),
            "labels": (str(labels.dtype), labels.shape, "int64", expected[:1]),
        }
        for what, (dtype, shape, right_dtype, right_shape) in found.items():
            if (dtype, shape) != (right_dtype, right_shape):
                raise DataError(
                    f"data set {name}: {split} {what} are {dtype} {list(shape)}, "
                    f"expected {right_dtype} {list(right_shape)}"
                )
        if labels.min() < 0 or labels.max() >= classes:
            raise DataError(
                f"data set {name}: {split} labels run from {labels.min()} to {labels.max()}, "
                f"expected 0 to {classes - 1}"
            )
    absent = sorted(set(range(classes)) - set(np.unique(raw.train_labels).tolist()))
    if absent:
        raise DataError(f"data set {name}: classes {absent} have no training image")


def pixel_statistics(images: np.ndarray) -> tuple[list[float], list[float]]:
    """Return per channel the mean and the (population) standard deviation of pixel/255, [C] each.

    From counts of the 256 values, hence exact to rounding whatever the number of images.

    Args:
        images: uint8 [N, C, H, W].
    """
    values = np.arange(256) / 255
    means, deviations = [], []
    for channel in range(images.shape[1]):
        # In pieces, as `bincount` makes an 8-byte copy of what it counts.
        pieces = np.array_split(images[:, channel], max(1, len(images) // 4096))
        counts = sum(np.bincount(piece.ravel(), minlength=256) for piece in pieces)
        mean = float(counts @ values / counts.sum())
        means.append(mean)
        deviations.append(float(np.sqrt(counts @ (values - mean) ** 2 / counts.sum())))
    return means, deviations


def open_split(path: Path | str, expected_sha256: str | None = None) -> PreparedSplit:
    """Map a prepared split into memory; pixels are read from the disk as they are used.

    Args:
        path: a file of `prepare`.
        expected_sha256: when given, the file is read once and its checksum compared.

    Raises:
        DataError: the file is absent, damaged, of another kind, or not the expected one.
    """
    path = Path(path)
    with _opened(path, expected_sha256, "pt") as file:
        images, labels = file.get_tensor("images"), file.get_tensor("labels")
    forms = (str(images.dtype), images.ndim, str(labels.dtype), labels.shape)
    if forms != ("torch.uint8", 4, "torch.int64", images.shape[:1]):
        raise DataError(
            f"{path}: images are {images.dtype} {list(images.shape)} and labels {labels.dtype} "
            f"{list(labels.shape)}, expected torch.uint8 [N, C, H, W] and torch.int64 [N]"
        )
    return PreparedSplit(path, images, labels)


def read_labels(path: Path | str, expected_sha256: str | None = None) -> np.ndarray:
    """Return the labels of a prepared split, int64 [N]; needs no torch.

    Args:
        path: a file of `prepare`.
        expected_sha256: as in `open_split`.

    Raises:
        DataError: as in `open_split`.
    """
    path = Path(path)
    with _opened(path, expected_sha256, "np") as file:
        labels = file.get_tensor("labels")
    if labels.dtype != np.int64 or labels.ndim != 1:
        raise DataError(
            f"{path}: labels are {labels.dtype} {list(labels.shape)}, expected int64 [N]"
        )
    return labels


def load_checksums(path: Path | str) -> dict[str, Any]:
    """Return the checksums of a prepared data set.

    `train` and `test`: `{"sha256", "images"}`; `classes`: their names; `shape`: [C, H, W];
    `mean` and `std`: [C], of the training pixels divided by 255.

    Raises:
        DataError: the file is absent, no JSON or lacks a key.
    """
    try:
        checksums = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: not a readable checksums file: {error}") from error
    lacking = [key for key in CHECKSUM_KEYS if key not in checksums]
    if lacking:
        raise DataError(f"{path}: lacks {lacking}; delete it and prepare the data again")
    return checksums


def _write_split(path: Path | str, images: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    tensors = {"images": np.ascontiguousarray(images), "labels": np.ascontiguousarray(labels)}
    with atomic_write(path) as partial:
        partial.write_bytes(save(tensors))
        return {"sha256": sha256_file(partial), "images": len(images)}


@contextmanager
def _opened(path: Path, expected_sha256: str | None, framework: str) -> Iterator[Any]:
    """Yield the open safetensors file of a split, checked to be one."""
    try:
        if expected_sha256 is not None:
            _verify(path, expected_sha256)
        with safe_open(path, framework=framework) as file:
            names = sorted(file.keys())
            if names != ["images", "labels"]:
                raise DataError(f"{path}: holds {names}, expected images and labels")
            yield file
    except (OSError, SafetensorError) as error:
        raise DataError(f"{path}: not a readable prepared split: {error}") from error


def _verify(path: Path, expected: str) -> None:
    found = sha256_file(path)
    if found != expected:
        raise DataError(
            f"{path}: sha256 is {found}, expected {expected}: the file is damaged or was "
            "prepared anew since; delete it and prepare the data again"
        )
