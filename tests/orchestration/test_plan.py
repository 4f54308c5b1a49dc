"""What the rules ask of a study, without Snakemake: files, counts and digests."""

from pathlib import Path

import pytest
from small_study import SMALL
from stream_images import STATED, stream

from incbayes.orchestration.kind_modules import FITTING_JOBS, code_of_claims
from incbayes.orchestration.plan import Plan
from incbayes.orchestration.stream_plan import plan_streams
from incbayes.study.resolve import resolve_study

ROOT = Path(__file__).parents[2]


def plan(tmp_path, **experiments):
    """Return the plan of a study with these experiments, its streams in a folder."""
    described = {
        name: {"dataset": dataset, "model": "mlp", "methods": ["ffg"]} | parts
        for name, (dataset, parts) in experiments.items()
    }
    study = resolve_study(SMALL | {"experiments": described, "replicates": 2})
    return Plan(*plan_streams(study, tmp_path, Path("results/data"), Path("results/small")))


@pytest.fixture
def photos(tmp_path):
    stream(tmp_path, parts=2)
    return tmp_path


def test_an_experiment_that_is_called_stream_is_none(photos):
    found = plan(photos, stream=("digits", {"parts": [1, 2]}), photos=(STATED, {}))
    assert found.drift_files() == [
        f"results/small/photos/ffg/stream/r0-1/t0{t}/drift.json" for t in (1, 2)
    ]
    assert found.part_counts == [1, 2] and list(found.data_sets) == ["digits"]
    posteriors = found.posterior_files()
    assert "results/small/stream/ffg/T2/r0-1/t02/posterior.safetensors" in posteriors
    assert "results/small/photos/ffg/stream/r0-1/t02/posterior.safetensors" in posteriors
    assert len(posteriors) == 3 + 2


def test_a_study_without_streams_asks_for_nothing_of_one(tmp_path):
    found = plan(tmp_path, plain=("digits", {"parts": [3]}))
    assert found.drift_files() == [] and found.streams.settled == {}
    assert list(found.image_files("checksums.json")) == ["plain"]
    assert len(found.chain_files(f"{found.stage}/metrics.json")) == 3


def test_every_script_that_fits_or_scores_counts_for_whether_runs_can_be_compared():
    scripts = {path.stem for path in (ROOT / "workflow" / "scripts").glob("*.py")}
    assert set(FITTING_JOBS) <= scripts
    ours = {name for name in scripts if name.startswith(("fit", "evaluate"))}
    assert ours <= set(FITTING_JOBS)


def test_a_metric_that_no_job_scores_counts_for_the_claims_on_it_alone():
    digits = {"digits": {"dataset": "digits", "model": "mlp", "methods": ["ffg"], "parts": [2]}}
    group = {"experiment": "digits", "method": "ffg", "T": 2}
    relation = {"kind": "less", "by": 0.0, "reason": "any difference"}

    def code(metric):
        claim = {"sentence": "A sentence.", "metric": metric, "relation": relation}
        claims = {"one": claim | {"groups": [group, 0.5]}}
        return code_of_claims(resolve_study(SMALL | {"experiments": digits, "claims": claims}))

    assert set(code("accuracy")) == {"less"}
    assert set(code("cumulative_error")) == {"less", "cumulative_error"}
