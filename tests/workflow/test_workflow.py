"""The whole chain through Snakemake, and what it does again when something changes."""

import copy
import json
import os
import re
import shlex
import shutil
import signal
import time
from pathlib import Path

import pandas as pd
import pytest
import yaml
from running import TINY, Run, planned, run

from incbayes.core.files import sha256_file
from incbayes.core.seal import write_seal
from incbayes.posterior.file import read_posterior, verify_chain
from incbayes.publication.publish import SEAL as PUBLISHED_SEAL

METHODS = ("ft", "ffg")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A folder in which the tiny study has been run."""
    folder = tmp_path_factory.mktemp("a study") / "with ümlaut"
    folder.mkdir()
    done = run(folder, TINY)
    assert done.returncode == 0, done.stdout
    assert "left" in done.stdout and "100%" in done.stdout
    return folder


def changed(**keys):
    """Return the tiny study with keys replaced; `__` in a name descends into a mapping."""
    study = copy.deepcopy(TINY)
    for path, value in keys.items():
        *parents, last = path.split("__")
        place = study
        for parent in parents:
            place = place.setdefault(parent, {})
        place[last] = value
    return study


def test_every_artifact_is_there_and_chained(finished):
    chain = finished / "results/tiny/digits/ffg/T2/r0-1"
    paths = [chain / f"t0{t}/posterior.safetensors" for t in (1, 2)]
    posteriors = [read_posterior(path) for path in paths]
    verify_chain(paths, posteriors)
    assert posteriors[1].metadata["parent"] == sha256_file(paths[0])
    assert posteriors[1].metadata["replicates"] == [0, 1]
    for name in ("training.csv", "run.json", "metrics.json", "calibration.csv", "evidence.parquet"):
        assert (chain / "t02" / name).stat().st_size > 0
    assert not list(finished.rglob("*.partial")) and not list(finished.rglob(".checkpoint*"))


def test_records_cover_every_stage_split_and_predictor(finished):
    records = pd.read_parquet(finished / "results/tiny/metrics.parquet")
    assert records.equals(records.drop_duplicates())
    selective = {"aurc", *(f"accuracy_at_{share}" for share in (50, 60, 70, 80, 90))}
    uncertain = {"entropy", "mutual_information"}
    assert set(records.metric) == {"accuracy", "nll", "brier", "ece"} | selective | uncertain
    last = records.query("method == 'ffg' and T == 2 and t == 2 and metric == 'nll'")
    assert set(last.split) == {"test", "part_01", "part_02"}
    assert set(last.predictor) == {"predictive", "mean"}
    assert set(records.query("method == 'ft'").predictor) == {"predictive"}
    assert sorted(records.replicate.unique()) == [0, 1]
    csv = pd.read_csv(finished / "results/tiny/metrics.csv")
    pd.testing.assert_frame_equal(csv, records, check_dtype=False)


def test_replicates_differ_and_volatile_things_stay_out_of_artifacts(finished):
    chain = finished / "results/tiny/digits/ffg/T1/r0-1/t01"
    states = read_posterior(chain / "posterior.safetensors").states
    assert not (states[0]["1"]["weight_mean"] == states[1]["1"]["weight_mean"]).all()
    described = (chain / "run.json").read_text()
    for volatile in ("host", "seconds", "cpu_seconds", "started", "device"):
        assert volatile in json.loads(described)["facts"]
        assert f'"{volatile}"'.encode() not in (chain / "posterior.safetensors").read_bytes()


def test_the_ledger_is_that_of_the_records(finished):
    results = finished / "results/tiny"
    (entry,) = json.loads((results / "claims.json").read_text())
    records = pd.read_parquet(results / "metrics.parquet").query(
        "metric == 'accuracy' and T == 2 and t == 2 and split == 'test' "
        "and predictor == 'predictive'"
    )
    ft, ffg = (records.query("method == @name").set_index("replicate")["value"] for name in METHODS)
    evidence = entry["comparisons"][0]["evidence"]
    assert evidence["n"] == 2
    assert evidence["effect"] == pytest.approx((ffg - ft).mean(), abs=1e-12)
    assert (entry["claim"], entry["budget"], entry["reduced"]) == ("alike", "full", False)
    assert pd.read_csv(results / "claims.csv")["verdict"].tolist() == [entry["verdict"]]
    assert 'id="claim-alike"' in (results / "report.html").read_text(encoding="utf-8")


def test_a_changed_claim_is_judged_again_and_nothing_else_is_done(finished):
    jobs = planned(finished, changed(claims__alike__level=0.1))
    assert jobs == {"all", "claims", "report"}
    assert planned(finished, changed(claims={})) == {"all", "report"}


def test_a_rerun_with_nothing_changed_does_nothing(finished):
    assert planned(finished, TINY) == set()


def test_numbers_within_a_mapping_of_the_command_line_are_numbers(finished):
    again = planned(finished, TINY, "--config", "training={epochs: 2}")
    assert again == {"all", "report"}, "the report says with which command it was made"
    jobs = planned(finished, TINY, "--config", "evaluation={samples: 4}", "replicates=2")
    assert any(job.startswith("evaluate") for job in jobs)
    assert not any(job.startswith("fit") for job in jobs)


def test_a_changed_method_refits_that_method_alone(finished):
    jobs = planned(finished, changed(methods__ffg__training={"learning_rate": 2e-3}))
    touched = {job for job in jobs if "method=" in job}
    assert {job for job in touched if job.startswith("fit")} == {
        f"fit experiment=digits, method=ffg, T={T}, block=r0-1, t=0{t}"
        for T, t in [(1, 1), (2, 1), (2, 2)]
    }
    assert all("method=ffg" in job for job in touched)
    assert not any(job.startswith(("partition", "prepare")) for job in jobs)
    assert {"collect", "report"} <= jobs


@pytest.mark.parametrize("of", ["replicates", "experiments__digits__replicates"])
def test_a_new_block_of_seeds_adds_only_itself(of, finished):
    jobs = planned(finished, changed(**{of: 4}))
    assert all("block=r2-3" in job for job in jobs if "block=" in job)
    assert sum(job.startswith("fit") for job in jobs) == 6


def test_where_and_how_scores_are_made_refits_nothing(finished):
    assert planned(finished, changed(machine__checkpoint_seconds=5)) == set()
    jobs = planned(finished, changed(evaluation__samples=4))
    assert jobs and not any(job.startswith(("fit", "partition", "prepare")) for job in jobs)


def test_a_new_method_changes_no_other_result(finished):
    study = changed(methods__ffg_one={"family": {"kind": "ffg", "estimator": "weight"}})
    study["experiments"]["digits"]["methods"] = ["ft", "ffg", "ffg_one"]
    jobs = planned(finished, study)
    assert {job for job in jobs if "method=" in job and "method=ffg_one" not in job} == set()


def test_experiments_that_are_not_chosen_are_not_run_nor_are_claims_on_them(finished):
    study = changed(only=["digits"])
    study["experiments"]["others"] = study["experiments"]["digits"]
    groups = [{"experiment": "others", "method": method, "T": 2} for method in METHODS]
    study["claims"]["elsewhere"] = study["claims"]["alike"] | {"groups": groups}
    assert planned(finished, study) == {"all", "claims", "report"}
    elsewhere = finished.with_name("elsewhere")
    shutil.copytree(finished / "results", elsewhere / "results")
    done = run(elsewhere, study, "--rerun-triggers", "mtime", "--forcerun", "claims")
    assert done.returncode == 0, done.stdout
    verdicts = pd.read_csv(elsewhere / "results/tiny/claims.csv").set_index("claim")["verdict"]
    assert verdicts["elsewhere"] == "not run" != verdicts["alike"]
    page = (elsewhere / "results/tiny/report.html").read_text(encoding="utf-8")
    assert 'id="claim-elsewhere"' in page


def test_a_chain_can_be_run_alone(finished, tmp_path):
    jobs = planned(tmp_path, changed(only=["digits.ffg.T2"]))
    assert {job for job in jobs if "T" in job} == {
        "partition experiment=digits, T=2, block=r0-1",
        "fit experiment=digits, method=ffg, T=2, block=r0-1, t=01",
        "fit experiment=digits, method=ffg, T=2, block=r0-1, t=02",
        "evaluate_T2 experiment=digits, method=ffg, block=r0-1",
    }
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(finished / "results", elsewhere / "results")
    study = changed(only=["digits.ffg"])
    done = run(elsewhere, study, "--rerun-triggers", "input", "--forcerun", "collect", "report")
    assert done.returncode == 0, done.stdout
    claims = pd.read_csv(elsewhere / "results/tiny/claims.csv").set_index("claim")
    assert claims.loc["alike", "verdict"] == "not run"
    assert "no accuracy of digits" in claims.loc["alike", "reason"]
    page = (elsewhere / "results/tiny/report.html").read_text(encoding="utf-8")
    assert "<dt>Not run</dt><dd>ft</dd>" in page


def test_what_is_published_is_complete_and_without_posteriors(finished):
    chosen = ["machine={checkpoint_seconds: 61}", "only=[digits]"]
    done = run(finished, TINY, "publish", "--config", *chosen)
    assert done.returncode == 0, done.stdout
    published, results = finished / "results/published/tiny", finished / "results/tiny"
    shown = {path.relative_to(published) for path in published.rglob("*") if path.is_file()}
    figures = {path.relative_to(results) for path in (results / "figures").glob("*.[sc][vs][gv]")}
    records = {"provenance.json", "metrics.csv", "claims.json", "claims.csv"}
    pages = ("report.html", "study.yaml", "README.md", "convergence.csv")
    frames = ("training.parquet", "calibration.parquet", "publication.seal.json")
    described = ("ro-crate-metadata.json", "workflow/Snakefile", "data/digits.croissant.json")
    evidence = {
        Path("evidence", f"{'.'.join(path.relative_to(results).parts[:4])}.parquet"): path
        for path in (results / "digits").rglob("evidence.parquet")
    }
    assert evidence
    written = set(map(Path, (*pages, *frames, *described))) | set(evidence)
    assert shown == figures | set(map(Path, records)) | written
    for path in shown - written:
        assert (published / path).read_bytes() == (results / path).read_bytes()
    for path, made in evidence.items():
        assert (published / path).read_bytes() == made.read_bytes()
    provenance = json.loads((published / "provenance.json").read_text())
    (run_of_stage,) = (
        made
        for made in provenance["runs"]
        if (made["method"], made["T"], made["t"]) == ("ffg", 2, 2)
    )
    posterior = results / "digits/ffg/T2/r0-1/t02/posterior.safetensors"
    assert run_of_stage["sha256"] == sha256_file(posterior)
    assert yaml.safe_load((published / "study.yaml").read_text())["study"] == "tiny"
    page = (published / "README.md").read_text(encoding="utf-8")
    assert TINY["claims"]["alike"]["sentence"] in page
    command = shlex.split(re.search(r"```\n(snakemake .*)\n```", page)[1])
    options = [yaml.safe_load(option.replace("=", ": ", 1)) for option in command if "=" in option]
    assert options == [{"machine": {"checkpoint_seconds": 61.0}}, {"only": ["digits"]}]
    report = (published / "report.html").read_text(encoding="utf-8")
    for link in re.findall(r"\]\((.+?)\)", page) + re.findall(r'href="(figures/.+?)"', report):
        assert (published / link).is_file(), link


def test_what_is_run_later_is_published_beside_what_was_before(finished, tmp_path):
    shutil.copytree(finished / "results", tmp_path / "results")
    shutil.rmtree(tmp_path / "results/published", ignore_errors=True)
    for only in ("digits.ft", "digits.ffg"):
        again = ["--rerun-triggers", "mtime", "--forcerun", "collect", "report"]
        options = ["publish", *again, "--config", f"only=[{only}]"]
        done = run(tmp_path, TINY, *options)
        assert done.returncode == 0, done.stdout
    both = tmp_path / "results/published/tiny"
    records = pd.read_csv(both / "metrics.csv")
    pd.testing.assert_frame_equal(records, pd.read_csv(finished / "results/tiny/metrics.csv"))
    claims, whole = (
        json.loads((folder / "claims.json").read_text())
        for folder in (both, finished / "results/tiny")
    )
    assert claims == whole
    log = (tmp_path / "results/tiny/logs/publish.log").read_text()
    assert "published: digits.ffg.T1, digits.ffg.T2" in log
    assert "shown beside them: digits.ft.T1, digits.ft.T2" in log
    done = run(tmp_path, changed(methods__ft__training={"learning_rate": 0.5}), *options)
    assert done.returncode != 0
    setting = "digits.ft.T1 was published with training.learning_rate 0.001"
    assert f"{setting}, and the study has 0.5" in done.stdout
    assert not re.search(r"^rule ", done.stdout, flags=re.MULTILINE), "before anything is run"


def test_replicates_by_other_code_are_published_where_that_is_said(finished, tmp_path):
    shutil.copytree(finished / "results", tmp_path / "results")
    both = tmp_path / "results/published/tiny"
    if not both.exists():
        assert run(tmp_path, TINY, "publish", "--config", "only=[digits]").returncode == 0
    provenance = json.loads((both / "provenance.json").read_text())
    for source in provenance["sources"]:
        source["code_digest"] = 64 * "0"
    (both / "provenance.json").write_text(json.dumps(provenance))
    seal = json.loads((both / PUBLISHED_SEAL).read_text())
    files = [both / name for name in seal["files"]]
    write_seal(both / PUBLISHED_SEAL, "publication", seal["identity"], files, facts=seal["facts"])
    more = ["publish", "--config", "only=[digits.ft.T1]", "first_replicate=2", "replicates=1"]
    refused = run(tmp_path, TINY, *more)
    assert refused.returncode != 0 and "was published by code 0000000000000000" in refused.stdout
    assert not re.search(r"^rule ", refused.stdout, flags=re.MULTILINE), "before anything is run"
    done = run(tmp_path, TINY, *more, "other_code=true")
    assert done.returncode == 0, done.stdout
    records = pd.read_csv(both / "metrics.csv").query("method == 'ft' and T == 1")
    assert sorted(records["replicate"].unique()) == [0, 1, 2]
    page = (both / "README.md").read_text(encoding="utf-8")
    assert page.count("```\nsnakemake ") == 2, "each command with its code"


def test_what_is_published_is_published_anew_under_other_claims(finished, tmp_path):
    done = run(tmp_path, TINY, "republish")
    assert done.returncode != 0 and "results/published/tiny: nothing is published" in done.stdout
    options = ["--rerun-triggers", "mtime", "--config", "only=[digits]"]
    shutil.copytree(finished / "results", tmp_path / "results", dirs_exist_ok=True)
    assert run(tmp_path, TINY, "publish", *options).returncode == 0
    shutil.rmtree(tmp_path / "results/tiny")
    shutil.rmtree(tmp_path / "results/data")
    sentence = "In other words."
    done = run(tmp_path, changed(claims__alike__sentence=sentence), "republish")
    assert done.returncode == 0, done.stdout
    assert re.findall(r"\(Rule: (\w+)\)", done.stdout) == ["republish"]
    page = (tmp_path / "results/published/tiny/README.md").read_text(encoding="utf-8")
    assert sentence in page and TINY["claims"]["alike"]["sentence"] not in page


def test_equal_data_prepared_again_refit_nothing(finished, tmp_path):
    for name in ("train.safetensors", "test.safetensors", "checksums.json"):
        os.utime(finished / "results/data/digits" / name)
    assert not any(job.startswith("fit") for job in planned(finished, TINY))


def test_killed_in_the_middle_of_a_stage_it_goes_on_to_the_same_bits(finished, tmp_path):
    study = changed(training__epochs=60, machine__checkpoint_seconds=0.1, study="killed")
    stage = "results/killed/digits/ffg/T1/r0-1/t01"
    target = f"{stage}/posterior.safetensors"
    shutil.copytree(finished / "results/data", tmp_path / "killed/results/data")
    folder = tmp_path / "killed"
    started = Run(folder, study, "--", target)
    checkpoint = folder / stage / ".checkpoint.safetensors"
    while not checkpoint.exists() and started.poll() is None:
        time.sleep(0.02)
    assert started.poll() is None, started.text
    os.killpg(started.pid, signal.SIGKILL)
    started.wait()
    assert checkpoint.exists() and not Path(folder, target).exists()
    assert run(folder, study, "--unlock").returncode == 0
    again = run(folder, study, "--", target)
    assert again.returncode == 0, again.stdout
    shutil.copytree(finished / "results/data", tmp_path / "whole/results/data")
    whole = run(tmp_path / "whole", study, "--", target)
    assert whole.returncode == 0, whole.stdout
    assert sha256_file(folder / target) == sha256_file(tmp_path / "whole" / target)
    assert not checkpoint.exists()


def test_priors_made_from_a_source_task_run_through_the_workflow(finished, tmp_path):
    methods = {
        "pretrained": {"family": "point", "prior": "pretrained"},
        "laplace": {"family": "ffg", "prior": {"kind": "laplace", "fisher": "empirical"}},
        "grid": {"family": "ffg", "prior": {"kind": "grid", "variances": [0.01, 0.1]}},
        "transfer": {
            "family": {"kind": "ffg", "initialisation": "wohlert2017"},
            "prior": "transfer",
            "objective": {"complexity": "monte_carlo", "draws": 2, "beta": "geometric"},
        },
    }
    halves = TINY["experiments"]["digits"] | {
        "parts": [1],
        "partition": {"source_classes": 5},
        "pretrain": {},
        "methods": list(methods),
    }
    study = changed(study="halves", methods=methods, experiments={"halves": halves}, claims={})
    folder = tmp_path / "halves"
    shutil.copytree(finished / "results/data", folder / "results/data")
    done = run(folder, study)
    assert done.returncode == 0, done.stdout
    results = folder / "results/halves/halves"
    prior = read_posterior(results / "pretrain/r0-1/posterior.safetensors").metadata
    fitted = read_posterior(results / "laplace/T1/r0-1/t01/posterior.safetensors").metadata
    for replicate in ("0", "1"):
        source, target = prior["classes"][replicate], fitted["classes"][replicate]
        assert sorted(source + target) == list(range(10))
    for method in methods:  # scaled alike, by the source task's images
        stage = read_posterior(results / method / "T1/r0-1/t01/posterior.safetensors")
        assert stage.metadata["pixels"] == prior["pixels"]
    assert prior["pixels"]["mean"]["0"] != prior["pixels"]["mean"]["1"]
    chosen = json.loads((results / "grid/T1/r0-1/prior.json").read_text())["facts"]["variances"]
    for choice in chosen.values():
        scores = {float(v): score for v, score in choice["validation_nll"].items()}
        assert choice["variance"] == min(scores, key=scores.get)
    records = pd.read_parquet(folder / "results/halves/metrics.parquet")
    assert set(records.method) == set(methods)
    assert planned(folder, study) == set()


def test_a_foreign_parent_is_refused_by_name(finished, tmp_path):
    folder = tmp_path / "foreign"
    shutil.copytree(finished, folder)
    chain = folder / "results/tiny/digits"
    shutil.copy(
        chain / "ffg/T1/r0-1/t01/posterior.safetensors",
        chain / "ffg/T2/r0-1/t01/posterior.safetensors",
    )
    target = "results/tiny/digits/ffg/T2/r0-1/t02/posterior.safetensors"
    done = run(folder, TINY, "--force", "--allowed-rules", "fit", "--", target)
    assert done.returncode != 0
    assert "T2/r0-1/t01/posterior.safetensors: its checksum is" in done.stdout
    assert "Traceback" not in done.stdout


@pytest.mark.parametrize(
    "study, message",
    [
        (changed(methods__ffg__family="fgg"), "methods.ffg.family"),
        (changed(experiments__digits__parts=[1, 5000]), "experiments.digits.parts"),
        (changed(trainning={"epochs": 2}), "trainning"),
        (changed(claims__alike__metric="acuracy"), "claims.alike.metric"),
    ],
)
def test_a_bad_study_ends_in_one_line_before_anything_runs(study, message, tmp_path):
    done = run(tmp_path, study)
    assert done.returncode != 0
    assert message in done.stdout and "Traceback" not in done.stdout
    assert not (tmp_path / "results").exists()
