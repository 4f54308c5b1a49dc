"""Cuts an experiment's training images into parts, for every replicate of a block."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from msgspec import UNSET

from incbayes.core.seal import Seal, read_seal, seal_path, write_seal
from incbayes.core.streams import numpy_stream
from incbayes.data.partition import (
    Partition,
    check_indices,
    partition,
    read_partition,
    write_partitions,
)
from incbayes.data.prepared import described, read_images_seal, read_labels
from incbayes.data.validation import (
    partition_with_validation,
    read_validation,
    write_validation_partitions,
)
from incbayes.study.model.base import to_plain
from incbayes.study.model.partition import PartitionSettings

ARTIFACT = "parts"


@dataclass(frozen=True)
class PartsRequest:
    """What the parts of a block are cut by.

    Attributes:
        study: its id.
        experiment: its name.
        replicates: absolute numbers.
        seed: of the study.
        partition: how to cut, from the study.
    """

    study: str
    experiment: str
    replicates: Sequence[int]
    seed: int
    partition: PartitionSettings

    def identity(self) -> dict[str, Any]:
        """Return what every seal of these parts says, whatever T."""
        identity: dict[str, Any] = to_plain(vars(self))
        return identity


@dataclass(frozen=True)
class Parts:
    """The parts of a block as read from their file.

    Attributes:
        seal: of the file.
        cuts: by replicate.
        validation: images that are in no part, int64 [V] by replicate; empty but for a search.
    """

    seal: Seal
    cuts: Mapping[int, Partition]
    validation: Mapping[int, np.ndarray]


def run_partition(request: PartsRequest, parts: int, images: Path, output: Path) -> None:
    """Cut the training images into T parts, and write and seal them.

    Args:
        request: of the block.
        parts: T.
        images: the seal of the prepared data set.
        output: the file of the parts; its seal lies beside it.
    """
    source = read_images_seal(images)
    train = source.verified(images.with_name("train.safetensors"))
    labels, classes = read_labels(train), len(described(source)["classes"])
    streams = {
        replicate: partial(numpy_stream, request.seed, request.experiment, replicate)
        for replicate in request.replicates
    }
    if request.partition.held_out is not UNSET:
        cuts = {
            replicate: partition_with_validation(labels, classes, parts, request.partition, stream)
            for replicate, stream in streams.items()
        }
        write_validation_partitions(output, cuts)
    else:
        plain = {
            replicate: partition(labels, classes, parts, request.partition, stream)
            for replicate, stream in streams.items()
        }
        write_partitions(output, plain)
    seal_parts(output, request, parts, source)


def seal_parts(path: Path, request: PartsRequest, parts: int, images: Seal) -> Seal:
    """Seal a file of parts.

    Args:
        path: of the file.
        request: that it was cut by.
        parts: T.
        images: the seal of the data set that was cut.
    """
    identity = request.identity() | {"T": parts}
    return write_seal(seal_path(path), ARTIFACT, identity, [path], {"images": images})


def read_parts(path: Path, request: PartsRequest, images: Seal, parts: int | None) -> Parts:
    """Return the parts of a block, verified to be cut as requested, of these images.

    Args:
        path: of the file.
        request: what it must have been cut by.
        images: the seal of the data set that it must have been cut from.
        parts: T; None where only the source task is read, which is the same for every T.

    Raises:
        SealError: the file is damaged, or its seal is of other parts.
        DataError: its content is not a partition of the images.
    """
    meant = request.identity() | ({} if parts is None else {"T": parts})
    seal = read_seal(seal_path(path), ARTIFACT, meant, {"images": images})
    seal.verified(path)
    facts = described(images)
    cuts = {replicate: read_partition(path, replicate) for replicate in request.replicates}
    for cut in cuts.values():
        check_indices(path, cut, facts["train"]["images"], len(facts["classes"]))
    held = {}
    if request.partition.held_out is not UNSET:
        held = {replicate: read_validation(path, replicate) for replicate in request.replicates}
    return Parts(seal, cuts, held)
