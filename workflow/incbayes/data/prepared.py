"""Prepared data: the files that a data set becomes once and every later job maps into memory.

Knows the form of `{train,test}.safetensors` and of their seal, `checksums.json`; nothing of tasks
or parts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save

from incbayes.core.errors import UserError
from incbayes.core.files import atomic_write, remove_stale_partials, sha256_file
from incbayes.core.seal import Seal, read_seal, write_seal
from incbayes.data.columns import TableColumns
from incbayes.data.raw import DataError, RawSplits
from incbayes.kinds import DATASETS

if TYPE_CHECKING:
    import torch

ARTIFACT = "images"
SPLITS = ("train", "test")


@dataclass(frozen=True, eq=False)
class PreparedSplit:
    """One prepared split, in pages that every process which maps the file shares.

    The mapping is private: writing to the tensors copies the page and never reaches the file.

    Attributes:
        path: the file.
        images: uint8 [N, C, H, W]; of a table float64 [N, D, 1, 1], NaN where a value is missing.
        labels: int64 [N], class numbers of the data set.
        targets: float64 [N], of a table whose target is a number; else None.
    """

    path: Path
    images: torch.Tensor
    labels: torch.Tensor
    targets: torch.Tensor | None = None


def prepare(
    spec: Mapping[str, Any],
    data_root: Path | str,
    folder: Path | str,
    log: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Load a data set, check it and write its files; return what `load_checksums` will.

    Each file appears whole or not at all, the checksums last.

    Args:
        spec: `{"kind": name, **options}`.
        data_root: where the raw files are, or are downloaded to.
        folder: of `train.safetensors`, `test.safetensors` and `checksums.json`, the seal that
            vouches for both; the data set is named as it.
        log: is told what is worth knowing of the images, a line each.

    Raises:
        DataError: the data set is absent, damaged or not what its class declares.
    """
    dataset = DATASETS.build(spec)
    raw = dataset.load(Path(data_root))
    constraints = constraints_of(dataset)
    validate(raw, constraints, spec["kind"])
    for remark in raw.remarks:
        log(remark)
    columns: TableColumns | None = getattr(dataset, "columns", None)
    if columns is None:
        mean, std = pixel_statistics(raw.train_images)
    else:
        mean, std = columns.statistics(raw.train_images, raw.train_targets)
    facts = {
        "images": {"train": len(raw.train_images), "test": len(raw.test_images)},
        "classes": constraints["classes"],
        "shape": constraints["shape"],
        "mean": mean,
        "std": std,
        **decoding_of(dataset),
        **({} if columns is None else {"table": columns.facts}),
    }
    return described(write_images(raw, Path(folder), facts))


def constraints_of(dataset: Any) -> dict[str, Any]:
    """Return the shape, the classes and, where they are known, the sizes of a data set."""
    facts = dict(dataset.constraints)
    return facts if "shape" in facts else facts | form_of(dataset.columns)


def form_of(columns: TableColumns) -> dict[str, Any]:
    """Return the shape and the classes of a table; a number is one class, named as the target."""
    classes = [columns.target] if columns.classes is None else list(columns.classes)
    return {"shape": [len(columns.names), 1, 1], "classes": classes}


def decoding_of(dataset: Any) -> dict[str, Any]:
    """Return the fact `decoding` of images that come from a user's files; nothing of others."""
    if not hasattr(dataset, "resize"):
        return {}
    options = ("resize", "convert", "background")
    return {"decoding": {name: getattr(dataset, name) for name in options}}


def write_images(raw: RawSplits, folder: Path, facts: Mapping[str, Any]) -> Seal:
    """Write the prepared files of images that were checked, and their seal, last; return it.

    Args:
        raw: the images and labels.
        folder: of the files; what they are of is named as it.
        facts: what the seal says of them.
    """
    remove_stale_partials(folder)
    files = [folder / f"{split}.safetensors" for split in SPLITS]
    _write_split(files[0], raw.train_images, raw.train_labels, raw.train_targets)
    _write_split(files[1], raw.test_images, raw.test_labels, raw.test_targets)
    path = folder / "checksums.json"
    return write_seal(path, ARTIFACT, {"data": folder.absolute().name}, files, facts=facts)


def validate(raw: RawSplits, constraints: Mapping[str, Any], name: str, whole: bool = True) -> None:
    """Check a data set against what its class declares.

    Args:
        raw: the images and labels.
        constraints: `shape` [C, H, W], `classes`, and the numbers of images `train`, `test`, which
            may be left out where they are counted.
        name: the data set, for the message.
        whole: whether every class must have a training image, which a part of a stream may lack.

    Raises:
        DataError: naming the split, what was found and what is declared.
    """
    classes = len(constraints["classes"])
    splits = {
        "train": (raw.train_images, raw.train_labels),
        "test": (raw.test_images, raw.test_labels),
    }
    for split, (images, labels) in splits.items():
        expected = (constraints.get(split, len(images)), *constraints["shape"])
        dtype = "float64" if constraints.get("table") else "uint8"
        found = {
            "images": (str(images.dtype), images.shape, dtype, expected),
            "labels": (str(labels.dtype), labels.shape, "int64", expected[:1]),
        }
        for what, (dtype, shape, right_dtype, right_shape) in found.items():
            if (dtype, shape) != (right_dtype, right_shape):
                raise DataError(
                    f"data set {name}: {split} {what} are {dtype} {list(shape)}, "
                    f"expected {right_dtype} {list(right_shape)}"
                )
        if len(labels) and (labels.min() < 0 or labels.max() >= classes):
            raise DataError(
                f"data set {name}: {split} labels run from {labels.min()} to {labels.max()}, "
                f"expected 0 to {classes - 1}"
            )
    absent = sorted(set(range(classes)) - set(np.unique(raw.train_labels).tolist()))
    if whole and absent:
        what = "row" if constraints.get("table") else "image"
        raise DataError(f"data set {name}: classes {absent} have no training {what}")


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
        constant = np.count_nonzero(counts) == 1  # whose mean is rounded
        variance = 0.0 if constant else counts @ (values - mean) ** 2 / counts.sum()
        deviations.append(float(np.sqrt(variance)))
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
        targets = file.get_tensor("targets") if "targets" in file.keys() else None  # noqa: SIM118
    forms = (images.ndim, str(labels.dtype), labels.shape)
    right = forms == (4, "torch.int64", images.shape[:1])
    of_table = str(images.dtype) == "torch.float64" and images.shape[2:] == (1, 1)
    right = right and (of_table or str(images.dtype) == "torch.uint8")
    if targets is not None:
        right = right and (str(targets.dtype), targets.shape) == ("torch.float64", labels.shape)
    if not right:
        raise DataError(
            f"{path}: images are {images.dtype} {list(images.shape)} and labels {labels.dtype} "
            f"{list(labels.shape)}, expected torch.uint8 [N, C, H, W], or torch.float64 "
            "[N, D, 1, 1] of a table, and torch.int64 [N]"
        )
    return PreparedSplit(path, images, labels, targets)


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


def read_images_seal(path: Path | str) -> Seal:
    """Return the seal of a prepared data set, verified to be that of the folder it lies in.

    Raises:
        SealError: the file is absent, damaged, edited or of another data set.
    """
    return read_seal(path, ARTIFACT, {"data": Path(path).absolute().parent.name})


def load_checksums(path: Path | str) -> dict[str, Any]:
    """Return what the seal of a prepared data set says of it.

    `train` and `test`: `{"sha256", "images"}`; `classes`: their names; `shape`: [C, H, W];
    `mean` and `std`: [C], of the training pixels divided by 255; of a table of its columns and,
    where it is a number, its target; `table`: as `TableColumns.facts`.

    Raises:
        SealError: as in `read_images_seal`.
    """
    return described(read_images_seal(path))


def described(seal: Seal) -> dict[str, Any]:
    """Return what a seal of `read_images_seal` says, as `load_checksums` does."""
    facts = dict(seal.facts)
    counts = facts.pop("images")
    files = {split: seal.files[f"{split}.safetensors"] for split in SPLITS}
    splits = {split: {"sha256": files[split], "images": counts[split]} for split in SPLITS}
    return splits | facts


def _write_split(
    path: Path | str, images: np.ndarray, labels: np.ndarray, targets: np.ndarray | None
) -> None:
    named = {"images": images, "labels": labels, "targets": targets}
    tensors = {key: np.ascontiguousarray(of) for key, of in named.items() if of is not None}
    with atomic_write(path) as partial:
        partial.write_bytes(save(tensors))


@contextmanager
def _opened(path: Path, expected_sha256: str | None, framework: str) -> Iterator[Any]:
    """Yield the open safetensors file of a split, checked to be one."""
    try:
        if expected_sha256 is not None:
            _verify(path, expected_sha256)
        with safe_open(path, framework=framework) as file:
            names = sorted(file.keys())
            if names not in (["images", "labels"], ["images", "labels", "targets"]):
                raise DataError(f"{path}: holds {names}, expected images and labels")
            yield file
    except (UserError, MemoryError):
        raise
    except Exception as error:  # whatever a reader raises of a file that is something else
        cause = " ".join(f"{type(error).__name__}: {error}".split())
        raise DataError(f"{path}: not a readable prepared split ({cause})") from error


def _verify(path: Path, expected: str) -> None:
    found = sha256_file(path)
    if found != expected:
        raise DataError(
            f"{path}: sha256 is {found}, expected {expected}: the file is damaged or was "
            "prepared anew since; delete it and prepare the data again"
        )
