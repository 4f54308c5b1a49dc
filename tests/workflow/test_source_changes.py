"""Sources that change, age, move or go, through the real workflow: what is prepared again."""

import copy
import os
import random
import shutil

import pandas as pd
import pytest
from fault_table import survived
from own_images import STATED, as_folder, image, tree
from running import TINY, planned, run
from stream_images import STATED as STREAM
from stream_images import images, put, put_zip

from incbayes.study.datasets import data_name
from incbayes.study.model import KindSpec

OLD = (1.5e9, 1.5e9)
RECORDS = "results/tiny/metrics.csv"


def of_one_chain(dataset, **experiment):
    """Return a study of one method on a data set, which leaves open what follows from its size."""
    study = copy.deepcopy(TINY) | {"training": {"batch_size": 64}, "data_root": "."}
    del study["claims"]
    study["experiments"]["digits"] |= {"dataset": dataset, "parts": [1], "methods": ["ffg"]}
    study["experiments"]["digits"] |= experiment
    return study


PHOTOS = of_one_chain(
    {
        "kind": "image_folder",
        "source": "photos",
        "shape": STATED["shape"],
        "classes": STATED["classes"],
    }  # fmt: skip
)
RENTS = of_one_chain(
    {"kind": "table", "source": "rents.csv", "target": "rent", "features": ["area"]}
)


def rents(path, slope):
    area = pd.Series(range(20, 60))
    path.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame({"area": area, "rent": slope * area + 7 * (area % 3)}).to_csv(path, index=False)


def aged(path):
    """Make everything below a path older than whatever was made of it."""
    for below in (path, *path.rglob("*")):
        os.utime(below, OLD)


def older_photos(folder):
    shutil.rmtree(folder / "photos")
    aged(as_folder(folder / "photos", {name: image(90 + n) for n, name in enumerate(tree())}))


def older_rents(folder):
    rents(folder / "rents.csv", -3)
    aged(folder / "rents.csv")


MADE = {
    "photos": (PHOTOS, lambda folder: as_folder(folder / "photos", tree()), older_photos),
    "rents.csv": (RENTS, lambda folder: rents(folder / "rents.csv", 3), older_rents),
}


@pytest.fixture(scope="module", params=MADE)
def finished(request, tmp_path_factory):
    """The name of a source, its study, and a folder in which it was run."""
    study, make, _ = MADE[request.param]
    folder = tmp_path_factory.mktemp("finished")
    make(folder)
    done = run(folder, study, RECORDS)
    assert done.returncode == 0, done.stdout
    return request.param, study, folder


@pytest.fixture
def own(finished, tmp_path):
    """The same with a copy of the folder, in which all files have other time stamps."""
    name, study, folder = finished
    copy = shutil.copytree(folder, tmp_path / "copy")
    files = [path for path in copy.rglob("*") if path.is_file()]
    random.Random(2018).shuffle(files)
    for place, path in enumerate(files):
        os.utime(path, (1.7e9 + place, 1.7e9 + place))
    return name, study, copy


def rules(jobs):
    return {job.split()[0] for job in jobs}


def test_a_copy_with_other_time_stamps_is_fresh_and_older_content_is_not(own):
    name, study, folder = own
    assert planned(folder, study, RECORDS) == set()
    MADE[name][2](folder)
    assert {"prepare_data", "partition", "fit"} <= rules(planned(folder, study, RECORDS))
    survived(
        "a source replaced by an older one; a copy of all with time stamps in random order",
        2 * len(MADE),
        "the one is prepared and fitted anew, of the other nothing is",
    )


def test_once_prepared_a_source_may_go_and_defaults_by_its_size_stay(own):
    name, study, folder = own
    (folder / name).rename(folder / "gone")
    done = run(folder, study, RECORDS)
    assert done.returncode == 0 and "Nothing to be done" in done.stdout, done.stdout
    for record in (folder / "results/data").glob("*/source.json"):
        record.unlink()
    done = run(folder, study, RECORDS, "--dry-run")
    line = done.stdout.strip().splitlines()[-1]
    assert done.returncode == 1
    assert line.startswith("experiments.digits: objective.kl_scale and training.epochs follow from")
    assert line.endswith("the source is gone. State them as they were, or put the source back")
    survived(
        "a source deleted once it was prepared, and also what says how many images or rows it held",
        2 * len(MADE),
        "nothing is fitted anew; without the number one line says what to state",
    )


def prepared_parts(kind, folder):
    """Return a study of a stream and the files that are prepared of its parts and its test."""
    study = of_one_chain(kind, parts=None)
    del study["experiments"]["digits"]["parts"]
    names = [path.name.partition(".")[0] for path in (folder / kind["source"] / "parts").iterdir()]
    place = f"results/data/{data_name(KindSpec.of(kind))}"
    parts = [f"{place}/parts/{name}/checksums.json" for name in sorted(names)]
    return study, [*parts, f"{place}/test/checksums.json"]


def table_stream(folder):
    for name in ("parts/p1/a.csv", "parts/p2.csv", "test/t.csv"):
        rents(folder / "rents" / name, 3)
    with (folder / "rents/parts/p2.csv").open("a") as file:
        file.write("99,300\n")
    return {**RENTS["experiments"]["digits"]["dataset"], "kind": "table_stream", "source": "rents"}


def image_stream(folder):
    photos = folder / "photos"
    put(photos / "parts" / "p1" / "export", images(1))
    put_zip(photos / "parts" / "p2.ZIP", images(2))
    put(photos / "test", images(99))
    return STREAM


def append(file):
    """Add a row in place, which leaves the time stamp of the folder."""
    with file.open("a") as opened:
        opened.write("77,255\n")


CHANGES = {
    "an image below an enclosing folder": (
        image_stream,
        lambda photos: put(photos / "parts/p1/export", {"dark/new.png": images(7)["dark/000.png"]}),
        "prepare_part",
    ),
    "an archive in capitals": (
        image_stream,
        lambda photos: aged(put_zip(photos / "parts/p2.ZIP", images(8))),
        "prepare_part",
    ),
    "test images that are older": (
        image_stream,
        lambda photos: aged(put(photos / "test", images(98))),
        "prepare_stream_test",
    ),
    "rows of a part": (
        table_stream,
        lambda rents: append(rents / "parts/p1/a.csv"),
        "prepare_part",
    ),
    "rows to score on": (
        table_stream,
        lambda rents: append(rents / "test/t.csv"),
        "prepare_stream_test",
    ),  # fmt: skip
}


@pytest.fixture(scope="module")
def streams(tmp_path_factory):
    """By what makes a stream: its folder, prepared, its study and what was prepared."""
    found = {}
    for make in (image_stream, table_stream):
        folder = tmp_path_factory.mktemp(make.__name__)
        kind = make(folder)
        study, files = prepared_parts(kind, folder)
        done = run(folder, study, "--", *files)
        assert done.returncode == 0, done.stdout
        found[make] = folder, kind["source"], study, files
    return found


@pytest.mark.parametrize("changed", CHANGES)
def test_a_change_anywhere_in_a_part_or_the_test_folder_is_noticed(changed, streams, tmp_path):
    make, change, due = CHANGES[changed]
    made, source, study, files = streams[make]
    folder = shutil.copytree(made, tmp_path / "copy")
    assert planned(folder, study, "--", *files) == set()
    change(folder / source)
    jobs = planned(folder, study, "--", *files)
    assert len(jobs) == 1 and rules(jobs) == {due}
    survived(
        "a file of a part or of a test folder added or changed, at any depth, at any age",
        len(CHANGES),
        "that part, or the test folder, is prepared again",
    )
