"""Holds out a validation cut of a replicate's training images, and cuts the rest into parts.

Knows labels only, as `incbayes.data.partition` does, of whose files it reads and writes one more
tensor, which a job that fits never sees.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from msgspec import UnsetType, structs
from safetensors.numpy import load, save

from incbayes.core.files import atomic_write
from incbayes.core.fractions import some_images_in
from incbayes.data.partition import (
    FORMAT,
    Partition,
    partition,
    replicate_tensors,
    write_partitions,
)
from incbayes.data.raw import DataError
from incbayes.study.model.partition import PartitionSettings

NO_CLASS = -1
"""Label of an image that no task may have."""


def partition_with_validation(
    labels: np.ndarray,
    classes: int,
    parts: int,
    settings: PartitionSettings,
    stream: Callable[[str], np.random.Generator],
) -> tuple[Partition, np.ndarray]:
    """Return the partition of one replicate without its validation images, and those.

    Of the images that `partition` puts into a random order and keeps, the first are held out, so
    that they are the same for every T; the rest is cut into parts.

    Args:
        labels: int64 [N], the class number of every training image.
        classes: K, the number of classes of the data set.
        parts: T.
        settings: as of `partition`; `held_out` is the share of the kept images that is held out,
            above 0 and below 1; the number is rounded half up, and at least 1. `stratify` also
            gives the validation images the shares of the classes.
        stream: as of `partition`.

    Returns:
        The partition, and int64 [V], ascending: the validation images, which belong to the target
        task, and to no part.

    Raises:
        DataError: as in `partition`; fewer images are left than parts.
    """
    fraction = settings.held_out
    if isinstance(fraction, UnsetType) or not 0 < fraction < 1:
        raise DataError(f"validation: {fraction} must be above 0 and below 1")
    whole = partition(labels, classes, 1, settings, stream)
    (kept,) = whole.parts
    number = some_images_in(fraction, len(kept))
    held_out, left = kept[:number], kept[number:]
    unused = np.isin(labels, whole.target_classes)
    unused[left] = False
    everything = structs.replace(settings, fraction=1.0)
    rest = partition(np.where(unused, NO_CLASS, labels), classes, parts, everything, stream)
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
    held = replicate_tensors(path, replicate)
    if "validation" not in held:
        raise DataError(f"{path}: holds out nothing for replicate {replicate}")
    return held["validation"]
