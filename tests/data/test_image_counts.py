"""Numbers of images that are found, not typed: in a plan, and when a set is prepared."""

import os
import time
import zipfile
from pathlib import Path

import pytest
from own_images import CLASSES, STATED, as_folder, as_zip, image, own_study, tree
from refusals import refusal
from running import planned, run
from shipped_studies import ROOT, with_images
from small_study import PLAIN, changed

from incbayes.data.image_folder import ImageFolder
from incbayes.data.prepared import load_checksums
from incbayes.data.raw import DataError
from incbayes.orchestration.resources import UNCOUNTED, Job, demand
from incbayes.orchestration.size import check_size
from incbayes.study.counting import count_images
from incbayes.study.datasets import data_constraints, data_name
from incbayes.study.model import KindSpec
from incbayes.study.resolve import resolve_study
from incbayes.study.yaml import StudyError, read_yaml

AUTO = {key: value for key, value in STATED.items() if key not in ("train", "test")}
COUNTS = {"train": 6, "test": 4}
UNKNOWN = {"train": None, "test": None}


def spec(source, **options):
    return {"kind": "image_folder", "source": str(source), **AUTO, **options}


def littered(files):
    litter = [".DS_Store", "train/cat/.hidden", "__MACOSX/train/cat/._0.png", "train/dog/Thumbs.db"]
    return files | dict.fromkeys(litter, b"litter")


def enclosed(files):
    return {f"my photos ö/{name}": content for name, content in files.items()}


@pytest.mark.parametrize("arranged", [dict, littered, enclosed])
@pytest.mark.parametrize("form", ["my photos ö", "my photos ö.zip"])
def test_a_listing_and_the_preparation_count_the_same(form, arranged, tmp_path):
    make = as_zip if form.endswith(".zip") else as_folder
    path = make(tmp_path / form, arranged(tree()))
    assert count_images(path, CLASSES) == COUNTS
    dataset = resolve_study(changed((f"{PLAIN}.dataset", spec(path)))).experiments["plain"].dataset
    found = data_constraints(dataset, str(tmp_path))
    assert {split: found[split] for split in COUNTS} == COUNTS
    raw = ImageFolder(path.name, **AUTO).load(tmp_path)
    assert {"train": len(raw.train_images), "test": len(raw.test_images)} == COUNTS


def test_what_is_not_known_while_planning_passes_and_is_found_later(tmp_path):
    (tmp_path / "photos.tgz").touch()
    (tmp_path / "damaged.zip").write_bytes(b"PK")
    as_folder(tmp_path / "empty", {"train/cat/.keep": b""})
    for source in ("absent", "absent.zip", "photos.tgz", "damaged.zip", "empty", "$NO_SUCH_NAME"):
        described = changed(
            (f"{PLAIN}.dataset", spec(source, shape=[3, 1024, 1024])),
            (f"{PLAIN}.parts", [1, 500]),
            ("data_root", str(tmp_path)),
        )
        study = resolve_study(described)
        found = data_constraints(study.experiments["plain"].dataset, study.data_root)
        assert {split: found[split] for split in UNKNOWN} == UNKNOWN
        check_size(study)
        assert demand(study, Job("plain", "ft", 1, 1, "stage"), 1).mem_mb > 4000
    assert min(UNCOUNTED.values()) >= 500


def test_more_parts_than_were_counted_are_refused_while_planning(tmp_path):
    path = as_zip(tmp_path / "photos.zip", tree())

    def study(parts, **more):
        described = changed((f"{PLAIN}.dataset", spec(path)), (f"{PLAIN}.parts", [parts]))
        return resolve_study(described | more)

    assert study(6)
    text = refusal(lambda: study(7), StudyError)
    assert text.startswith("experiments.plain.parts[0]: found 7 parts of 6 training images")
    rates = {"training.learning_rate": [1e-3, 1e-2]}
    search = {"plain": {"ft": rates, "ffg": rates}}
    tune = {"search": search, "validation": 0.5}
    assert "it leaves 3 of 6 training images" in refusal(lambda: study(4, tune=tune), StudyError)


@pytest.mark.parametrize("form", ["photos", "photos.zip"])
def test_a_number_that_was_counted_follows_the_source(form, tmp_path):
    make = as_zip if form.endswith(".zip") else as_folder
    path = make(tmp_path / form, tree())
    assert count_images(path, CLASSES) == COUNTS
    make(path, tree() | {"train/cat/more.png": image(99)})
    assert count_images(path, CLASSES) == COUNTS | {"train": 7}


def test_planning_stays_fast_with_60_000_files(tmp_path):
    classes = [f"c{number}" for number in range(10)]
    with zipfile.ZipFile(tmp_path / "many.zip", "w") as archive:
        for split, number in (("train", 5000), ("test", 1000)):
            for name in classes:
                folder = tmp_path / "many" / split / name
                folder.mkdir(parents=True)
                for place in range(number):
                    os.close(os.open(folder / f"{place}.png", os.O_CREAT))
                    archive.writestr(f"{split}/{name}/{place}.png", b"")
    for source in ("many", "many.zip"):
        started = time.process_time()
        assert count_images(tmp_path / source, classes) == {"train": 50_000, "test": 10_000}
        assert time.process_time() - started < 1
        started = time.process_time()
        count_images(tmp_path / source, classes)
        assert time.process_time() - started < 0.1


def test_a_typed_number_remains_a_check(tmp_path):
    path = as_folder(tmp_path / "photos", tree())
    ImageFolder(path.name, **AUTO, train=6).load(tmp_path)
    with pytest.raises(DataError, match=r"test holds 4 images, expected 5 \(key test\)"):
        ImageFolder(path.name, **AUTO, test=5).load(tmp_path)
    with pytest.raises(
        StudyError, match="dataset.train: found 'all' .text.; allowed: auto or a whole"
    ):
        resolve_study(changed((f"{PLAIN}.dataset", spec(path, train="all"))))


def test_sets_that_are_made_in_another_way_have_another_folder():
    of_photos = spec("photos")
    names = [data_name(KindSpec.of(of_photos | changes)) for changes in (
        {}, {"resize": "crop"}, {"resize": "pad"}, {"convert": "allow"}, {"train": 6},
        {"background": 0},
    )]  # fmt: skip
    assert len(set(names)) == len(names)
    defaults = {"train": "auto", "test": "auto", "resize": "refuse", "convert": "refuse"}
    assert data_name(KindSpec.of(of_photos | defaults)) == names[0]


def test_an_added_image_is_prepared_and_refitted_under_the_same_name(tmp_path):
    path = as_folder(tmp_path / "data/my photos ö", tree())
    study, _ = own_study(path.name)
    dataset = study["experiments"]["digits"]["dataset"]
    del dataset["train"], dataset["test"]
    folder = f"results/data/{data_name(KindSpec.of(dataset))}"
    done = run(tmp_path, study, "results/tiny/metrics.csv")
    assert done.returncode == 0, done.stdout
    assert load_checksums(tmp_path / folder / "checksums.json")["train"]["images"] == 6
    assert planned(tmp_path, study, "results/tiny/metrics.csv") == set()
    (path / "train/dog/new.png").write_bytes(image(77))
    jobs = planned(tmp_path, study, "results/tiny/metrics.csv")
    assert f"prepare_data dataset={Path(folder).name}" in jobs
    done = run(tmp_path, study, "--", f"{folder}/checksums.json")
    assert done.returncode == 0, done.stdout
    assert load_checksums(tmp_path / folder / "checksums.json")["train"]["images"] == 7
    jobs = planned(tmp_path, study, "results/tiny/metrics.csv")
    assert sum(job.startswith("partition ") for job in jobs) == 2
    assert sum(job.startswith("fit ") for job in jobs) == 6


def test_the_shipped_study_of_own_images_prepares_what_a_user_may_have(tmp_path):
    study = with_images(read_yaml(ROOT / "studies/own_images.yaml"), tmp_path / "my images")
    dataset = resolve_study(study).experiments["photos"].dataset
    checksums = f"results/data/{data_name(dataset)}/checksums.json"
    done = run(tmp_path, study, "--", checksums)
    assert done.returncode == 0, done.stdout
    found = load_checksums(tmp_path / checksums)
    assert (found["train"]["images"], found["test"]["images"]) == (12, 4)
