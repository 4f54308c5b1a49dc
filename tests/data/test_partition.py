"""Properties of the partition of a replicate: what is cut, how evenly, and from which streams."""

import hashlib
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from incbayes.core.fractions import images_in
from incbayes.core.streams import numpy_stream
from incbayes.data.partition import (
    Partition,
    class_balanced_order,
    partition,
    read_partition,
    write_partitions,
)
from incbayes.data.raw import DataError
from incbayes.study.model import PartitionSettings

thorough = settings(max_examples=40, deadline=None)

TEN_CLASSES = np.arange(500) * 7 % 10


def cut(
    labels,
    classes,
    *,
    seed=0,
    parts=1,
    stratify=False,
    fraction=1.0,
    source=None,
    target=None,
    source_fraction=1.0,
):
    """Return a partition with fresh streams, as a job draws them for one replicate."""
    settings = PartitionSettings(
        stratify=stratify,
        fraction=fraction,
        source_classes=source,
        target_classes=target,
        source_fraction=source_fraction,
    )
    return partition(labels, classes, parts, settings, partial(numpy_stream, seed))


@st.composite
def labelled(draw):
    """Return labels of an uneven data set, its number of classes and a seed."""
    classes = draw(st.integers(2, 6))
    labels = draw(st.lists(st.integers(0, classes - 1), min_size=12, max_size=150))
    return np.array(labels + list(range(classes))), classes, draw(st.integers(0, 2**40))


def union(cut_):
    """Return the indices of all parts, in order."""
    return np.concatenate(cut_.parts)


def spread(numbers):
    """Return by how much the largest exceeds the smallest."""
    return max(numbers) - min(numbers)


@thorough
@given(labelled(), st.integers(1, 12), st.booleans())
def test_parts_are_disjoint_complete_and_equal_to_one(data, parts, stratify):
    labels, classes, seed = data
    result = cut(labels, classes, seed=seed, parts=parts, stratify=stratify)
    sizes = [len(part) for part in result.parts]
    assert len(sizes) == parts and spread(sizes) <= 1
    assert sizes == sorted(sizes, reverse=True)
    assert sorted(union(result)) == list(range(len(labels)))
    assert all(part.dtype == np.int64 for part in result.parts)
    assert len(result.source) == 0 and result.source_classes == ()
    assert result.target_classes == tuple(range(classes))


@thorough
@given(labelled(), st.integers(1, 12))
def test_stratified_parts_balance_every_class(data, parts):
    labels, classes, seed = data
    result = cut(labels, classes, seed=seed, parts=parts, stratify=True)
    for number in range(classes):
        assert spread([int((labels[part] == number).sum()) for part in result.parts]) <= 1


@thorough
@given(labelled(), st.integers(1, 2), st.booleans(), st.floats(0.2, 1))
def test_the_same_seed_repeats_and_another_differs(data, parts, stratify, fraction):
    labels, classes, seed = data
    options = {"parts": parts, "stratify": stratify, "fraction": fraction, "source": 1}
    labels = np.concatenate([labels, np.repeat(np.arange(classes), 30)])
    first, second = (cut(labels, classes, seed=seed, **options) for _ in range(2))
    assert union(first).tolist() == union(second).tolist()
    assert first.source_classes == second.source_classes
    other = cut(labels, classes, seed=seed + 1, **options)
    assert union(first).tolist() != union(other).tolist()


@thorough
@given(labelled(), st.integers(2, 12), st.booleans(), st.sampled_from([0.9, 1.0]))
def test_the_images_do_not_depend_on_the_number_of_parts(data, parts, stratify, fraction):
    labels, classes, seed = data
    options = {"seed": seed, "stratify": stratify, "fraction": fraction}
    (whole,) = cut(labels, classes, **options).parts
    pieces = union(cut(labels, classes, parts=parts, **options))
    assert sorted(whole) == sorted(pieces)
    if not stratify:
        assert whole.tolist() == pieces.tolist()
    for number in range(classes):  # stratified: each class by itself is cut in order
        mine = [indices[labels[indices] == number].tolist() for indices in (whole, pieces)]
        assert mine[0] == mine[1]


@thorough
@given(labelled(), st.booleans(), st.tuples(st.floats(0.1, 1), st.floats(0.1, 1)))
def test_a_smaller_fraction_is_a_subset_of_a_larger_one(data, stratify, fractions):
    labels, classes, seed = data
    small, large = (
        cut(labels, classes, seed=seed, stratify=stratify, fraction=fraction)
        for fraction in sorted(fractions)
    )
    assert set(union(small)) <= set(union(large))
    assert len(union(small)) == images_in(min(fractions), len(labels))


@thorough
@given(labelled(), st.floats(0.1, 1))
def test_a_stratified_fraction_keeps_the_shares_of_the_classes(data, fraction):
    labels, classes, seed = data
    kept = union(cut(labels, classes, seed=seed, stratify=True, fraction=fraction))
    for number in range(classes):
        share = (labels == number).mean()
        bound = (1 + classes * share) / 2
        assert abs((labels[kept] == number).sum() - share * len(kept)) <= bound + 1e-9


def test_classes_of_equal_size_are_within_one_of_their_share_everywhere():
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(5), 20))
    ordered = labels[class_balanced_order(labels)]
    for end in range(1, 101):
        assert all(abs((ordered[:end] == c).sum() - end / 5) <= 1 for c in range(5))


@thorough
@given(st.integers(0, 2**40), st.integers(1, 9), st.integers(1, 5), st.booleans())
def test_random_source_classes_leave_the_others_to_the_target(seed, number, parts, stratify):
    result = cut(TEN_CLASSES, 10, seed=seed, parts=parts, stratify=stratify, source=number)
    source, target = result.source_classes, result.target_classes
    assert len(source) == number and sorted(source + target) == list(range(10))
    assert list(source) == sorted(source) and list(target) == sorted(target)
    assert set(TEN_CLASSES[result.source]) == set(source)
    assert set(TEN_CLASSES[union(result)]) == set(target)
    assert sorted([*result.source, *union(result)]) == list(range(500))
    alone = cut(TEN_CLASSES, 10, seed=seed, fraction=0.3, source=number)
    assert alone.source_classes == source  # whatever T, fraction and stratification
    assert alone.source.tolist() == result.source.tolist()


def test_random_halves_differ_between_replicates_and_reach_every_class():
    halves = [cut(TEN_CLASSES, 10, seed=seed, source=5).source_classes for seed in range(40)]
    assert len(set(halves)) > 20
    counts = np.bincount(np.concatenate(halves), minlength=10)
    assert counts.min() >= 8  # each is expected 20 times, with a deviation of 3


def test_fixed_classes_are_taken_as_they_are():
    result = cut(TEN_CLASSES, 10, parts=3, source=[4, 3, 2, 1, 0])
    assert result.source_classes == (0, 1, 2, 3, 4)
    assert result.target_classes == (5, 6, 7, 8, 9)
    only = cut(TEN_CLASSES, 10, source=[0], target=[9, 5])
    assert only.target_classes == (5, 9)
    assert set(TEN_CLASSES[union(only)]) == {5, 9} and set(TEN_CLASSES[only.source]) == {0}
    drawn = cut(TEN_CLASSES, 10, source=8, target=[3, 4])
    assert drawn.source_classes == (0, 1, 2, 5, 6, 7, 8, 9)


@pytest.mark.parametrize("labels", [TEN_CLASSES, np.sort(TEN_CLASSES)], ids=["mixed", "sorted"])
def test_a_fraction_of_the_source_is_a_random_one_of_it_and_changes_no_part(labels):
    whole, tenth = (cut(labels, 10, source=5, source_fraction=share) for share in (1.0, 0.1))
    assert len(tenth.source) == 25 and set(tenth.source) < set(whole.source)
    assert len(set(labels[tenth.source])) == 5 and (np.diff(tenth.source) > 0).all()
    third = cut(labels, 10, source=5, source_fraction=0.3)
    assert set(tenth.source) < set(third.source) and third.source_classes == whole.source_classes
    assert union(tenth).tolist() == union(whole).tolist()
    with pytest.raises(DataError, match="source_fraction: 1e-09 of 250 images leaves none"):
        cut(labels, 10, source=5, source_fraction=1e-9)


def test_the_parts_do_not_depend_on_how_fixed_or_random_classes_were_chosen():
    drawn = cut(TEN_CLASSES, 10, seed=3, source=5)
    fixed = cut(TEN_CLASSES, 10, seed=3, source=list(drawn.source_classes))
    assert union(drawn).tolist() == union(fixed).tolist()


def test_no_global_randomness_is_used_or_disturbed():
    np.random.seed(1)
    first = cut(TEN_CLASSES, 10, parts=4, source=5)
    state = np.random.get_state()[1].tolist()
    np.random.seed(2)
    second = cut(TEN_CLASSES, 10, parts=4, source=5)
    assert union(first).tolist() == union(second).tolist()
    np.random.seed(1)
    assert np.random.get_state()[1].tolist() == state


def test_an_image_is_equally_likely_in_every_part():
    counts = np.zeros(4)
    for seed in range(400):
        parts = cut(TEN_CLASSES[:40], 10, seed=seed, parts=4).parts
        counts += [0 in part for part in parts]
    assert counts.min() > 65  # each is expected 100 times, with a deviation of 9


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"parts": 501}, "parts: 501 parts of 500 images"),
        ({"parts": 0}, "must be 1 to 500"),
        ({"parts": 26, "fraction": 0.1, "source": 5}, "26 parts of 25 images"),
        ({"fraction": 0.0}, "fraction: 0.0 must be above 0 and at most 1"),
        ({"fraction": 1.1}, "fraction: 1.1"),
        ({"fraction": 0.0001}, "fraction: 0.0001 of 500 images leaves none"),
        ({"source": 10}, "source_classes: 10 random classes; allowed are 1 to 9"),
        ({"source": 0}, "allowed are 1 to 9"),
        ({"source": 9, "target": [0, 1]}, "allowed are 1 to 8"),
        ({"source": [1, 10]}, r"source_classes: \[1, 10\] must be different numbers from 0 to 9"),
        ({"source": [1, 1]}, "must be different"),
        ({"source": []}, r"source_classes: \[\]"),
        ({"source": list(range(10))}, "none is left"),
        ({"target": [-1]}, "target_classes"),
        ({"source": [1, 2], "target": [2, 3]}, r"target_classes: classes \[2\] are in source"),
    ],
)
def test_an_impossible_partition_is_named(options, message):
    with pytest.raises(DataError, match=message):
        cut(TEN_CLASSES, 10, **options)


def some_partitions():
    """Return two replicates' partitions, one with many parts and one with a source."""
    return {3: cut(TEN_CLASSES, 10, seed=3, parts=120), 4: cut(TEN_CLASSES, 10, seed=4, source=5)}


def assert_same(first: Partition, second: Partition):
    """Fail unless two partitions are equal, types included."""
    assert len(first.parts) == len(second.parts)
    pairs = [*zip(first.parts, second.parts, strict=True), (first.source, second.source)]
    for a, b in pairs:
        assert a.dtype == b.dtype == np.int64
        np.testing.assert_array_equal(a, b)
    assert first.source_classes == second.source_classes
    assert first.target_classes == second.target_classes


def test_the_file_gives_back_what_was_written(tmp_path):
    path = tmp_path / "T120" / "r3-4.safetensors"
    write_partitions(path, some_partitions())
    for replicate, expected in some_partitions().items():
        assert_same(read_partition(path, replicate), expected)
    names = {name for name in load_file(path) if name.startswith("r4/")}
    assert names == {"r4/part_01", "r4/source", "r4/source_classes", "r4/target_classes"}
    assert {"r3/part_01", "r3/part_99", "r3/part_120"} <= set(load_file(path))
    assert list(path.parent.iterdir()) == [path]


def test_equal_partitions_are_equal_bytes(tmp_path):
    partitions = some_partitions()
    digests = set()
    for order in ([3, 4], [4, 3]) * 5:
        write_partitions(tmp_path / "x", {r: partitions[r] for r in order})
        digests.add(hashlib.sha256((tmp_path / "x").read_bytes()).hexdigest())
    assert len(digests) == 1


def test_a_missing_replicate_is_named(tmp_path):
    write_partitions(tmp_path / "r3-4.safetensors", some_partitions())
    with pytest.raises(DataError, match=r"r3-4.safetensors: has no replicate 5; it holds \[3, 4\]"):
        read_partition(tmp_path / "r3-4.safetensors", 5)


def test_a_damaged_absent_or_foreign_file_is_named(tmp_path):
    path = tmp_path / "x.safetensors"
    with pytest.raises(DataError, match="x.safetensors: no such file"):
        read_partition(path, 3)
    write_partitions(path, some_partitions())
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(DataError, match="x.safetensors: not a readable partition"):
        read_partition(path, 3)
    save_file({"r3/source": np.zeros(3)}, path)
    with pytest.raises(DataError, match="x.safetensors: format is None, expected"):
        read_partition(path, 3)
