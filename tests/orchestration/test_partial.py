"""A report on the chains that are done, which names those that are not."""

import copy
import json

import pandas as pd
import pytest
from running import TINY, run

from incbayes.orchestration.partial import NOT_RUN, of_done_chains, unfinished_chains
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


def score(results, method):
    """Make the seal of a chain's scores, as if it had been scored."""
    stage = results / f"digits/{method}/T1/r0-1/t01"
    stage.mkdir(parents=True)
    (stage / "metrics.seal.json").write_text("{}")


def test_chains_are_done_once_every_stage_is_scored(tmp_path):
    study = resolve_study(STUDY)
    with pytest.raises(StudyError, match="partial: no chain has all of its scores"):
        of_done_chains(study, tmp_path)
    score(tmp_path, "ft")
    assert of_done_chains(study, tmp_path).only == ("digits.ft",)
    log = tmp_path / "logs/fit/digits/wild/T1/r0-1/t01.log"
    log.parent.mkdir(parents=True)
    log.write_text("10:00:00 a stage: started\n10:00:01 error: it diverged\n")
    causes = {chain.name: chain.cause for chain in unfinished_chains(study, tmp_path)}
    assert causes == {"digits.ffg.T1": NOT_RUN, "digits.wild.T1": "it diverged"}
    score(tmp_path, "ffg")
    score(tmp_path, "wild")
    assert of_done_chains(study, tmp_path).only is None
    assert unfinished_chains(study, tmp_path) == []


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
