"""Holds out a validation cut of a replicate's training images, and cuts the rest into parts.

Knows labels only, as `incbayes.data.partition` does, of whose files it reads and writes one more
tensor, which a job that fits never sees.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load, save

from incbayes.data.partition import FORMAT, Partition, partition, write_partitions
from incbayes.data.raw import DataError
from incbayes.files import atomic_write

NO_CLASS = -1
"""Label of an image that no task may have."""


def partition_with_validation(
    labels: np.ndarray,
    classes: int,
    *,
    parts: int,
    fraction: float,
    validation: float,
    stream: Callable[[str], np.random.Generator],
    **described: Any,
) -> tuple[Partition, np.ndarray]:
    """Return the partition of one replicate without its validation images, and those.

    Of the images that `partition` puts into a random order and keeps, the first are held out, so
    that they are the same for every T; the rest is cut into parts.

    Args:
        labels: int64 [N], the class number of every training image.
        classes: K, the number of classes of the data set.
        parts: T.
        fraction: as in `partition`; the validation images are among those that are kept.
        validation: share of the kept images that is held out, above 0 and below 1; the number is
            rounded half up, and at least 1.
        stream: returns a fresh generator for `source` or `parts`, of streams named by replicate.
        described: what else `partition` takes; `stratify` also gives the validation images the
            shares of the classes.

    Returns:
        The partition, and int64 [V], ascending: the validation images, which belong to the target
        task, and to no part.

    Raises:
        DataError: as in `partition`; fewer images are left than parts.
    """
    if not 0 < validation < 1:
        raise DataError(f"validation: {validation} must be above 0 and below 1")

    def cut(labels: np.ndarray, parts: int, fraction: float) -> Partition:
        return partition(
            labels,
            classes,
            parts=parts,
            fraction=fraction,
            **described,
            rng_source=stream("source"),
            rng_parts=stream("parts"),
        )

    whole = cut(labels, 1, fraction)
    (kept,) = whole.parts
    number = max(1, math.floor(validation * len(kept) + 0.5))
    held_out, left = kept[:number], kept[number:]
    unused = np.isin(labels, whole.target_classes)
    unused[left] = False
    rest = cut(np.where(unused, NO_CLASS, labels), parts, 1.0)
    return replace(whole, parts=rest.parts), np.sort(held_out)


def write_validation_partitions(
    path: Path | str, partitions: Mapping[int, tuple[Partition, np.ndarray]]
) -> None:
    """Write partitions as `write_partitions` does, with `r{r}/validation`, int64 [V], in addition.

    Args:
        path: the safetensors file.
        partitions: partition and validation images by absolute number of the replicate.
    """
    with atomic_write(path) as partial:
        write_partitions(partial, {replicate: cut for replicate, (cut, _) in partitions.items()})
        tensors = load(partial.read_bytes())
        for replicate, (_, held_out) in partitions.items():
            tensors[f"r{replicate}/validation"] = np.ascontiguousarray(held_out, dtype=np.int64)
        partial.write_bytes(save(tensors, {"format": FORMAT}))


def read_validation(path: Path | str, replicate: int) -> np.ndarray:
    """Return the validation images of one replicate, int64 [V], indices into the training set.

    Args:
        path: a file of `write_validation_partitions`.
        replicate: its absolute number.

    Raises:
        DataError: the file is absent or damaged, or nothing was held out for the replicate.
    """
    name = f"r{replicate}/validation"
    try:
        with safe_open(path, framework="numpy") as file:
            if name not in file.keys():  # noqa: SIM118  the file is no mapping
                raise DataError(f"{path}: holds out nothing for replicate {replicate}")
            return file.get_tensor(name)
    except (OSError, SafetensorError) as error:
        raise DataError(f"{path}: not a readable partition: {error}") from error
