"""Digits, prepared files, pixel scalings and task labels."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from raw_data import CONSTRAINTS, raw_splits
from safetensors.numpy import load_file, save_file

from incbayes.core.files import sha256_file
from incbayes.core.options import options_schema
from incbayes.core.registry import UnknownNameError
from incbayes.core.seal import SealError
from incbayes.data.digits import Digits, scale_to_bytes
from incbayes.data.labels import task_labels
from incbayes.data.pixels import PixelStatistics
from incbayes.data.prepared import (
    load_checksums,
    open_split,
    pixel_statistics,
    prepare,
    read_labels,
    validate,
)
from incbayes.data.raw import DataError
from incbayes.kinds import DATASETS, PIXELS

LIBRARY = Path(__file__).parents[2] / "workflow"
HEAVY = ("torch", "torchvision", "sklearn", "pandas", "scipy")


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """Return the folder of the prepared digits."""
    return prepare_digits(tmp_path_factory.mktemp("digits"))


def prepare_digits(folder):
    """Prepare the digits into a folder, and return it."""
    prepare({"kind": "digits"}, folder / "no data root", folder)
    return folder


def test_planning_with_the_registries_imports_nothing_heavy():
    code = f"""
import sys
from incbayes.kinds import DATASETS
from incbayes.kinds import PIXELS
from incbayes.core.options import options_schema
for registry in (DATASETS, PIXELS):
    for name in registry:
        options_schema(name, registry[name])
assert not set({HEAVY!r}) & set(sys.modules), sorted(set({HEAVY!r}) & set(sys.modules))
"""
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": str(LIBRARY)})


def test_every_data_set_declares_its_constraints():
    expected = ["digits", "mnist", "fashion_mnist", "kmnist", "cifar10", "cifar100", "svhn"]
    tables = ["table", "table_stream", "breast_cancer", "diabetes"]
    assert list(DATASETS) == [*expected, "image_folder", "image_stream", *tables]
    for name in expected:
        constraints = DATASETS[name].constraints
        assert sorted(constraints) == ["classes", "shape", "test", "train"]
        assert json.loads(json.dumps(constraints)) == constraints
        assert len(set(constraints["classes"])) == (100 if name == "cifar100" else 10)
        assert options_schema(name, DATASETS[name])["required"] == ["kind"]


def test_an_unknown_data_set_is_named_with_the_nearest():
    with pytest.raises(UnknownNameError, match="unknown data set 'mnits' .did you mean 'mnist'"):
        DATASETS.build({"kind": "mnits"})


def test_digits_are_cut_by_classes_without_loss():
    from sklearn.datasets import load_digits

    raw = Digits().load(Path("unused"))
    validate(raw, Digits.constraints, "digits")
    source = load_digits()
    for digit in range(10):
        total = (source.target == digit).sum()
        in_test = (raw.test_labels == digit).sum()
        assert abs(in_test - total * 360 / 1797) <= 1
        assert in_test + (raw.train_labels == digit).sum() == total
    rows = np.concatenate([raw.train_images, raw.test_images]).reshape(1797, 64)
    labels = np.concatenate([raw.train_labels, raw.test_labels])
    original = np.floor(source.data * 255 / 16 + 0.5)
    held = sorted(zip(rows.astype(int).tolist(), labels.tolist(), strict=True))
    assert held == sorted(zip(original.astype(int).tolist(), source.target.tolist(), strict=True))


def test_digits_are_always_cut_the_same_way():
    # Another cut would change every published number on the digits.
    raw = Digits().load(Path("unused"))
    assert raw.test_labels[:12].tolist() == [2, 2, 6, 7, 1, 3, 4, 6, 0, 0, 1, 7]
    assert raw.test_images.sum(dtype=np.int64) == 1_812_809


def test_digit_values_become_bytes_and_stay_different():
    values = np.arange(17)
    scaled = scale_to_bytes(values)
    assert scaled.dtype == np.uint8
    assert scaled.tolist() == [int(255 * v / 16 + 0.5) for v in range(17)]
    assert (scaled[0], scaled[8], scaled[16]) == (0, 128, 255)
    assert np.array_equal(np.rint(scaled.astype(float) * 16 / 255), values)


def test_prepared_files_give_back_the_data_set(digits):
    raw = Digits().load(Path("unused"))
    checksums = load_checksums(digits / "checksums.json")
    expected = {
        "train": (raw.train_images, raw.train_labels),
        "test": (raw.test_images, raw.test_labels),
    }
    for split, (images, labels) in expected.items():
        path = digits / f"{split}.safetensors"
        prepared = open_split(path, checksums[split]["sha256"])
        assert prepared.path == path
        assert prepared.images.dtype == torch.uint8 and prepared.labels.dtype == torch.int64
        np.testing.assert_array_equal(prepared.images.numpy(), images)
        np.testing.assert_array_equal(prepared.labels.numpy(), labels)
        assert checksums[split] == {"sha256": sha256_file(path), "images": len(images)}
    assert checksums["shape"] == [1, 8, 8]
    assert checksums["classes"] == [str(digit) for digit in range(10)]
    scaled = raw.train_images.astype(np.float64) / 255
    np.testing.assert_allclose(checksums["mean"], [scaled.mean()], rtol=1e-12)
    np.testing.assert_allclose(checksums["std"], [scaled.std()], rtol=1e-12)
    assert sorted(path.name for path in digits.iterdir()) == [
        "checksums.json",
        "test.safetensors",
        "train.safetensors",
    ]


def test_preparing_again_gives_the_same_bytes(digits, tmp_path):
    again = tmp_path / digits.name
    prepare_digits(again)
    for path in again.iterdir():
        assert path.read_bytes() == (digits / path.name).read_bytes()


def test_labels_are_read_without_torch(digits):
    path, checksums = digits / "train.safetensors", load_checksums(digits / "checksums.json")
    sha256 = checksums["train"]["sha256"]
    labels = read_labels(path, sha256)
    assert labels.dtype == np.int64
    np.testing.assert_array_equal(labels, open_split(path).labels.numpy())
    with pytest.raises(DataError, match=f"{path}: sha256 is"):
        read_labels(path, "0" * 64)
    program = (
        "import sys, incbayes.data.partition; from incbayes.data.prepared import read_labels;"
        f"read_labels({str(path)!r}, {sha256!r}); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=LIBRARY)


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs Linux's /proc")
def test_images_lie_in_pages_mapped_from_the_file(digits):
    prepared = open_split(digits / "train.safetensors")
    for tensor in (prepared.images, prepared.labels):
        begin, end = tensor.data_ptr(), tensor.data_ptr() + tensor.nbytes
        for line in Path("/proc/self/maps").read_text().splitlines():
            lowest, highest = (int(number, 16) for number in line.split()[0].split("-"))
            if lowest <= begin < highest:
                break
        assert line.endswith(f" {digits / 'train.safetensors'}")
        assert end <= highest


def test_writing_to_the_tensors_does_not_reach_the_file(digits):
    checksums = load_checksums(digits / "checksums.json")
    open_split(digits / "train.safetensors").images.fill_(7)
    open_split(digits / "train.safetensors", checksums["train"]["sha256"])


def flip_a_bit(content):
    """Return the bytes with one bit of the last byte, an image's, flipped."""
    return content[:-1] + bytes([content[-1] ^ 1])


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (flip_a_bit, "sha256 is [0-9a-f]{64}, expected"),
        (lambda content: content[: len(content) // 2], "sha256 is"),
        (lambda content: b"", "sha256 is"),
    ],
)
def test_a_checksum_mismatch_names_the_file(digits, tmp_path, damage, message):
    path = tmp_path / "train.safetensors"
    path.write_bytes(damage((digits / path.name).read_bytes()))
    expected = load_checksums(digits / "checksums.json")["train"]["sha256"]
    with pytest.raises(DataError, match=f"{path}: {message}"):
        open_split(path, expected)


@pytest.mark.parametrize("keep", [0, 5, 100, -1])
def test_a_truncated_or_absent_split_is_named_without_a_checksum_too(digits, tmp_path, keep):
    path = tmp_path / "train.safetensors"
    with pytest.raises(DataError, match="train.safetensors: not a readable prepared split"):
        open_split(path)
    path.write_bytes((digits / path.name).read_bytes()[:keep])
    with pytest.raises(DataError, match="train.safetensors: not a readable prepared split"):
        open_split(path)


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"weights": np.zeros(3)}, r"holds \['weights'\], expected images and labels"),
        ({"images": np.zeros((2, 1, 3, 3)), "labels": np.arange(2)}, "images are torch.float64"),
        ({"images": np.zeros((2, 1, 3, 3), np.uint8), "labels": np.arange(3)}, "expected"),
    ],
)
def test_a_foreign_file_is_refused(tmp_path, tensors, message):
    save_file(tensors, tmp_path / "x.safetensors")
    with pytest.raises(DataError, match=f"x.safetensors: .*{message}"):
        open_split(tmp_path / "x.safetensors")


@pytest.mark.parametrize("content", [None, "", "{", "[]", "3", '{"train": {}}', "\udcff"])
def test_bad_checksums_are_named(tmp_path, content):
    path = tmp_path / "checksums.json"
    if content is not None:
        path.write_bytes(content.encode(errors="surrogateescape"))
    with pytest.raises(SealError, match="checksums.json: (not a |no such file)"):
        load_checksums(path)


@pytest.mark.parametrize("key", ["mean", "std", "shape", "classes", "images"])
def test_what_the_checksums_say_of_the_pixels_is_covered_too(digits, tmp_path, key):
    path = shutil.copytree(digits, tmp_path / digits.name) / "checksums.json"
    content = json.loads(path.read_text())
    content["facts"][key] = content["facts"][key] * 2 if key != "images" else {}
    path.write_text(json.dumps(content))
    with pytest.raises(SealError, match="does not match its own checksum: damaged or edited"):
        load_checksums(path)
    elsewhere = shutil.copytree(digits, tmp_path / "elsewhere") / "checksums.json"
    with pytest.raises(SealError, match=f"data is '{digits.name}', expected 'elsewhere'"):
        load_checksums(elsewhere)


def test_a_data_set_as_declared_is_valid():
    validate(raw_splits(), CONSTRAINTS, "letters")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train_images": np.zeros((4, 3, 3, 2), np.uint8)}, "train images are uint8 .4, 3, 3, 2"),
        ({"train_images": np.zeros((4, 2, 3, 3))}, "train images are float64"),
        ({"test_images": np.zeros((3, 2, 3, 3), np.uint8)}, "test images are uint8 .3, 2, 3, 3"),
        ({"train_labels": np.array([0, 1, 0])}, "train labels are int64 .3., expected int64 .4."),
        ({"train_labels": np.array([0, 1, 0, 1], np.int32)}, "train labels are int32"),
        ({"train_labels": np.array([0, 1, 0, 2])}, "labels run from 0 to 2, expected 0 to 1"),
        ({"test_labels": np.array([0, -1])}, "test labels run from -1 to 0"),
        ({"train_labels": np.zeros(4, int)}, r"classes \[1\] have no training image"),
    ],
)
def test_a_data_set_that_differs_from_its_declaration_is_refused(changes, message):
    with pytest.raises(DataError, match=f"data set letters: .*{message}"):
        validate(raw_splits(**changes), CONSTRAINTS, "letters")


def test_pixel_statistics_agree_with_float64_sums_over_many_pieces():
    images = np.random.default_rng(0).integers(0, 256, (9001, 3, 4, 2), dtype=np.uint8)
    images[:, 1] //= 2
    scaled = images.astype(np.float64) / 255
    mean, std = pixel_statistics(images)
    np.testing.assert_allclose(mean, scaled.mean(axis=(0, 2, 3)), rtol=1e-12)
    np.testing.assert_allclose(std, scaled.std(axis=(0, 2, 3)), rtol=1e-12)


@pytest.mark.parametrize(
    ("spec", "formula"),
    [
        ({"kind": "standard"}, lambda x, mean, std: (x / 255 - mean) / std),
        ({"kind": "divide"}, lambda x, mean, std: x / 126),
        ({"kind": "divide", "by": 255.0}, lambda x, mean, std: x / 255),
    ],
)
def test_pixel_scalings_follow_their_formulas(spec, formula):
    images = np.random.default_rng(1).integers(0, 256, (5, 3, 4, 6), dtype=np.uint8)
    mean, std = [0.49, 0.48, 0.45], [0.25, 0.24, 0.0261]
    given = torch.from_numpy(images.copy())
    scaled = PIXELS.build(spec).scale(given, PixelStatistics(mean, std))
    columns = (np.reshape(values, (1, 3, 1, 1)) for values in (mean, std))
    expected = formula(images.astype(np.float64), *columns)
    assert scaled.dtype == torch.float32
    np.testing.assert_allclose(scaled.numpy(), expected, rtol=2e-6, atol=1e-5)
    np.testing.assert_array_equal(given.numpy(), images)


def test_standard_pixels_of_the_training_set_are_standard(digits):
    checksums = load_checksums(digits / "checksums.json")
    images = open_split(digits / "train.safetensors").images
    numbers = PixelStatistics(checksums["mean"], checksums["std"])
    scaled = PIXELS.build({"kind": "standard"}).scale(images, numbers)
    assert abs(float(scaled.double().mean())) < 1e-6
    assert abs(float(scaled.double().std(correction=0)) - 1) < 1e-6


def test_task_labels_are_positions_in_the_classes():
    labels = torch.tensor([7, 2, 5, 2])
    assert task_labels(labels, (2, 5, 7)).tolist() == [2, 0, 1, 0]
    assert task_labels(labels, [7, 5, 2]).tolist() == [0, 2, 1, 2]
    assert task_labels(labels, (2, 5, 7)).dtype == torch.int64
    assert task_labels(labels[:0], (2, 5)).tolist() == []


def test_a_label_of_another_task_is_named():
    with pytest.raises(DataError, match=r"labels \[3, 9\] are not classes of the task, \[2, 5\]"):
        task_labels(torch.tensor([9, 2, 3, 9]), (2, 5))


def test_the_prepared_file_is_plain_safetensors(digits):
    tensors = load_file(digits / "test.safetensors")
    assert {name: array.shape for name, array in tensors.items()} == {
        "images": (360, 1, 8, 8),
        "labels": (360,),
    }
