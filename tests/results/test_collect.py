"""Collecting results: order, types, and errors that name the file."""

import json
from pathlib import Path

import pandas as pd
import pytest
from made_studies import Shape, made_frames
from sealing import seal_scores, seal_training

from incbayes.core.seal import SealError, write_seal
from incbayes.results.collect import (
    CollectError,
    collect_calibration,
    collect_records,
    collect_training,
    read_records,
    seal_records,
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


def seal_made(place: Path, records: list) -> None:
    """Seal the files of a stage, which says of itself what its first record does."""
    identity = {key: records[0][key] for key in (*STAGE, "family")}
    identity["replicates"] = [0, 1]
    seal_scores(place, identity, seal_training(place, identity, {}), records)


@pytest.fixture
def stages(tmp_path):
    """Write the made results of every stage as a run would; return the frames and the root."""
    frames = made_frames(SHAPE)
    for stage, rows in frames.training.groupby(STAGE):
        own = rows.drop(columns=STAGE).dropna(axis=1, how="all")
        own.to_csv(folder(tmp_path, stage) / "training.csv", index=False)
    for stage, rows in frames.calibration.groupby(STAGE):
        rows.to_csv(folder(tmp_path, stage) / "calibration.csv", index=False)
    for stage, rows in frames.records.groupby(STAGE):
        place, records = folder(tmp_path, stage), rows.to_dict("records")
        (place / "metrics.json").write_text(json.dumps(records))
        seal_made(place, records)
    return frames, tmp_path


def test_records_do_not_depend_on_the_order_of_files(stages):
    frames, root = stages
    paths = sorted(root.rglob("metrics.json"))
    records = collect_records(paths).frame
    pd.testing.assert_frame_equal(records, collect_records(reversed(paths)).frame)
    assert len(records) == len(frames.records)
    assert records["value"].sum() == pytest.approx(frames.records["value"].sum())
    assert records["T"].dtype == "int64" and records["value"].dtype == "float64"


def test_records_survive_their_files(stages, tmp_path):
    _, root = stages
    records = collect_records(root.rglob("metrics.json")).frame
    for name in ("a.parquet", "a.csv", "b.parquet", "b.csv"):
        write_records(records, tmp_path / name)
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
    for name in ("a.parquet", "a.csv"):
        pd.testing.assert_frame_equal(read_records(tmp_path / name), records)
    assert pd.read_csv(tmp_path / "a.csv")["value"].tolist() == records["value"].tolist()


def test_training_gets_its_stage_from_the_path(stages):
    frames, root = stages
    training = collect_training(root.rglob("training.csv")).frame
    assert set(training.columns) == set(frames.training.columns)
    assert training.loc[training["method"] == "m0", "kl"].isna().all()
    assert training.loc[training["method"] == "m1", "kl/conv1"].notna().all()
    by = [*STAGE, "replicate", "epoch"]
    expected = frames.training.sort_values(by, ignore_index=True)
    pd.testing.assert_frame_equal(training[expected.columns], expected, check_dtype=False)


def test_calibration_keeps_empty_bins(stages):
    frames, root = stages
    bins = collect_calibration(root.rglob("calibration.csv")).frame
    assert len(bins) == len(frames.calibration)
    assert bins.loc[bins["count"] == 0, "accuracy"].isna().all()


def test_nothing_collected_has_the_columns():
    assert "value" in collect_records([]).frame
    assert "elbo" in collect_training([]).frame
    assert "count" in collect_calibration([]).frame


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
    path = folder(tmp_path, ("s", "e", "m", 2, 1)) / "metrics.json"
    path.write_text(json.dumps([GOOD, GOOD | change]))
    seal_made(path.parent, [GOOD])
    with pytest.raises(CollectError) as error:
        collect_records([path])
    assert str(path) in str(error.value) and "record 1" in str(error.value)
    assert said in str(error.value)


@pytest.mark.parametrize("content", ["", "{", "{}", "[1]", '[{"study": "s"}]'])
def test_a_malformed_file_is_named(tmp_path, content):
    path = folder(tmp_path, ("s", "e", "m", 2, 1)) / "metrics.json"
    path.write_text(content)
    seal_made(path.parent, [GOOD])
    with pytest.raises((CollectError, SealError), match="metrics.json"):
        collect_records([path])


def test_two_values_for_one_thing_name_both_files(tmp_path):
    paths = []
    for root in ("a", "b"):
        path = folder(tmp_path / root, ("s", "e", "m", 2, 1)) / "metrics.json"
        path.write_text(json.dumps([GOOD, GOOD | {"replicate": 1}]))
        seal_made(path.parent, [GOOD])
        paths.append(path)
    with pytest.raises(CollectError, match="a/s/.*, .*b/s/.*: two values for study s"):
        collect_records(paths)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"study": "other"}, "study is 'other', and its seal says 's'"),
        ({"experiment": "other"}, "experiment is 'other'"),
        ({"method": "other"}, "method is 'other'"),
        ({"family": "cfg"}, "family is 'cfg'"),
        ({"T": 3}, "T is 3"),
        ({"t": 2}, "t is 2"),
        ({"replicate": -1}, r"replicates \[-1, 0\], and its seal names \[0, 1\]"),
        (None, r"replicates \[0\], and its seal names \[0, 1\]"),
    ],
)
def test_records_that_are_not_of_their_stage_are_refused(tmp_path, change, said):
    path = folder(tmp_path, ("s", "e", "m", 2, 1)) / "metrics.json"
    records = [GOOD] if change is None else [GOOD, GOOD | {"replicate": 1} | change]
    path.write_text(json.dumps(records))
    seal_made(path.parent, [GOOD])
    with pytest.raises(CollectError, match=said) as error:
        collect_records([path])
    assert str(path) in str(error.value)


@pytest.mark.parametrize(
    ("name", "collect"),
    [
        ("metrics.json", collect_records),
        ("training.csv", collect_training),
        ("calibration.csv", collect_calibration),
    ],
)
def test_a_file_that_is_edited_absent_or_of_another_stage_is_refused(stages, name, collect):
    _, root = stages
    first, second = sorted(root.rglob(name))[:2]
    content = first.read_text()
    assert "0" in content
    first.write_text(content.replace("0", "1", 1))
    with pytest.raises(SealError, match=f"{first}: its checksum is .* damaged or edited"):
        collect([first])
    first.unlink()
    with pytest.raises(SealError, match=f"{first}: no such file"):
        collect([first])
    for path in second.parent.iterdir():  # whole stages, each with its seals
        (first.parent / path.name).write_bytes(path.read_bytes())
    with pytest.raises(SealError, match="lies elsewhere: another run's"):
        collect([first])


def test_frames_of_other_posteriors_than_the_records_are_refused(stages, tmp_path):
    _, root = stages
    records = collect_records(root.rglob("metrics.json"))
    write_records(records.frame, tmp_path / "metrics.csv")
    seal = seal_records(tmp_path / "metrics.seal.json", "s", records, [tmp_path / "metrics.csv"])
    training = collect_training(root.rglob("training.csv"))
    training.check_posteriors(seal)
    refit = sorted(root.rglob("training.csv"))[0].parent
    identity = training.seals[sorted(training.seals)[0]].identity
    write_seal(refit / "posterior.seal.json", "posterior", identity, [refit / "training.csv"])
    with pytest.raises(SealError, match="its records of .* are not of the posterior"):
        collect_training(root.rglob("training.csv")).check_posteriors(seal)


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
    seal_made(path.parent, [GOOD])
    with pytest.raises(CollectError) as error:
        collect_training([path])
    assert str(path) in str(error.value) and said in str(error.value)
