"""Archives of torchvision's sets put there by hand: taken by their content, or named."""

import gzip
import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torchvision.datasets
from fault_table import survived
from torchvision_files import (
    CIFAR,
    IDX,
    SUMMED,
    assert_loads,
    listing,
    made_up_files,
    md5,
    real_set,
    write_files,
)

from incbayes.data.raw import DataError
from incbayes.kinds import DATASETS


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
