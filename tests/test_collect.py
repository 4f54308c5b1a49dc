"""Collecting results: order, types, and errors that name the file."""

import json
from pathlib import Path

import pandas as pd
import pytest
from made_studies import Shape, made_frames

from incbayes.collect import (
    CollectError,
    collect_calibration,
    collect_records,
    collect_training,
    read_records,
    stage_of,
    write_records,
)

SHAPE = Shape(methods=2, experiments=1, parts=(1, 2), replicates=2, layers=2)
STAGE = ["study", "experiment", "method", "T", "t"]


def folder(root: Path, stage: tuple) -> Path:
    """Return the folder of a stage, as in the layout of results."""
    study, experiment, method, parts, t = stage
    path = root / study / experiment / method / f"T{parts}" / "r0-1" / f"t{t:02d}"
    path.mkdir(parents=True, exist_ok=True)
    return path


@pytest.fixture
def stages(tmp_path):
    """Write the made results of every stage as a run would; return the frames and the root."""
    frames = made_frames(SHAPE)
    for stage, rows in frames.records.groupby(STAGE):
        path = folder(tmp_path, stage) / "metrics.json"
        path.write_text(json.dumps(rows.to_dict("records")))
    for stage, rows in frames.training.groupby(STAGE):
        own = rows.drop(columns=STAGE).dropna(axis=1, how="all")
        own.to_csv(folder(tmp_path, stage) / "training.csv", index=False)
    for stage, rows in frames.calibration.groupby(STAGE):
        rows.to_csv(folder(tmp_path, stage) / "calibration.csv", index=False)
    return frames, tmp_path


def test_records_do_not_depend_on_the_order_of_files(stages):
    frames, root = stages
    paths = sorted(root.rglob("metrics.json"))
    records = collect_records(paths)
    pd.testing.assert_frame_equal(records, collect_records(reversed(paths)))
    assert len(records) == len(frames.records)
    assert records["value"].sum() == pytest.approx(frames.records["value"].sum())
    assert records["T"].dtype == "int64" and records["value"].dtype == "float64"


def test_records_survive_their_files(stages, tmp_path):
    _, root = stages
    records = collect_records(root.rglob("metrics.json"))
    for name in ("a.parquet", "a.csv", "b.parquet", "b.csv"):
        write_records(records, tmp_path / name)
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
    for name in ("a.parquet", "a.csv"):
        pd.testing.assert_frame_equal(read_records(tmp_path / name), records)
    assert pd.read_csv(tmp_path / "a.csv")["value"].tolist() == records["value"].tolist()


def test_training_gets_its_stage_from_the_path(stages):
    frames, root = stages
    training = collect_training(root.rglob("training.csv"))
    assert set(training.columns) == set(frames.training.columns)
    assert training.loc[training["method"] == "m0", "kl"].isna().all()
    assert training.loc[training["method"] == "m1", "kl/conv1"].notna().all()
    by = [*STAGE, "replicate", "epoch"]
    expected = frames.training.sort_values(by, ignore_index=True)
    pd.testing.assert_frame_equal(training[expected.columns], expected, check_dtype=False)


def test_calibration_keeps_empty_bins(stages):
    frames, root = stages
    bins = collect_calibration(root.rglob("calibration.csv"))
    assert len(bins) == len(frames.calibration)
    assert bins.loc[bins["count"] == 0, "accuracy"].isna().all()


def test_nothing_collected_has_the_columns():
    assert "value" in collect_records([])
    assert "elbo" in collect_training([])
    assert "count" in collect_calibration([])


GOOD = {
    "study": "s", "experiment": "e", "method": "m", "family": "ffg", "T": 2, "t": 1,
    "replicate": 0, "split": "test", "predictor": "predictive", "metric": "accuracy",
    "value": 0.5, "budget": "full",
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"value": "0.5"}, "value is '0.5', expected float"),
        ({"value": True}, "value is True"),
        ({"value": float("nan")}, "value of accuracy is nan"),
        ({"value": 98.1}, "value of accuracy is 98.1, expected 0 to 1"),
        ({"T": 2.0}, "T is 2.0, expected int"),
        ({"t": 3}, "t is 3, expected 1 to T = 2"),
        ({"predictor": "median"}, "predictor is 'median'"),
        ({"fold": 1}, "unknown keys ['fold']"),
    ],
)
def test_a_malformed_record_is_named(tmp_path, change, said):
    path = tmp_path / "metrics.json"
    path.write_text(json.dumps([GOOD, GOOD | change]))
    with pytest.raises(CollectError) as error:
        collect_records([path])
    assert str(path) in str(error.value) and "record 1" in str(error.value)
    assert said in str(error.value)


@pytest.mark.parametrize("content", ["", "{", "{}", "[1]", '[{"study": "s"}]'])
def test_a_malformed_file_is_named(tmp_path, content):
    path = tmp_path / "metrics.json"
    path.write_text(content)
    with pytest.raises(CollectError, match="metrics.json"):
        collect_records([path])


def test_two_values_for_one_thing_name_both_files(tmp_path):
    paths = [tmp_path / "a.json", tmp_path / "b.json"]
    for path in paths:
        path.write_text(json.dumps([GOOD]))
    with pytest.raises(CollectError, match="a.json, .*b.json: two values for study s"):
        collect_records(paths)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("replicate,epoch,images,elbo\n0,1,9,-3\n", "missing columns ['nll']"),
        ("replicate,epoch,images,elbo,nll,colour\n0,1,9,-3,1,2\n", "unknown columns ['colour']"),
        ("replicate,epoch,images,elbo,nll\n0,1,9,low,1\n", "column elbo"),
        ("replicate,epoch,images,elbo,nll\n0,1.5,9,-3,1\n", "column epoch"),
        ("replicate,epoch,images,elbo,nll\n0,1,9,-inf,1\n", "not finite"),
        ("replicate,epoch,images,elbo,nll\n0,1,9,,1\n", "not finite"),
        ("replicate,epoch,images,elbo,nll\n", "no epoch"),
        ("", "cannot be read as CSV"),
    ],
)
def test_a_malformed_training_file_is_named(tmp_path, content, said):
    path = folder(tmp_path, ("s", "e", "m", 2, 1)) / "training.csv"
    path.write_text(content)
    with pytest.raises(CollectError) as error:
        collect_training([path])
    assert str(path) in str(error.value) and said in str(error.value)


def test_stage_of_a_path():
    path = Path("results/s-quick/e/m/T10/r0-4/t03/posterior.safetensors")
    assert stage_of(path) == {
        "study": "s-quick", "experiment": "e", "method": "m", "T": 10, "block": "r0-4", "t": 3,
    }  # fmt: skip
    with pytest.raises(CollectError, match="expected"):
        stage_of(Path("results/s/e/pretrain/r0-4/posterior.safetensors"))
