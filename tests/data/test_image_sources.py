"""Folders and archives of one's own images: the forms of a source, and what is refused of them."""

import io
import itertools
import os
import stat
import struct
import tarfile
import tracemalloc
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from own_images import (
    CLASSES,
    FORMS,
    SHAPE,
    SIZES,
    STATED,
    as_folder,
    as_tar,
    as_zip,
    image,
    load,
    member,
    reason,
    tree,
)
from PIL import Image

from incbayes.data.archives import entries
from incbayes.data.image_file import Wanted
from incbayes.data.image_folder import ImageFolder
from incbayes.data.image_reading import METADATA
from incbayes.data.image_tree import read_tree
from incbayes.data.prepared import load_checksums, prepare

REAL = "cifar10-jpeg.tar.gz"
CIFAR10 = "airplane automobile bird cat deer dog frog horse ship truck".split()  # noqa: SIM905


def reordered(files):
    return dict(reversed(files.items()))


def enclosed(files):
    return {f"outer/{name}": content for name, content in files.items()}


def littered(files):
    litter = [".DS_Store", "train/.DS_Store", "train/cat/.hidden", "__MACOSX/train/cat/._00.png"]
    return files | dict.fromkeys(litter, b"litter")


@pytest.mark.parametrize("arranged", [dict, reordered, enclosed, littered])
@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_bytes(form, arranged, tmp_path):
    (tmp_path / "sources").mkdir()
    path = FORMS[form](tmp_path / "sources" / form, arranged(tree()))
    raw = load(path)
    for split, count in SIZES.items():
        names = [f"{split}/{name}/{number:02d}.png" for name in CLASSES for number in range(count)]
        expected = [np.asarray(Image.open(io.BytesIO(tree()[name]))) for name in names]
        images, labels = getattr(raw, f"{split}_images"), getattr(raw, f"{split}_labels")
        np.testing.assert_array_equal(images, np.stack(expected).transpose(0, 3, 1, 2))
        assert labels.tolist() == [0] * count + [1] * count
    prepared = tmp_path / "prepared"
    prepared.mkdir()
    spec = {"kind": "image_folder", "source": str(path), **STATED}
    prepare(spec, tmp_path, prepared)
    checksums = load_checksums(prepared / "checksums.json")
    assert (checksums["classes"], checksums["shape"]) == (CLASSES, SHAPE)
    assert sorted(path.name for path in (tmp_path / "sources").iterdir()) == [form]


def without(word):
    return lambda files: {name: content for name, content in files.items() if word not in name}


def having(name, content=b""):
    return lambda files: files | {name: content or image(0)}


MISPLACED = {
    "one split alone": (without("test/"), "has no folder test"),
    "another split": (having("valid/cat/00.png"), "'valid"),
    "a file beside the classes": (having("train/00.png"), "file 'train/00.png' has no place"),
    "a folder in a class": (having("train/cat/more/00.png"), "'train/cat/more"),
    "a class of one split only": (having("test/cow/00.png"), "test holds the classes 'cow'"),
    "a class that one split lacks": (without("test/cat"), "test lacks the classes 'cat'"),
    "a class without images": (
        lambda files: without("train/cat")(files) | {"train/cat/.keep": b""},
        "the classes 'cat'",
    ),
    "an image too few": (without("train/cat/02"), "train holds 5 images, expected 6 (key train)"),
    "an image too many": (having("test/cat/09.png"), "test holds 5 images, expected 4 (key test)"),
    "text for an image": (having("train/cat/00.png", b"text"), "'train/cat/00.png' is no image"),
    "an empty image": (having("train/cat/00.png", b"\n"), "'train/cat/00.png' is no image"),
    "half an image": (
        having("train/cat/00.png", image(1)[:70]),
        "'train/cat/00.png' cannot be decoded",
    ),
    "an image of another size": (
        having("train/cat/00.png", image(1, size=(4, 5))),
        "'train/cat/00.png' has 4x5 pixels, RGB; expected 5x4 pixels, RGB (key shape)",
    ),
    "a grey image among colour": (
        having("train/cat/00.png", image(1, mode="L")),
        "has 5x4 pixels, L; expected 5x4 pixels, RGB",
    ),
    "an image with transparency": (
        having("train/cat/00.png", image(1, mode="RGBA")),
        "has 5x4 pixels, RGBA; expected",
    ),
    "an image of a huge size": (
        having("train/cat/00.png", image(1, "BMP")[:18] + b"\0\0\1\0" * 2 + image(1, "BMP")[26:]),
        "'train/cat/00.png' cannot be decoded (DecompressionBombError",
    ),
    "a file that is too large": (
        having("train/cat/00.png", bytes(METADATA + 1000)),
        "'train/cat/00.png' with its 1049576 bytes is more than",
    ),
    "files that are too many": (
        lambda files: files | {f"train/.{number}": bytes(300_000) for number in range(4)},
        "is more than images of this number and shape take",
    ),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("what", MISPLACED)
def test_what_is_not_as_stated_is_named(what, form, tmp_path):
    change, expected = MISPLACED[what]
    assert expected in reason(FORMS[form](tmp_path / form, change(tree())))


HOSTILE = {
    "a name that climbs": (member("../evil.png"), "the name '../evil.png' leads out"),
    "a name that climbs within": (member("train/../../evil"), "'train/../../evil' leads out"),
    "an absolute name": (member("/tmp/evil.png"), "the name '/tmp/evil.png' leads out"),
    "a name with a drive": (member("C:/evil.png"), "the name 'C:/evil.png' leads out"),
    "a climbing name of Windows": (member("..\\evil.png"), "leads out of the archive"),
    "a symbolic link": (
        member("train/cat/x.png", tarfile.SYMTYPE, link="/etc/passwd"),
        "'train/cat/x.png' is a link; allowed: files and folders",
    ),
    "a hard link": (member("train/cat/x.png", tarfile.LNKTYPE, link="train/cat/00.png"), "a link"),
    "a device": (member("train/cat/x.png", tarfile.CHRTYPE), "'train/cat/x.png' is a device"),
    "a pipe": (member("train/cat/x.png", tarfile.FIFOTYPE), "'train/cat/x.png' is a device"),
    "a file twice": (member("train/cat/00.png"), "'train/cat/00.png' is in it twice"),
    "an unstated empty class": (member("train/cow", tarfile.DIRTYPE), "holds the classes 'cow'"),
    "a name over two lines": (member("train/a\nb"), "the file 'train/a"),
}


@pytest.mark.parametrize("ending", [".tar", ".tar.gz"])
@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_member_of_a_tar_is_refused_by_name(what, ending, tmp_path):
    made, expected = HOSTILE[what]
    path = as_tar(tmp_path / f"photos{ending}", tree(), (made, b""))
    assert expected in reason(path)
    assert [found.name for found in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize(
    ("name", "mode", "expected"),
    [
        ("../evil.png", 0, "leads out"),
        ("/evil.png", 0, "leads out"),
        ("train/cat/x.png", stat.S_IFLNK, "'train/cat/x.png' is a link"),
        ("train/cat/x.png", stat.S_IFBLK, "'train/cat/x.png' is a device"),
        ("train/cow/", stat.S_IFDIR, "train holds the classes 'cow'"),
    ],
)
def test_a_hostile_member_of_a_zip_is_refused_by_name(name, mode, expected, tmp_path):
    path = as_zip(tmp_path / "photos.zip", tree())
    made = zipfile.ZipInfo(name)
    made.external_attr = mode << 16
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(made, b"")
    assert expected in reason(path)


def test_a_zip_with_unbounded_compression_or_a_password_is_refused(tmp_path):
    path = as_zip(tmp_path / "photos.zip", tree())
    with zipfile.ZipFile(path, "a", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("train/cat/09.png", image(0))
    assert "compressed by method 12; allowed: stored or deflated" in reason(path)
    path = as_zip(tmp_path / "locked.zip", tree())
    content = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        content[content.index(signature) + offset] |= 1
    path.write_bytes(content)
    assert "cannot be read" in reason(path) and "password" in reason(path)


@pytest.mark.parametrize("right_checksum", [True, False])
def test_a_zip_that_unpacks_to_more_than_it_declares_is_refused(right_checksum, tmp_path):
    unpacked = bytes(100 << 20)
    path = as_zip(tmp_path / "photos.zip", tree() | {"train/cat/00.png": unpacked})
    forged = {len(unpacked): 100}
    if right_checksum:
        forged[zlib.crc32(unpacked)] = zlib.crc32(unpacked[:100])
    content = path.read_bytes()
    for true, false in forged.items():
        content = content.replace(struct.pack("<L", true), struct.pack("<L", false))
    path.write_bytes(content)
    tracemalloc.start()
    try:
        assert "Bad CRC-32 for file 'train/cat/00.png'" in reason(path)
        assert tracemalloc.get_traced_memory()[1] < 10 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_a_folder_with_a_link_or_a_pipe_is_refused(kind, tmp_path):
    path = as_folder(tmp_path / "photos", tree())
    odd = path / "train" / "cat" / "x.png"
    odd.symlink_to("00.png") if kind == "link" else os.mkfifo(odd)
    expected = {"link": "a link", "pipe": "a device"}[kind]
    assert f"'train/cat/x.png' is {expected}" in reason(path)


def test_headers_that_announce_too_much_are_not_read(tmp_path):
    # Headers of a tar are read whole into memory, and a sparse file's size is not what is skipped.
    path = tmp_path / "photos.tar"
    for kind, size in ((tarfile.XHDTYPE, 2**33), (tarfile.GNUTYPE_LONGNAME, 2**33)):
        path.write_bytes(member("x", kind, size).tobuf(tarfile.GNU_FORMAT) + bytes(2048))
        assert f"a header of {size} bytes" in reason(path)
    path.write_bytes(member("x", tarfile.CONTTYPE, 2**40).tobuf(tarfile.GNU_FORMAT) + bytes(2048))
    assert f"'x' with its {2**40} bytes is more than" in reason(path)


@pytest.mark.parametrize("form", ["photos.zip", "photos.tar", "photos.tar.gz"])
def test_a_truncated_or_damaged_archive_ends_in_one_line(form, tmp_path):
    path = FORMS[form](tmp_path / form, tree())
    content = path.read_bytes()
    cuts = [0, 1, len(content) // 5, len(content) // 3, len(content) * 9 // 10]
    for size in cuts if form != "photos.tar" else cuts[:-1]:
        path.write_bytes(content[:size])
        reason(path)
    if form != "photos.tar":  # which has no checksum of what it holds
        path.write_bytes(content[:600] + bytes([content[600] ^ 255]) + content[601:])
        reason(path)


@pytest.mark.parametrize("name", ["absent", "absent.zip", "notes.txt", "photos.rar"])
def test_a_source_that_is_absent_or_no_archive_is_named(name, tmp_path):
    path = tmp_path / name
    if not name.startswith("absent"):
        path.write_text("text")
    expected = "no such file" if name.startswith("absent") else "is no folder; allowed: archives"
    assert expected in reason(path)


def test_the_real_jpeg_copy_of_cifar10_is_read():
    root = os.environ.get("INCBAYES_DATA_ROOT")
    if not root or not (Path(root) / REAL).is_file():
        pytest.skip(f"set INCBAYES_DATA_ROOT to a folder that holds {REAL}")
    folder = ImageFolder(REAL, [3, 32, 32], CIFAR10, 50_000, 10_000)
    path = Path(root) / REAL
    limits = folder._limits(path)
    places = folder._places(path, read_tree(path, limits))
    assert len(places) == 60_000
    assert places["cifar10-jpeg", "test", "airplane", "0000.jpg"] == ("test", 0)
    # Decoding all takes half a minute.
    found = (entry for entry in entries(path, limits) if not entry.is_folder)
    wanted = Wanted((3, 32, 32))
    pixels = [wanted.decode(entry.read()).pixels for entry in itertools.islice(found, 100)]
    assert {image.shape for image in pixels} == {(3, 32, 32)}
    assert 0.3 < np.mean(pixels) / 255 < 0.8
