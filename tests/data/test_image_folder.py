"""Images of one's own: how they are read, and what a study and Snakemake make of them."""

import io
import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from fault_table import survived
from msgspec.structs import replace
from own_images import (
    CLASSES,
    FORMS,
    SPEC,
    STATED,
    as_folder,
    as_zip,
    image,
    load,
    own_study,
    reason,
    tree,
)
from PIL import ExifTags, Image
from running import planned, run
from small_study import PLAIN, changed
from snakemake.utils import update_config

from incbayes.data.duplicates import find_duplicates
from incbayes.data.prepared import load_checksums
from incbayes.data.raw import RawSplits
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
def test_a_folder_stands_for_all_that_it_holds(outer, tmp_path):
    files = {f"{outer}{name}": content for name, content in tree().items()}
    path = as_folder(tmp_path / "photos", files)
    assert source_files(KindSpec.of(SPEC | {"source": "photos"}), tmp_path) == [path]
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
