"""Cuts the training images of one replicate into source task and parts, as indices.

Knows labels only, never pixels or methods, and takes its randomness from the generators that
it is given. It does not know where an index file lies, nor which replicates it holds.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save

from incbayes.core.files import atomic_write
from incbayes.core.fractions import images_in
from incbayes.core.seal import readable
from incbayes.data.raw import DataError
from incbayes.study.model.partition import PartitionSettings

FORMAT = "incbayes partition 1"


@dataclass(frozen=True, eq=False)
class Partition:
    """The images of one replicate, as indices into the training set.

    Attributes:
        parts: T arrays int64 [N_t], part t at position t-1; disjoint, N_t equal to ±1.
        source: int64 [S], ascending: the images of the source task; empty without one.
        source_classes: ascending class numbers of the source task; empty without one.
        target_classes: ascending class numbers of the target task, which the parts belong to.
            The label of an image in a task is the position of its class in that tuple.
    """

    parts: tuple[np.ndarray, ...]
    source: np.ndarray
    source_classes: tuple[int, ...]
    target_classes: tuple[int, ...]


def partition(
    labels: np.ndarray,
    classes: int,
    parts: int,
    settings: PartitionSettings,
    stream: Callable[[str], np.random.Generator],
) -> Partition:
    """Return the partition of one replicate.

    The target's images are put into one random order, of which the first `fraction` is kept
    and cut into T parts. Neither order nor fraction depends on T, hence given fresh generators
    of the same streams:
    - for every T the parts are made of the same images, and in order they make up the part of
      T=1 (with `stratify`: each class by itself does);
    - the images of a smaller fraction are among those of a larger one;
    - the source classes are the same for every T and fraction.

    Args:
        labels: int64 [N], the class number of every training image.
        classes: K, the number of classes of the data set.
        parts: T, at least 1 and at most the number of images that are cut.
        settings: of the study. `stratify` makes the images of each class equal to ±1 across parts
            too, and keeps the shares of the classes in a fraction; without it a plain permutation
            is cut (i.i.d.). Fractions are rounded as `core.fractions.images_in` does. `validation`
            is not looked at.
        stream: returns a fresh generator for `source`, which draws the source classes and after
            them the share of their images, or for `parts`, which draws the order of the target's
            images and nothing else.

    Raises:
        DataError: classes out of range, twice or in both tasks, or fewer images than parts.
    """
    rng_source, fraction, stratify = stream("source"), settings.fraction, settings.stratify
    source, target = _choose_classes(
        classes, settings.source_classes, settings.target_classes, rng_source
    )
    order = stream("parts").permutation(np.flatnonzero(np.isin(labels, target)))
    if stratify:
        order = order[class_balanced_order(labels[order])]
    order = order[: _kept(fraction, len(order), "fraction")]
    if not 1 <= parts <= len(order):
        raise DataError(
            f"parts: {parts} parts of {len(order)} images (classes {list(target)}, fraction "
            f"{fraction}): the number of parts must be 1 to {len(order)}"
        )
    return Partition(
        parts=tuple(_cut_stratified(order, labels, parts) if stratify else _cut(order, parts)),
        source=_share_of_source(labels, source, settings.source_fraction, rng_source),
        source_classes=source,
        target_classes=target,
    )


def class_balanced_order(labels: np.ndarray) -> np.ndarray:
    """Return an order in which every class is spread evenly, int64 [N].

    The i-th image of a class with n images gets the key (i + 1/2)/n; images are sorted by key,
    equal keys as they come. Among the first m of N images a class has n·m/N of them, to within
    (1 + K·n/N)/2 for K classes: ±1 for classes of equal size.

    Args:
        labels: int64 [N], already in random order: within a class the order is kept.
    """
    keys = np.empty(len(labels))
    for number in np.unique(labels):
        positions = np.flatnonzero(labels == number)
        keys[positions] = (np.arange(len(positions)) + 0.5) / len(positions)
    return np.argsort(keys, kind="stable")


def write_partitions(path: Path | str, partitions: Mapping[int, Partition]) -> None:
    """Write the partitions of a block of replicates atomically; equal ones give equal bytes.

    Tensors, all int64, for replicate r: `r{r}/part_{t:02d}`, `r{r}/source`,
    `r{r}/source_classes`, `r{r}/target_classes`.

    Args:
        path: the safetensors file.
        partitions: partition by absolute number of the replicate.
    """
    tensors: dict[str, np.ndarray] = {}
    for replicate, cut in partitions.items():
        for t, indices in enumerate(cut.parts, start=1):
            tensors[f"r{replicate}/part_{t:02d}"] = indices
        tensors[f"r{replicate}/source"] = cut.source
        tensors[f"r{replicate}/source_classes"] = np.array(cut.source_classes)
        tensors[f"r{replicate}/target_classes"] = np.array(cut.target_classes)
    tensors = {name: np.ascontiguousarray(a, dtype=np.int64) for name, a in tensors.items()}
    with atomic_write(path) as partial:
        # One key only: safetensors writes several metadata keys in random order.
        partial.write_bytes(save(tensors, {"format": FORMAT}))


def read_partition(path: Path | str, replicate: int) -> Partition:
    """Return the partition of one replicate from a file of `write_partitions`.

    Raises:
        DataError: the file is absent, damaged, of another kind, or lacks the replicate.
    """
    mine = replicate_tensors(path, replicate)
    numbers = sorted(int(name.removeprefix("part_")) for name in mine if name.startswith("part_"))
    wanted = [f"part_{t:02d}" for t in range(1, len(numbers) + 1)]
    lacking = [
        name
        for name in (*wanted, "part_01", "source", "source_classes", "target_classes")
        if name not in mine or mine[name].dtype != np.int64 or mine[name].ndim != 1
    ]
    if lacking:
        raise DataError(f"{path}: replicate {replicate} lacks {lacking[0]}, int64 [N]")
    return Partition(
        parts=tuple(mine[name] for name in wanted),
        source=mine["source"],
        source_classes=tuple(mine["source_classes"].tolist()),
        target_classes=tuple(mine["target_classes"].tolist()),
    )


def replicate_tensors(path: Path | str, replicate: int) -> dict[str, np.ndarray]:
    """Return what a file of `write_partitions` holds of a replicate, by name.

    Raises:
        DataError: the file is absent, damaged, of another kind, or lacks the replicate.
    """
    prefix = f"r{replicate}/"

    def read(path: Path) -> dict[str, np.ndarray]:
        with safe_open(path, framework="numpy") as file:
            found = (file.metadata() or {}).get("format")
            if found != FORMAT:
                raise DataError(f"{path}: format is {found!r}, expected {FORMAT!r}")
            names = list(file.keys())
            mine = [name for name in names if name.startswith(prefix)]
            if not mine:
                held = sorted({int(name.split("/")[0][1:]) for name in names})
                raise DataError(f"{path}: has no replicate {replicate}; it holds {held}")
            return {name.removeprefix(prefix): file.get_tensor(name) for name in mine}

    return readable(Path(path), read, "not a readable partition", DataError)


def check_indices(path: Path | str, cut: Partition, images: int, classes: int) -> None:
    """Check that a partition is one of a training set: each image once, in range, in one task.

    Args:
        path: of its file, for the message.
        cut: the partition.
        images: N, of the training set.
        classes: K, of the data set.

    Raises:
        DataError: an index or a class is out of range or given twice.
    """
    indices = np.concatenate([*cut.parts, cut.source])
    numbers = np.array((*cut.source_classes, *cut.target_classes), dtype=np.int64)
    for what, values, limit in (("image", indices, images), ("class", numbers, classes)):
        outside = values[(values < 0) | (values >= limit)]
        if len(outside):
            raise DataError(f"{path}: {what} {outside[0]}, expected 0 to {limit - 1}")
        found, counts = np.unique(values, return_counts=True)
        if (counts > 1).any():
            raise DataError(f"{path}: {what} {found[counts > 1][0]} is in it twice")


def _choose_classes(
    classes: int,
    source: int | Sequence[int] | None,
    target: Sequence[int] | None,
    rng: np.random.Generator,
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the class numbers of source and target, ascending."""
    fixed_target = None if target is None else _listed("target_classes", target, classes)
    if source is None:
        chosen: tuple[int, ...] = ()
    elif isinstance(source, int):
        chosen = _draw(source, classes, fixed_target, rng)
    else:
        chosen = _listed("source_classes", source, classes)
    rest = tuple(c for c in range(classes) if c not in chosen)
    if fixed_target is None and not rest:
        raise DataError(f"source_classes: {list(chosen)} are all the classes; none is left")
    shared = sorted(set(chosen) & set(fixed_target or ()))
    if shared:
        raise DataError(f"target_classes: classes {shared} are in source_classes too")
    return chosen, rest if fixed_target is None else fixed_target


def _share_of_source(
    labels: np.ndarray, classes: tuple[int, ...], fraction: float, rng: np.random.Generator
) -> np.ndarray:
    """Return the images of the source task, ascending."""
    indices = np.flatnonzero(np.isin(labels, classes))
    if len(indices) == 0 or fraction == 1:
        return indices
    return np.sort(rng.permutation(indices)[: _kept(fraction, len(indices), "source_fraction")])


def _listed(key: str, numbers: Sequence[int], classes: int) -> tuple[int, ...]:
    chosen = tuple(sorted(int(c) for c in numbers))
    if not chosen or len(set(chosen)) < len(chosen) or chosen[0] < 0 or chosen[-1] >= classes:
        raise DataError(f"{key}: {list(numbers)} must be different numbers from 0 to {classes - 1}")
    return chosen


def _draw(
    number: int, classes: int, target: tuple[int, ...] | None, rng: np.random.Generator
) -> tuple[int, ...]:
    """Return `number` random classes, none of them the target's."""
    candidates = [c for c in range(classes) if c not in (target or ())]
    # Without a fixed target at least one class must be left for it.
    most = len(candidates) if target else classes - 1
    if not 1 <= number <= most:
        raise DataError(f"source_classes: {number} random classes; allowed are 1 to {most}")
    return tuple(sorted(rng.permutation(candidates)[:number].tolist()))


def _kept(fraction: float, images: int, key: str) -> int:
    if not 0 < fraction <= 1:
        raise DataError(f"{key}: {fraction} must be above 0 and at most 1")
    kept = images_in(fraction, images)
    if kept == 0:
        raise DataError(f"{key}: {fraction} of {images} images leaves none")
    return kept


def _cut(order: np.ndarray, parts: int) -> list[np.ndarray]:
    """Return consecutive pieces, the larger ones first."""
    return np.array_split(order, parts)


def _cut_stratified(order: np.ndarray, labels: np.ndarray, parts: int) -> list[np.ndarray]:
    """Cut every class into consecutive pieces equal to ±1; the parts have the sizes of `_cut`.

    The images left over when a class is divided by T go to one part each, and each class goes
    on where the class before it stopped, so that the leftovers are even over the parts as well.
    """
    ordered = labels[order]
    part_of = np.empty(len(order), dtype=np.int64)
    next_part = 0
    for number in np.unique(ordered):
        positions = np.flatnonzero(ordered == number)
        size, left = divmod(len(positions), parts)
        sizes = np.full(parts, size)
        sizes[(next_part + np.arange(left)) % parts] += 1
        part_of[positions] = np.repeat(np.arange(parts), sizes)
        next_part = (next_part + left) % parts
    return [order[part_of == part] for part in range(parts)]
