"""A report on the chains that are done, which names those that are not."""

import copy
import json

import pandas as pd
import pytest
from running import TINY, run
from stream_images import STATED, stream

from incbayes.orchestration.partial import NOT_RUN, of_done_chains, unfinished_chains
from incbayes.orchestration.stream import streams_of
from incbayes.study.resolve import resolve_study
from incbayes.study.yaml import StudyError

STUDY = copy.deepcopy(TINY) | {"study": "halfway"}
STUDY["methods"]["wild"] = {
    "family": "ffg",
    "training": {"learning_rate": 100, "log_sigma_rate": 1e6},
}
STUDY["experiments"]["digits"] |= {"methods": ["ft", "ffg", "wild"], "parts": [1]}
STUDY["claims"] = {
    "alike": STUDY["claims"]["alike"]
    | {
        "groups": [
            {"experiment": "digits", "method": "ffg", "T": 1},
            {"experiment": "digits", "method": "wild", "T": 1},
        ]
    }
}


def score(results, method, place="T1", t=1, experiment="digits"):
    """Make the seal of the scores of a stage, as if it had been scored."""
    stage = results / f"{experiment}/{method}/{place}/r0-1/t{t:02d}"
    stage.mkdir(parents=True)
    (stage / "metrics.seal.json").write_text("{}")


def test_chains_are_done_once_every_stage_is_scored(tmp_path):
    study = resolve_study(STUDY)
    with pytest.raises(StudyError, match="partial: no chain has all of its scores"):
        of_done_chains(study, tmp_path, {})
    score(tmp_path, "ft")
    assert of_done_chains(study, tmp_path, {}).only == ("digits.ft",)
    log = tmp_path / "logs/fit/digits/wild/T1/r0-1/t01.log"
    log.parent.mkdir(parents=True)
    log.write_text("10:00:00 a stage: started\n10:00:01 error: it diverged\n")
    causes = {chain.name: chain.cause for chain in unfinished_chains(study, tmp_path, {})}
    assert causes == {"digits.ffg.T1": NOT_RUN, "digits.wild.T1": "it diverged"}
    score(tmp_path, "ffg")
    score(tmp_path, "wild")
    assert of_done_chains(study, tmp_path, {}).only is None
    assert unfinished_chains(study, tmp_path, {}) == []


def test_a_stream_is_done_once_the_stage_of_every_part_that_arrived_is_scored(tmp_path):
    described = {"dataset": STATED, "model": "mlp", "methods": ["ft", "ffg"]}
    changed = copy.deepcopy(STUDY) | {"claims": {}}
    changed["experiments"]["photos"] = described
    study, results = resolve_study(changed), tmp_path / "results" / "halfway"
    stream(tmp_path, parts=2)
    streams = streams_of(study, tmp_path, tmp_path / "results" / "data", results)
    score(results, "ft", "stream", 1, "photos")
    score(results, "ffg", "stream", 1, "photos")
    score(results, "ffg", "stream", 2, "photos")
    assert of_done_chains(study, results, streams).only == ("photos.ffg",)
    for log, error in (
        (results / "logs/fit/photos/ft/stream/r0-1/t02.log", "it diverged"),
        (results / "logs/evaluate/photos/ft.stream.r0-1.t02.log", "no scores"),
    ):
        causes = {of.name: of.cause for of in unfinished_chains(study, results, streams)}
        assert causes["photos.ft"] != error and "photos.ffg" not in causes
        log.parent.mkdir(parents=True)
        log.write_text(f"10:00:00 a stage: started\n10:00:01 error: {error}\n")
        causes = {of.name: of.cause for of in unfinished_chains(study, results, streams)}
        assert causes["photos.ft"] == error
    score(results, "ft", "stream", 2, "photos")
    assert of_done_chains(study, results, streams).only == ("photos",)


def test_the_cause_is_that_of_the_part_which_could_not_be_prepared(tmp_path):
    study = resolve_study(
        STUDY | {"claims": {}, "experiments": {"photos": {"dataset": STATED, "model": "mlp"}}}
    )
    stream(tmp_path, parts=1)
    results = tmp_path / "results" / "halfway"
    streams = streams_of(study, tmp_path, tmp_path / "results" / "data", results)
    log = tmp_path / "results/data/logs" / streams["photos"].prepared.name / "p1.log"
    log.parent.mkdir(parents=True)
    log.write_text("10:00:01 error: it holds no image\n")
    assert {of.cause for of in unfinished_chains(study, results, streams)} == {"it holds no image"}


def test_two_bad_jobs_do_not_cost_the_report(tmp_path):
    failed = run(tmp_path, STUDY)
    assert failed.returncode != 0 and "--config partial=true" in failed.stdout
    assert not (tmp_path / "results/halfway/report.html").exists()
    done = run(tmp_path, STUDY, "--config", "partial=true")
    assert done.returncode == 0, done.stdout
    assert "Rule: fit" not in done.stdout and "Rule: evaluate" not in done.stdout
    page = (tmp_path / "results/halfway/report.html").read_text(encoding="utf-8")
    assert "Partial report." in page and "<code>digits.wild.T1</code>: replicate" in page
    records = pd.read_parquet(tmp_path / "results/halfway/metrics.parquet")
    assert set(records["method"]) == {"ft", "ffg"}
    (entry,) = json.loads((tmp_path / "results/halfway/claims.json").read_text())
    assert entry["verdict"] == "not run"
