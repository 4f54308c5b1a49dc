"""The files of torchvision's sets, made up and real."""

import hashlib
import io
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import scipy.io
import torchvision.datasets

from incbayes.kinds import DATASETS

IDX = {"mnist": "MNIST", "fashion_mnist": "FashionMNIST", "kmnist": "KMNIST"}
CIFAR = {"cifar10": "CIFAR10", "cifar100": "CIFAR100"}
SETS = [*IDX, *CIFAR, "svhn"]
SUMMED = ["mnist", "fashion_mnist", *CIFAR, "svhn"]
"""Sets with a known checksum of every file."""
SMALL = {"train": 40, "test": 20}


def made_up(name):
    """Return made-up images and labels by split, as the set declares them."""
    rng = np.random.default_rng(0)
    shape, classes = DATASETS[name].constraints["shape"], DATASETS[name].constraints["classes"]
    return {
        split: (
            rng.integers(0, 256, (number, *shape), dtype=np.uint8),
            rng.permutation(np.arange(number) % len(classes)),
        )
        for split, number in SMALL.items()
    }


def idx_bytes(array):
    """Return an array as an idx file."""
    header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    return header + array.astype(np.uint8).tobytes()


def made_up_files(name, monkeypatch):
    """Return the content of a made-up set's files by path, and let torchvision expect them."""
    splits = made_up(name)
    if name in IDX:
        return splits, idx_files(name, splits, monkeypatch)
    if name in CIFAR:
        return splits, cifar_files(name, splits, monkeypatch)
    return splits, svhn_files(splits, monkeypatch)


def idx_files(name, splits, monkeypatch):
    """Return the four idx files."""
    files = {}
    for prefix, (images, labels) in zip(("train", "t10k"), splits.values(), strict=True):
        files[f"{IDX[name]}/raw/{prefix}-images-idx3-ubyte"] = idx_bytes(images[:, 0])
        files[f"{IDX[name]}/raw/{prefix}-labels-idx1-ubyte"] = idx_bytes(labels)
    if name in SUMMED:
        sums = {Path(path).name: md5(content) for path, content in files.items()}
        monkeypatch.setattr(DATASETS[name], "sums", sums)
    return files


def cifar_files(name, splits, monkeypatch):
    """Return the pickled batches and the class names."""
    cls = getattr(torchvision.datasets, CIFAR[name])
    key = "labels" if name == "cifar10" else "fine_labels"
    contents = {cls.meta["filename"]: {cls.meta["key"]: DATASETS[name].constraints["classes"]}}
    for batches, split in ((cls.train_list, "train"), (cls.test_list, "test")):
        images, labels = splits[split]
        pieces = np.array_split(np.arange(len(images)), len(batches))
        for (file, _), piece in zip(batches, pieces, strict=True):
            flat = images[piece].reshape(len(piece), -1)
            contents[file] = {"data": flat, key: labels[piece].tolist()}
    pickled = {file: pickle.dumps(content) for file, content in contents.items()}
    for batches in ("train_list", "test_list"):
        sums = [[file, md5(pickled[file])] for file, _ in getattr(cls, batches)]
        monkeypatch.setattr(cls, batches, sums)
    monkeypatch.setattr(cls, "meta", {**cls.meta, "md5": md5(pickled[cls.meta["filename"]])})
    return {f"{cls.base_folder}/{file}": content for file, content in pickled.items()}


def svhn_files(splits, monkeypatch):
    """Return the two MATLAB files, in which the digit 0 has the label 10."""
    files, split_list = {}, {}
    for split, (images, labels) in splits.items():
        buffer = io.BytesIO()
        stored = {
            "X": images.transpose(2, 3, 1, 0),
            "y": np.where(labels == 0, 10, labels)[:, None],
        }
        scipy.io.savemat(buffer, stored)
        files[f"{split}_32x32.mat"] = buffer.getvalue()
        url = torchvision.datasets.SVHN.split_list[split][0]
        split_list[split] = [url, f"{split}_32x32.mat", md5(buffer.getvalue())]
    monkeypatch.setattr(torchvision.datasets.SVHN, "split_list", split_list)
    return files


def md5(content):
    """Return the MD5 sum in hexadecimal."""
    return hashlib.md5(content).hexdigest()


def write_files(root, files):
    """Write files by path relative to a root."""
    for relative, content in files.items():
        path = root / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def listing(root):
    """Return what lies under a folder, with sizes and times of change."""
    found = {path: path.stat() for path in root.rglob("*")}
    return {
        path: (stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns) for path, stat in found.items()
    }


def assert_loads(name, root, splits):
    """Fail unless the set loads from a folder as it was made up."""
    raw = DATASETS.build({"kind": name}).load(root)
    for split, (images, labels) in splits.items():
        loaded = getattr(raw, f"{split}_images"), getattr(raw, f"{split}_labels")
        np.testing.assert_array_equal(loaded[0], images)
        np.testing.assert_array_equal(loaded[1], labels)
        assert (loaded[0].dtype, loaded[1].dtype) == (np.uint8, np.int64)


def real_set(name):
    """Return the data set and the folder that INCBAYES_DATA_ROOT names, or skip."""
    root = os.environ.get("INCBAYES_DATA_ROOT")
    if not root:
        pytest.skip("set INCBAYES_DATA_ROOT to a folder with real data")
    cls = DATASETS[name]
    absent = [file for file in cls.files if not (Path(root) / cls.folder / file).is_file()]
    if absent:
        pytest.skip(f"{name} is not in INCBAYES_DATA_ROOT={root}: no {absent[0]}")
    return cls(), Path(root)
