"""The torchvision sets: found, downloaded, absent, damaged; on made-up files and on real ones."""

import gzip
import hashlib
import io
import os
import pickle
import tarfile
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest
import scipy.io
import torchvision.datasets
from fault_table import survived

from incbayes.data.prepared import pixel_statistics, validate
from incbayes.data.raw import DataError
from incbayes.kinds import DATASETS

IDX = {"mnist": "MNIST", "fashion_mnist": "FashionMNIST", "kmnist": "KMNIST"}
CIFAR = {"cifar10": "CIFAR10", "cifar100": "CIFAR100"}
SETS = [*IDX, *CIFAR, "svhn"]
SUMMED = ["mnist", "fashion_mnist", *CIFAR, "svhn"]
"""Sets with a known checksum of every file."""
SMALL = {"train": 40, "test": 20}


class BrokenDownload(io.BytesIO):
    """A response of 1 MB that breaks off after some bytes."""

    length = 1 << 20
    url = None

    def read(self, size=-1):
        """Return bytes once, then fail."""
        if self.tell() > 0:
            raise ConnectionResetError("the network went away")
        return super().read(size)


@pytest.fixture
def offline(monkeypatch):
    """Make every attempt to use the network fail at once, and record it."""
    attempts = []

    def refuse(request, *_, **__):
        attempts.append(request.full_url)
        raise urllib.error.URLError("network is off")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    return attempts


@pytest.fixture
def small(monkeypatch):
    """Let every set be small: 40 training and 20 test images."""
    for name in SETS:
        cls = DATASETS[name]
        monkeypatch.setattr(cls, "constraints", {**cls.constraints, **SMALL})


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


@pytest.mark.parametrize("name", SETS)
def test_without_network_and_files_one_line_says_where_to_put_what(name, tmp_path, offline):
    root = tmp_path / "data"
    with pytest.raises(DataError) as caught:
        DATASETS.build({"kind": name}).load(root)
    message, cls = str(caught.value), DATASETS[name]
    assert "\n" not in message
    assert message.startswith(f"data set {name}: {root / cls.folder} lacks ")
    assert all(file in message for file in cls.files)
    assert f"set the key data_root, now {root}," in message
    assert "network is off" in message
    assert offline, "a download must have been tried"
    assert not root.exists(), "nothing may be left behind"


@pytest.mark.parametrize("name", SETS)
def test_a_download_that_breaks_off_leaves_nothing_behind(name, tmp_path, monkeypatch):
    responses = []

    def respond(request, *_, **__):
        response = BrokenDownload(b"half of a file")
        responses.append(response)
        return response

    monkeypatch.setattr(urllib.request, "urlopen", respond)
    write_files(tmp_path, {"another set/file": b"kept", "MNIST/processed/note": b"kept"})
    before = listing(tmp_path).keys()
    with pytest.raises(DataError, match=f"data set {name}: .*the network went away"):
        DATASETS.build({"kind": name}).load(tmp_path)
    assert responses
    assert listing(tmp_path).keys() == before


def test_an_interrupted_download_leaves_nothing_behind(tmp_path, monkeypatch):
    def interrupt(self, *_, **__):
        write_files(Path(self.root), {"MNIST/raw/train-images-idx3-ubyte": b"half"})
        raise KeyboardInterrupt

    monkeypatch.setattr(torchvision.datasets.MNIST, "download", interrupt)
    with pytest.raises(KeyboardInterrupt):
        DATASETS.build({"kind": "mnist"}).load(tmp_path / "data")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", SETS)
def test_files_that_are_there_are_only_read(name, tmp_path, offline, small, monkeypatch):
    splits, files = made_up_files(name, monkeypatch)
    write_files(tmp_path, files)
    before = listing(tmp_path)
    assert_loads(name, tmp_path, splits)
    assert offline == []
    assert listing(tmp_path) == before


@pytest.mark.parametrize("name", SETS)
def test_one_missing_file_is_named_alone_and_the_others_are_kept(
    name, tmp_path, offline, small, monkeypatch
):
    _, files = made_up_files(name, monkeypatch)
    missing = sorted(files)[0]
    del files[missing]
    write_files(tmp_path, files)
    before = listing(tmp_path)
    with pytest.raises(DataError, match=f"data set {name}: .* lacks {Path(missing).name}, and"):
        DATASETS.build({"kind": name}).load(tmp_path)
    assert listing(tmp_path) == before


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("position", [0, -1])
def test_a_truncated_file_is_named(name, position, tmp_path, offline, small, monkeypatch):
    _, files = made_up_files(name, monkeypatch)
    damaged = sorted(files)[position]
    files[damaged] = files[damaged][:-1]
    write_files(tmp_path, files)
    with pytest.raises(DataError) as caught:
        DATASETS.build({"kind": name}).load(tmp_path)
    assert f"data set {name}: {tmp_path / damaged} " in str(caught.value)
    assert "truncated or corrupted" in str(caught.value)
    assert "delete the file and run again" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", SUMMED)
def test_a_flipped_bit_is_named_where_the_sum_is_known(name, tmp_path, offline, small, monkeypatch):
    _, files = made_up_files(name, monkeypatch)
    damaged = sorted(files)[-1]
    files[damaged] = files[damaged][:-1] + bytes([files[damaged][-1] ^ 1])
    write_files(tmp_path, files)
    with pytest.raises(DataError, match=f"{tmp_path / damaged} is truncated or corrupted: its MD5"):
        DATASETS.build({"kind": name}).load(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (gzip.compress(b"x" * 100), "begins with 1f8b0800 instead of 00000801: not an extracted"),
        (b"", "begins with  instead of 00000801"),
        (idx_bytes(np.zeros(39)), "has 47 bytes instead of 48: truncated"),
        (b"\0\0\x08\x01\0\0\0\x29" + b"\0" * 40, r"declares dimensions \[41\] instead of \[40\]"),
    ],
    ids=["compressed", "empty", "truncated", "another length"],  # a gzip holds the time
)
def test_what_is_wrong_with_an_idx_file_is_said(
    content, message, tmp_path, offline, small, monkeypatch
):
    _, files = made_up_files("mnist", monkeypatch)
    files["MNIST/raw/train-labels-idx1-ubyte"] = content
    write_files(tmp_path, files)
    with pytest.raises(DataError, match=f"train-labels-idx1-ubyte {message}"):
        DATASETS.build({"kind": "mnist"}).load(tmp_path)


def idx_archives(files):
    """Return every idx file as an archive that torchvision does not know."""
    return {f"{path}.gz": gzip.compress(content) for path, content in files.items()}


@pytest.mark.parametrize("name", IDX)
def test_archives_that_were_packed_anew_are_taken_by_their_content(
    name, tmp_path, offline, small, monkeypatch
):
    splits, files = made_up_files(name, monkeypatch)
    write_files(tmp_path, idx_archives(files))
    assert_loads(name, tmp_path, splits)
    assert offline == []
    survived(
        "archives of MNIST, Fashion-MNIST and KMNIST that were packed anew",
        len(IDX),
        "their files are taken, as they have the right content",
    )


@pytest.mark.parametrize(
    ("name", "what"),
    [
        (name, what)
        for name in IDX
        for what in ("other content", "another size", "truncated", "no archive")
        if name in SUMMED
        or what != "other content"  # kind and size are all that is known of KMNIST
    ],
)
def test_an_archive_with_anything_else_is_named_and_leaves_nothing(
    what, name, tmp_path, offline, small, monkeypatch
):
    _, files = made_up_files(name, monkeypatch)
    archives = idx_archives(files)
    path = sorted(files)[-1]
    content = files[path]
    archives[f"{path}.gz"] = {
        "other content": gzip.compress(content[:-1] + bytes([content[-1] ^ 1])),
        "another size": gzip.compress(content + bytes(10**6)),
        "truncated": archives[f"{path}.gz"][:-6],
        "no archive": b"<html>404</html>",
    }[what]
    write_files(tmp_path, archives)
    before = listing(tmp_path).keys()
    with pytest.raises(DataError) as caught:
        DATASETS.build({"kind": name}).load(tmp_path)
    assert f"({Path(path).name}.gz is damaged or holds something else)" in str(caught.value)
    assert offline and listing(tmp_path).keys() == before


def cifar_archive(path, files):
    """Write a made-up archive of CIFAR, of files by their path in it."""
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


@pytest.mark.parametrize("name", CIFAR)
@pytest.mark.parametrize("known", [True, False])
def test_the_cifar_archive_put_there_by_hand_is_extracted_offline(
    known, name, tmp_path, offline, small, monkeypatch
):
    splits, files = made_up_files(name, monkeypatch)
    cls = getattr(torchvision.datasets, CIFAR[name])
    cifar_archive(tmp_path / cls.filename, files)
    if known:
        monkeypatch.setattr(cls, "tgz_md5", md5((tmp_path / cls.filename).read_bytes()))
    assert_loads(name, tmp_path, splits)
    assert offline == []


@pytest.mark.parametrize("name", CIFAR)
def test_of_a_cifar_archive_with_a_wrong_file_nothing_stays(
    name, tmp_path, offline, small, monkeypatch
):
    _, files = made_up_files(name, monkeypatch)
    cls = getattr(torchvision.datasets, CIFAR[name])
    path = sorted(files)[-1]
    cifar_archive(tmp_path / cls.filename, files | {path: files[path] + b"."})
    with pytest.raises(DataError, match=f"lacks {Path(path).name} .{cls.filename} is damaged or"):
        DATASETS.build({"kind": name}).load(tmp_path)
    assert list(tmp_path.iterdir()) == [tmp_path / cls.filename]


def test_a_data_root_that_cannot_be_written_is_named(tmp_path, offline):
    (tmp_path / "data").write_bytes(b"a file, no folder")
    with pytest.raises(DataError, match=f"set the key data_root, now {tmp_path / 'data'},"):
        DATASETS.build({"kind": "mnist"}).load(tmp_path / "data")


@pytest.mark.parametrize("name", SETS)
def test_the_declared_files_are_those_that_torchvision_reads(name):
    cls = DATASETS[name]
    torchvision_class = getattr(torchvision.datasets, cls.dataset)
    if name in IDX:
        expected = {file.removesuffix(".gz") for file, _ in torchvision_class.resources}
        assert cls.constraints["classes"] == [c.split(" - ")[0] for c in torchvision_class.classes]
    elif name in CIFAR:
        batches = torchvision_class.train_list + torchvision_class.test_list
        expected = {file for file, _ in batches} | {torchvision_class.meta["filename"]}
        assert cls.folder == torchvision_class.base_folder
    else:
        expected = {torchvision_class.split_list[split][1] for split in ("train", "test")}
    assert set(cls.files) == expected


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


@pytest.mark.parametrize("name", SETS)
def test_real_files_are_what_the_set_declares(name, offline):
    dataset, root = real_set(name)
    validate(dataset.load(root), dataset.constraints, name)
    assert offline == []
    if name in CIFAR:
        assert dataset._open(root, True, False).classes == dataset.constraints["classes"]


def test_real_mnist_has_the_numbers_everybody_knows(offline):
    dataset, root = real_set("mnist")
    raw = dataset.load(root)
    assert raw.train_labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert np.bincount(raw.train_labels)[[0, 1]].tolist() == [5923, 6742]
    assert np.bincount(raw.test_labels)[[0, 1]].tolist() == [980, 1135]
    mean, std = pixel_statistics(raw.train_images)
    assert (round(mean[0], 4), round(std[0], 4)) == (0.1307, 0.3081)


def test_real_mnist_packed_anew_is_taken(tmp_path, offline):
    dataset, root = real_set("mnist")
    archives = {
        f"{dataset.folder}/{file}.gz": gzip.compress((root / dataset.folder / file).read_bytes(), 1)
        for file in dataset.files
    }
    write_files(tmp_path, archives)
    raw = dataset.load(tmp_path)
    np.testing.assert_array_equal(raw.train_images, dataset.load(root).train_images)
    assert offline == []


@pytest.mark.parametrize("name", SETS)
def test_what_is_downloaded_is_taken_whole_and_leaves_nothing_else(
    name, tmp_path, small, monkeypatch
):
    splits, files = made_up_files(name, monkeypatch)
    roots = []

    def download(self):
        roots.append(Path(self.root))
        write_files(Path(self.root), files)

    cls = getattr(torchvision.datasets, DATASETS[name].dataset)
    monkeypatch.setattr(cls, "download", download)
    present = sorted(files)[0]
    write_files(tmp_path, {present: files[present]})
    before = listing(tmp_path)
    assert_loads(name, tmp_path, splits)
    after = listing(tmp_path)
    assert {str(path.relative_to(tmp_path)) for path in after if path.is_file()} == set(files)
    assert after[tmp_path / present] == before[tmp_path / present]
    assert roots and all(root.parent == tmp_path and not root.exists() for root in roots)


@pytest.mark.parametrize("name", SUMMED)
def test_a_download_with_a_wrong_file_is_not_taken(name, tmp_path, small, monkeypatch):
    _, files = made_up_files(name, monkeypatch)
    wrong = sorted(files)[-1]
    files[wrong] = files[wrong][:-1] + bytes([files[wrong][-1] ^ 1])
    cls = getattr(torchvision.datasets, DATASETS[name].dataset)
    monkeypatch.setattr(cls, "download", lambda self: write_files(Path(self.root), files))
    with pytest.raises(DataError, match=rf"^data set {name}: .* lacks .*{Path(wrong).name}"):
        DATASETS.build({"kind": name}).load(tmp_path)
    assert list(tmp_path.iterdir()) == []
