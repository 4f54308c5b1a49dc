"""Corrupted copies in files through the real workflow: scored, drawn, and made anew by content."""

import copy
import shutil

import numpy as np
import pandas as pd
import pytest
from corrupted_files import write_copies
from fault_table import survived
from running import TINY, planned, run

from incbayes.orchestration.plan import Plan
from incbayes.study.resolve import resolve_study

STUDY = copy.deepcopy(TINY) | {"study": "copies", "data_root": "raw", "claims": {}}
STUDY["experiments"]["digits"] |= {
    "parts": [2],
    "shifts": {
        "cifar": {"kind": "cifar_c", "source": "C", "names": ["fog", "snow"]},
        "mnist": {"kind": "mnist_c", "source": "M", "names": ["zigzag"]},
    },
}
SCORED = {"evaluate_T2", "collect", "figures", "report", "all"}
MOVED = {"report", "all"}
"""What may be due in a copied folder, as the command differs."""


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
    path = again / "raw/C/snow.npy"
    images = np.load(path)
    images[-360:] = 255 - images[-360:]  # at the last strength
    np.save(path, images)
    assert due(again) == {"prepare_corrupted", *SCORED}
    before = pd.read_parquet(again / "results/copies/metrics.parquet")
    done = run(again, STUDY)
    assert done.returncode == 0, done.stdout
    after = pd.read_parquet(again / "results/copies/metrics.parquet")
    differ = before["split"][(before["value"] != after["value"]).to_numpy()]
    assert set(differ) == {"shift_cifar.snow_5", "shift_cifar.mean"}
    assert due(again) == set()


def test_files_with_another_time_stamp_alone_are_not_prepared_anew(again):
    (again / "raw/C/snow.npy").touch()
    assert due(again) <= MOVED


def test_other_levels_need_no_other_files(again):
    study = copy.deepcopy(STUDY)
    study["experiments"]["digits"]["shifts"]["cifar"]["levels"] = [1, 5]
    assert due(again, study) == SCORED


def test_once_prepared_the_files_may_be_gone(again):
    shutil.rmtree(again / "raw")
    assert due(again) <= MOVED
    study = copy.deepcopy(STUDY)
    study["experiments"]["digits"]["shifts"]["cifar"]["levels"] = [1, 5]
    assert due(again, study) == SCORED


def test_missing_files_end_in_one_line_before_anything_runs(finished, tmp_path):
    shutil.copytree(finished / "raw", tmp_path / "raw")
    (tmp_path / "raw/C/snow.npy").unlink()
    done = run(tmp_path, STUDY)
    assert done.returncode == 1
    said = "experiments.digits.shifts.cifar.source: raw/C lacks snow.npy; unpack the whole archive"
    assert done.stdout.splitlines()[-1].startswith(said)
    assert not (tmp_path / "results/copies").exists()


def test_copies_of_images_in_another_order_end_in_one_line(finished, tmp_path):
    """As CIFAR-10 from image files is, which come class by class."""
    shutil.copytree(finished / "raw", tmp_path / "raw")
    labels = np.load(tmp_path / "raw/C/labels.npy")
    np.save(tmp_path / "raw/C/labels.npy", np.sort(labels.reshape(5, -1)).reshape(-1))
    name = next(name for name in Plan(resolve_study(STUDY)).corrupted if name.startswith("c_"))
    done = run(tmp_path, STUDY, "--", f"results/data/{name}/test.npy")
    assert done.returncode == 1
    said = f"data {name}: error: raw/C/labels.npy: 1605 of 1800 labels are not those of the test "
    assert [line for line in done.stdout.splitlines() if line.startswith(said)]
    assert not list((tmp_path / "results/data" / name).glob("*"))
    survived(
        "files of corrupted copies missing, or of test images in another order, in a study",
        2,
        "one line, the former before anything runs, the latter before anything is scored",
    )
