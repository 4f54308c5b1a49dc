"""Corrupted copies in files through the real workflow: scored, drawn, and made anew by content."""

import copy
import os
import shutil

import numpy as np
import pandas as pd
import pytest
from corrupted_files import write_copies
from fault_table import survived
from running import TINY, planned, run

STUDY = copy.deepcopy(TINY) | {"study": "copies", "data_root": "raw", "claims": {}}
STUDY["experiments"]["digits"] |= {
    "parts": [2],
    "shifts": {
        "cifar": {"kind": "cifar_c", "source": "C", "names": ["fog", "snow"]},
        "mnist": {"kind": "mnist_c", "source": "M", "names": ["zigzag"]},
    },
}
RULES = {"collect", "figures", "report", "all", "evaluate_T2"}
CORRUPTED = {"prepare_corrupted"}


def due(folder, study=STUDY):
    """Return the rules that a run would start."""
    return {job.partition(" ")[0] for job in planned(folder, study)}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A folder in which the study has been run."""
    folder = tmp_path_factory.mktemp("copies")
    for kind, name, names in (("cifar_c", "C", ["fog", "snow"]), ("mnist_c", "M", ["zigzag"])):
        write_copies(kind, folder / "raw" / name, names)
    done = run(folder, STUDY)
    assert done.returncode == 0, done.stdout
    return folder


@pytest.fixture
def again(finished, tmp_path):
    """Return a copy of it."""
    shutil.copytree(finished, tmp_path / "again", copy_function=shutil.copy2)
    return tmp_path / "again"


def changed(path, place=-1):
    """Change a byte of an array, at a place, and give the file a later time stamp."""
    array = np.load(path)
    array.reshape(-1)[place] ^= 1
    later = path.stat().st_mtime + 100
    np.save(path, array)
    os.utime(path, (later, later))


def test_every_corruption_is_recorded_and_drawn_with_the_mean(finished):
    records = pd.read_parquet(finished / "results/copies/metrics.parquet")
    shifted = records[records["split"].str.startswith("shift_")]
    assert set(shifted["t"]) == {2}, "the last stage alone"
    levels = [f"shift_cifar.{name}_{n}" for name in ("fog", "snow") for n in range(1, 6)]
    expected = {*levels, "shift_cifar.mean", "shift_mnist.zigzag_1", "shift_mnist.mean"}
    for _, of_method in shifted.groupby(["method", "replicate"]):
        assert set(of_method["split"]) == expected
    values = shifted[shifted["predictor"] == "predictive"].set_index(
        ["split", "method", "replicate", "metric"]
    )["value"]
    drawn = pd.read_csv(finished / "results/copies/figures/shifts.csv")
    assert set(drawn["shift"]) == {"cifar", "cifar.fog", "cifar.snow", "mnist", "mnist.zigzag"}
    rows = drawn[(drawn["shift"] == "cifar") & (drawn["metric"] == "nll") & (drawn["level"] == 3)]
    assert len(rows) == 4, "two methods of two replicates"
    for row in rows.itertuples():
        of_both = [
            values[f"shift_cifar.{name}_3", row.method, row.replicate, "nll"]
            for name in ("fog", "snow")
        ]
        assert row.value == pytest.approx(np.mean(of_both))


def test_what_was_run_is_fresh(finished):
    assert due(finished) == set()


def test_files_of_other_content_are_prepared_and_scored_anew(again):
    changed(again / "raw/C/snow.npy")
    assert due(again) == CORRUPTED | RULES
    before = pd.read_parquet(again / "results/copies/metrics.parquet")
    done = run(again, STUDY)
    assert done.returncode == 0, done.stdout
    after = pd.read_parquet(again / "results/copies/metrics.parquet")
    differ = before["split"][(before["value"] != after["value"]).to_numpy()]
    assert set(differ) <= {"shift_cifar.snow_5", "shift_cifar.mean"} and len(differ)
    assert due(again) == set()


def test_files_with_another_time_stamp_alone_are_not_scored_anew(again):
    path = again / "raw/C/snow.npy"
    later = path.stat().st_mtime + 100
    os.utime(path, (later, later))
    scores = again / "results/copies/digits/ft/T2/r0-1/t02/metrics.json"
    stamp = scores.stat().st_mtime_ns
    done = run(again, STUDY)
    assert done.returncode == 0, done.stdout
    assert scores.stat().st_mtime_ns == stamp and due(again) == set()


def test_other_levels_need_no_other_files(again):
    study = copy.deepcopy(STUDY)
    study["experiments"]["digits"]["shifts"]["cifar"]["levels"] = [1, 5]
    assert due(again, study) == RULES


def test_once_prepared_the_files_may_be_gone(again):
    shutil.rmtree(again / "raw")
    assert due(again) == set()
    study = copy.deepcopy(STUDY)
    study["experiments"]["digits"]["shifts"]["cifar"]["levels"] = [1]
    done = run(again, study)
    assert done.returncode == 0, done.stdout


def test_missing_files_end_in_one_line_before_anything_runs(finished, tmp_path):
    shutil.copytree(finished / "raw", tmp_path / "raw")
    (tmp_path / "raw/C/snow.npy").unlink()
    done = run(tmp_path, STUDY)
    assert done.returncode == 1
    said = "experiments.digits.shifts.cifar.source: raw/C lacks snow.npy; unpack the whole archive"
    assert done.stdout.splitlines()[-1].startswith(said)
    assert not (tmp_path / "results/copies").exists()


def test_copies_of_images_in_another_order_end_in_one_line_before_a_fit(finished, tmp_path):
    """As CIFAR-10 from image files is, which come class by class."""
    shutil.copytree(finished / "raw", tmp_path / "raw")
    labels = np.load(tmp_path / "raw/C/labels.npy")
    np.save(tmp_path / "raw/C/labels.npy", np.sort(labels.reshape(5, -1)).reshape(-1))
    done = run(tmp_path, STUDY, "--cores", "1")
    assert done.returncode == 1
    assert "raw/C/labels.npy: 1610 of 1800 labels are not those of the test images" in done.stdout
    assert not list(tmp_path.glob("results/copies/digits/f*/**/posterior.safetensors"))
    survived(
        "files of corrupted copies missing, or of test images in another order, in a study",
        2,
        "one line before anything is fitted",
    )
