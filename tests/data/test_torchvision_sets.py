"""The torchvision sets: found, downloaded, absent, damaged; on made-up files and on real ones."""

import gzip
import io
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest
import torchvision.datasets
from torchvision_files import (
    CIFAR,
    IDX,
    SETS,
    SUMMED,
    assert_loads,
    idx_bytes,
    listing,
    made_up_files,
    real_set,
    write_files,
)

from incbayes.data.prepared import pixel_statistics, validate
from incbayes.data.raw import DataError
from incbayes.kinds import DATASETS


class BrokenDownload(io.BytesIO):
    """A response of 1 MB that breaks off after some bytes."""

    length = 1 << 20
    url = None

    def read(self, size=-1):
        """Return bytes once, then fail."""
        if self.tell() > 0:
            raise ConnectionResetError("the network went away")
        return super().read(size)


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
