"""The validation cut of a search: in no part, the same for every T, from streams of its own."""

import functools

import numpy as np
import pytest

from incbayes.core.streams import numpy_stream
from incbayes.data.partition import read_partition
from incbayes.data.raw import DataError
from incbayes.data.validation import (
    partition_with_validation,
    read_validation,
    write_validation_partitions,
)
from incbayes.study.model import PartitionSettings

LABELS = np.arange(600) * 7 % 10


def cut(replicate=0, seed=0, experiment="tuning/digits", parts=4, **keys):
    """Return a partition with validation images, from the streams that a job takes."""
    settings = {
        "stratify": False,
        "fraction": 1.0,
        "source_classes": None,
        "target_classes": None,
        "validation": 0.1,
    } | keys
    stream = functools.partial(numpy_stream, seed, experiment, replicate)
    return partition_with_validation(LABELS, 10, parts, PartitionSettings(**settings), stream)


@pytest.mark.parametrize("stratify", [False, True])
@pytest.mark.parametrize(
    "task", [{}, {"source_classes": 5}, {"source_classes": [0, 1], "target_classes": [3, 4]}]
)
@pytest.mark.parametrize("fraction", [1.0, 0.3])
def test_validation_images_are_in_no_part_and_of_the_target_task(stratify, task, fraction):
    keys = task | {"stratify": stratify, "fraction": fraction}
    found, held_out = cut(**keys)
    used = np.concatenate([*found.parts, held_out])
    assert len(set(used)) == len(used)
    assert set(LABELS[used]) <= set(found.target_classes)
    target = np.isin(LABELS, found.target_classes).sum()
    kept = int(fraction * target + 0.5)
    assert len(used) == kept and len(held_out) == max(1, int(0.1 * kept + 0.5))
    sizes = [len(part) for part in found.parts]
    assert max(sizes) - min(sizes) <= (len(found.target_classes) if stratify else 1)
    assert set(LABELS[found.source]) == set(found.source_classes)
    assert not set(found.source) & set(used)


def test_the_validation_cut_is_the_same_for_every_number_of_parts_and_again():
    of_parts = {parts: cut(parts=parts) for parts in (1, 4, 9)}
    for parts, (found, held_out) in of_parts.items():
        again, held_again = cut(parts=parts)
        assert all(map(np.array_equal, found.parts, again.parts))
        assert np.array_equal(held_out, held_again)
        assert np.array_equal(held_out, of_parts[1][1])
        assert set(np.concatenate(found.parts)) == set(of_parts[1][0].parts[0])


@pytest.mark.parametrize("other", [{"replicate": 1}, {"seed": 1}, {"experiment": "tuning/mnist"}])
def test_every_replicate_seed_and_experiment_has_a_cut_of_its_own(other):
    assert not np.array_equal(cut()[1], cut(**other)[1])


def test_a_stratified_cut_has_the_shares_of_the_classes():
    _, held_out = cut(stratify=True)
    assert np.bincount(LABELS[held_out], minlength=10).tolist() == [6] * 10


def test_a_file_with_validation_images_is_a_partition_too(tmp_path):
    cuts = {replicate: cut(replicate) for replicate in (3, 4)}
    path = tmp_path / "parts.safetensors"
    write_validation_partitions(path, cuts)
    for replicate, (found, held_out) in cuts.items():
        assert all(map(np.array_equal, read_partition(path, replicate).parts, found.parts))
        assert np.array_equal(read_validation(path, replicate), held_out)
    with pytest.raises(DataError, match="has no replicate 5"):
        read_validation(path, 5)
    path.write_bytes(b"damaged")
    with pytest.raises(DataError, match="not a readable partition"):
        read_validation(path, 3)


@pytest.mark.parametrize("keys", [{"validation": 0.999}, {"validation": 0.0}, {"validation": 1.0}])
def test_what_leaves_too_few_images_is_refused(keys):
    with pytest.raises(DataError, match="must be"):
        cut(**keys)
