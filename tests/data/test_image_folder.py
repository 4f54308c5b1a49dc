"""Images of one's own: the three forms of a source, what is refused, and what Snakemake sees."""

import io
import itertools
import json
import os
import stat
import struct
import tarfile
import tracemalloc
import zipfile
import zlib
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from fault_table import survived
from msgspec.structs import replace
from own_images import (
    CLASSES,
    SHAPE,
    SIZES,
    SPEC,
    STATED,
    as_folder,
    as_zip,
    image,
    own_study,
    tree,
)
from PIL import ExifTags, Image
from refusals import refusal as refused
from running import planned, run
from small_study import PLAIN, changed
from snakemake.utils import update_config

from incbayes.data.archives import entries
from incbayes.data.duplicates import find_duplicates
from incbayes.data.image_file import Wanted
from incbayes.data.image_folder import ImageFolder
from incbayes.data.image_reading import METADATA
from incbayes.data.image_tree import read_tree
from incbayes.data.prepared import load_checksums, prepare
from incbayes.data.raw import DataError, RawSplits
from incbayes.orchestration.resources import Job, demand
from incbayes.study.datasets import (
    check_sources,
    data_constraints,
    data_name,
    data_sets,
    source_files,
)
from incbayes.study.model import KindSpec
from incbayes.study.resolve import resolve_study
from incbayes.study.yaml import StudyError, read_yaml

refusal = partial(refused, error=DataError)


REAL = "cifar10-jpeg.tar.gz"
CIFAR10 = "airplane automobile bird cat deer dog frog horse ship truck".split()  # noqa: SIM905


def as_tar(path, files, *further):
    """Write an archive, compressed where its name says so; `further` are pairs for `addfile`."""
    with tarfile.open(path, "w" if path.suffix == ".tar" else "w:gz") as archive:
        plain = [(member(name, size=len(content)), content) for name, content in files.items()]
        for made, content in [*plain, *further]:
            archive.addfile(made, io.BytesIO(content))
    return path


def member(name, kind=tarfile.REGTYPE, size=0, link=""):
    made = tarfile.TarInfo(name)
    made.type, made.size, made.linkname = kind, size, link
    return made


FORMS = {
    "photos": as_folder,
    "photos.zip": as_zip,
    "photos.tar": as_tar,
    "photos.tar.gz": as_tar,
    "photos.tgz": as_tar,
}


def load(path, **stated):
    return ImageFolder(source=path.name, **{**STATED, **stated}).load(path.parent)


def reason(path, **stated):
    """Return the line that a source is refused with, which names it."""
    text = refusal(lambda: load(path, **stated))
    assert str(path) in text and text.isprintable()
    return text


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


@pytest.mark.parametrize("form", ["PNG", "BMP", "PPM", "TIFF"])
def test_grey_images_of_every_lossless_format_give_the_same_pixels(form, tmp_path):
    grey = {name: image(7, form, "L") for name in tree()}
    raw = load(as_folder(tmp_path / "grey", grey), shape=[1, 4, 5], duplicates="allow")
    expected = np.random.default_rng(7).integers(0, 256, (4, 5, 1), np.uint8)
    for pixels in [*raw.train_images, *raw.test_images]:
        np.testing.assert_array_equal(pixels, expected.transpose(2, 0, 1))


def test_the_order_of_the_stated_classes_numbers_them(tmp_path):
    path = as_folder(tmp_path / "photos", tree())
    one, other = load(path), load(path, classes=CLASSES[::-1])
    np.testing.assert_array_equal(one.train_images[:3], other.train_images[3:])
    assert other.train_labels.tolist() == [0, 0, 0, 1, 1, 1]


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


def test_several_pictures_in_a_file_are_refused(tmp_path):
    frames = [Image.new("RGB", (5, 4), color) for color in ("red", "blue")]
    buffer = io.BytesIO()
    frames[0].save(buffer, "TIFF", save_all=True, append_images=frames[1:])
    files = tree() | {"train/cat/00.png": buffer.getvalue()}
    assert "2 frames; expected" in reason(as_zip(tmp_path / "photos.zip", files))


def oriented(pixels, orientation, form):
    """Return the bytes of an image file that says how its camera was held."""
    exif, buffer = Image.Exif(), io.BytesIO()
    exif[ExifTags.Base.Orientation] = orientation
    Image.fromarray(pixels).save(buffer, form, exif=exif, lossless=True)
    return buffer.getvalue()


STORED = {
    1: lambda seen: seen,
    2: np.fliplr,
    3: lambda seen: np.rot90(seen, 2),
    4: np.flipud,
    5: lambda seen: seen.transpose(1, 0, 2),
    6: lambda seen: np.rot90(seen, 1),
    7: lambda seen: np.rot90(seen, 2).transpose(1, 0, 2),
    8: lambda seen: np.rot90(seen, -1),
}
"""How a camera stores what is seen, by EXIF orientation (6: the first column is seen on top)."""


@pytest.mark.parametrize("form", ["PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", STORED)
def test_an_image_is_turned_as_its_camera_was_held(orientation, form, tmp_path):
    seen = np.random.default_rng(99).integers(0, 256, (4, 5, 3), np.uint8)
    stored = np.ascontiguousarray(STORED[orientation](seen))
    files = tree() | {"train/cat/00.png": oriented(stored, orientation, form)}
    raw = load(as_folder(tmp_path / "photos", files))
    np.testing.assert_array_equal(raw.train_images[3], seen.transpose(2, 0, 1))
    turned = int(orientation != 1)
    assert f"images turned as the EXIF orientation says: {turned}" in raw.remarks
    survived(
        "an image with an EXIF orientation, as PNG, TIFF and WebP",
        3 * len(STORED),
        "it is turned as its camera was held, and counted in the log",
    )


def test_an_image_that_has_the_stated_size_only_as_it_is_stored_is_refused(tmp_path):
    stored = np.zeros((4, 5, 3), np.uint8)
    files = tree() | {"train/cat/00.png": oriented(stored, 6, "JPEG")}
    assert (
        "has 4x5 pixels, RGB, turned by its EXIF orientation 6; expected 5x4 pixels, RGB"
    ) in reason(as_folder(tmp_path / "photos", files))


def test_an_image_whose_exif_cannot_be_read_is_refused(tmp_path):
    buffer = io.BytesIO()
    Image.new("RGB", (5, 4)).save(buffer, "PNG", exif=b"Exif\0\0no TIFF header")
    files = tree() | {"train/cat/00.png": buffer.getvalue()}
    path = as_folder(tmp_path / "photos", files)
    assert "'train/cat/00.png' cannot be decoded (SyntaxError" in reason(path)


TWICE = {
    "in train and test": (
        {"test/cat/01.png": "train/cat/00.png"},
        "'train/cat/00.png' and 'test/cat/01.png' hold the same image, pixel by pixel; a test on",
        {"in train and in test": 1},
    ),
    "in two classes": (
        {"train/cat/02.png": "train/dog/01.png"},
        "'train/dog/01.png' and 'train/cat/02.png' hold the same image, pixel by pixel; no image",
        {"in two classes or more": 1},
    ),
    "in train and test in two classes": (
        {"test/cat/00.png": "train/dog/00.png"},
        "'train/dog/00.png' and 'test/cat/00.png' hold the same image",
        {"in train and in test": 1, "in two classes or more": 1},
    ),
    "more than one of them": (
        {"test/cat/00.png": "train/cat/00.png", "test/cat/01.png": "train/cat/01.png"},
        "'train/cat/00.png' and 'test/cat/00.png' hold the same image, pixel by pixel (and 1 more",
        {"in train and in test": 2},
    ),
    "in one class and split": (
        {"train/cat/02.png": "train/cat/00.png", "train/cat/01.png": "train/cat/00.png"},
        None,
        {"that repeat another one of the same class and split": 2},
    ),
}


@pytest.mark.parametrize("what", TWICE)
def test_one_image_in_two_places_is_refused_by_name_or_counted(what, tmp_path):
    copies, expected, counts = TWICE[what]
    files = tree()
    for name, original in copies.items():
        with Image.open(io.BytesIO(files[original])) as picture:  # the pixels count, not the file
            buffer = io.BytesIO()
            picture.save(buffer, "BMP")
        files[name] = buffer.getvalue()
    path = as_folder(tmp_path / "photos", files)
    if expected:
        text = reason(path)
        assert expected in text and "set the key duplicates to allow" in text
    remarks = load(path, duplicates="allow" if expected else "refuse").remarks
    found = {text: int(count) for text, _, count in (r.rpartition(": ") for r in remarks)}
    assert {k.removeprefix("images "): v for k, v in found.items() if v} == counts
    survived(
        "one image in train and test, in two classes, twice in one class",
        len(TWICE),
        "one line that names both files; counted in the log where it is allowed",
    )


def test_the_search_for_duplicates_takes_little_memory_and_agrees_with_a_plain_one():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 4, (3000, 1, 2, 2), np.uint8)  # of 256 different ones
    labels = rng.integers(0, 3, 3000)
    raw = RawSplits(images[:2000], labels[:2000], images[2000:], labels[2000:])
    tracemalloc.start()
    try:
        found = find_duplicates(raw)
        assert tracemalloc.get_traced_memory()[1] < 3000 * 200
    finally:
        tracemalloc.stop()
    kinds = {}
    for row, (pixels, label) in enumerate(zip(images, labels, strict=True)):
        kinds.setdefault(pixels.tobytes(), []).append((row >= 2000, int(label)))
    assert found.repeats == sum(len(kind) - len(set(kind)) for kind in kinds.values())
    for pairs, part in ((found.across_splits, 0), (found.across_classes, 1)):
        assert len(pairs) == sum(len({k[part] for k in kind}) > 1 for kind in kinds.values())
        for (split, row), (other, other_row) in pairs:
            ours, theirs = row + 2000 * (split == "test"), other_row + 2000 * (other == "test")
            assert images[ours].tobytes() == images[theirs].tobytes()
            assert labels[ours] != labels[theirs] if part else split != other


def test_what_is_known_of_the_images_is_in_the_log_of_the_preparation(tmp_path):
    as_zip(tmp_path / "photos.zip", tree() | {"train/cat/02.png": tree()["train/cat/00.png"]})
    study, checksums = own_study("photos.zip")
    study["data_root"] = str(tmp_path)
    done = run(tmp_path, study, "--", checksums)
    assert done.returncode == 0, done.stdout
    log = tmp_path / "results/data/logs" / f"{Path(checksums).parent.name}.log"
    assert "that repeat another one of the same class and split: 1" in log.read_text()
    assert "images in train and in test: 0" in log.read_text()


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


def study_with(**changes):
    return resolve_study(changed((f"{PLAIN}.dataset", SPEC | changes)))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"shape": [2, 4, 5]},
            "dataset.shape: found [2, 4, 5]; allowed: [channels, height, width]",
        ),
        ({"shape": [1, 4, 5, 6]}, "dataset.shape: found [1, 4, 5, 6]; allowed"),
        ({"shape": [1, 4]}, "dataset.shape: found [1, 4]"),
        ({"shape": [1, 4, 5000]}, "dataset.shape[2]: found 5000"),
        ({"classes": ["cat", "cat"]}, "dataset.classes[1]: 'cat' is given twice"),
        ({"classes": ["cat", "a/b"]}, "dataset.classes[1]: found 'a/b'; allowed: the name of a fo"),
        ({"classes": ["", "b"]}, "dataset.classes[0]: found ''"),
        ({"classes": ["cat"]}, "dataset.classes: found ['cat']"),
        ({"train": 0}, "dataset.train: found 0"),
        ({"train": 2}, "fraction 1.0 of 2"),
    ],
)
def test_what_a_study_states_wrongly_is_named_before_anything_runs(changes, expected):
    with pytest.raises(StudyError) as caught:
        resolve_study(changed((f"{PLAIN}.dataset", SPEC | changes), (f"{PLAIN}.parts", [3])))
    assert expected in str(caught.value)


def test_the_jpeg_copy_takes_the_place_of_cifar10_and_says_so():
    studies = Path(__file__).parents[2] / "studies"
    written = read_yaml(studies / "kochurov2018.yaml")
    plain = resolve_study(written)
    update_config(written, read_yaml(studies / "data" / "cifar10_jpeg.yaml"))
    study = resolve_study(written)
    assert "JPEG" in study.title and "JPEG" not in plain.title
    assert list(data_sets(plain.experiments)) == ["mnist", "cifar10"]
    mnist, copy_of_cifar10 = data_sets(study.experiments)
    assert mnist == "mnist" and copy_of_cifar10.startswith("cifar10_jpeg_")
    known = data_constraints(KindSpec("cifar10"))
    assert data_constraints(data_sets(study.experiments)[copy_of_cifar10]) == known
    for name, experiment in study.experiments.items():
        replaced = experiment.dataset.kind == "image_folder"
        assert replaced == (name != "mnist") == ("JPEG" in experiment.title)
        before = plain.experiments[name]
        assert replace(experiment, title=before.title, dataset=before.dataset) == before


def test_a_model_that_needs_larger_images_is_refused_from_what_is_stated():
    with pytest.raises(StudyError, match="lenet5 needs images of at least 16x16 .* has 4x5"):
        resolve_study(changed((f"{PLAIN}.dataset", SPEC), (f"{PLAIN}.model", "lenet5")))


def test_sets_never_share_a_folder_and_the_others_keep_theirs():
    names = [data_name(KindSpec.of(SPEC))]
    for changes in (
        {"source": "b/photos.zip"},
        {"train": 7},
        {"classes": ["cat", "dog"]},
        {"duplicates": "allow"},
    ):
        names.append(data_name(KindSpec.of(SPEC | changes)))
    assert len(set(names)) == len(names)
    assert all(name.startswith("photos_") for name in names)
    assert data_name(KindSpec.of(SPEC | {"duplicates": "refuse"})) == data_name(
        KindSpec.of(SPEC)
    )  # the default
    assert data_name(KindSpec.of(SPEC | {"source": "/…/数.zip"})).startswith("images_")
    assert data_name(KindSpec("mnist")) == "mnist"
    assert data_constraints(KindSpec.of(SPEC)) == STATED
    assert data_constraints(KindSpec("digits"))["train"] == 1437


def test_larger_images_ask_for_more_memory():
    def memory(side):
        study = study_with(shape=[3, side, side], train=10_000)
        (name, *_) = study.experiments
        return demand(study, Job(name, "ffg", 1, 1, "stage"), 1).mem_mb

    assert memory(32) < memory(64) < memory(128)


def test_an_absent_source_is_refused_only_while_it_is_needed(tmp_path):
    study = replace(study_with(), data_root=str(tmp_path))
    with pytest.raises(StudyError, match=r"dataset.source: found 'photos.tar.gz', but there is no"):
        check_sources(study.experiments, Path(study.data_root), tmp_path / "data")
    folder = tmp_path / "data" / data_name(KindSpec.of(SPEC))
    folder.mkdir(parents=True)
    (folder / "checksums.json").write_text(json.dumps({}))
    check_sources(study.experiments, Path(study.data_root), tmp_path / "data")


@pytest.mark.parametrize("outer", ["", "outer/"])
def test_the_folders_of_the_classes_stand_for_a_folder(outer, tmp_path):
    files = {f"{outer}{name}": content for name, content in tree().items()}
    path = as_folder(tmp_path / "photos", files)
    (path / ".DS_Store").touch()
    found = source_files(KindSpec.of(SPEC | {"source": "photos"}), tmp_path)
    expected = [f"{split}/{name}" for split in SIZES for name in CLASSES]
    assert found == [path / f"{outer}{name}" for name in expected]
    assert source_files(KindSpec("digits"), tmp_path) == []


@pytest.mark.parametrize("form", ["photos", "photos.zip"])
def test_what_changed_is_prepared_again_and_outlives_its_source(form, tmp_path):
    path = FORMS[form](tmp_path / "data" / form, tree())
    study, checksums = own_study(form)
    done = run(tmp_path, study, "--", checksums)
    assert done.returncode == 0, done.stdout
    assert load_checksums(tmp_path / checksums)["classes"] == CLASSES
    assert planned(tmp_path, study, "--", checksums) == set()
    FORMS[form](path, tree() | {"train/dog/more.png": image(1)})
    (job,) = planned(tmp_path, study, "--", checksums)
    assert job == f"prepare_data dataset={Path(checksums).parent.name}"
    path.rename(tmp_path / "moved")
    rest = planned(tmp_path, study)
    assert "all" in rest and job not in rest


def test_a_study_whose_source_is_absent_ends_in_one_line(tmp_path):
    done = run(tmp_path, own_study("photos.zip")[0], "--dry-run")
    assert done.returncode != 0
    line = done.stdout.strip().splitlines()[-1]
    assert line.startswith("experiments.digits.dataset.source: found 'photos.zip', but there is no")


def test_a_source_is_not_asked_for_where_nothing_is_made_of_it(tmp_path):
    done = run(tmp_path, own_study("photos.zip")[0], "republish")
    assert done.returncode != 0 and "nothing is published there" in done.stdout


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
