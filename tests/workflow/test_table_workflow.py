"""Tables through the real workflow, to the report: the shipped study, and one with an oracle."""

import json

import conjugate_table
import pandas as pd
import pytest
from running import ROOT, planned, run, typed

from incbayes.kinds import METRICS

OF = {
    of: [name for name, m in METRICS.items() if m.of == of and not m.tempered]
    for of in ("classes", "number")
}


@pytest.fixture(scope="module")
def shipped(tmp_path_factory):
    """The shipped study at its reduced budget."""
    folder = tmp_path_factory.mktemp("shipped")
    study = str(ROOT / "studies" / "table.yaml")
    place = ("--snakefile", str(ROOT / "Snakefile"), "--directory", str(folder))
    done = typed(folder, *place, "--configfile", study, "--cores", "2", "--config", "budget=quick")
    assert done.returncode == 0, done.stdout
    return folder / "results" / "table-quick"


@pytest.mark.slow
def test_each_experiment_has_the_metrics_that_make_sense_of_its_target(shipped):
    records = pd.read_csv(shipped / "metrics.csv")
    found = records.groupby("experiment")["metric"].agg(set)
    of_classes = {*OF["classes"], "entropy", "mutual_information"}
    assert found.to_dict() == {"tumours": of_classes, "diabetes": set(OF["number"])}
    assert records["value"].notna().all()
    last = records[(records["T"] == 3) & (records["t"] == 3) & (records["split"] == "test")]
    rmse = last[(last["metric"] == "rmse") & (last["predictor"] == "predictive")]
    assert rmse["value"].between(45, 80).all()  # always the mean: about 77


@pytest.mark.slow
def test_the_report_says_what_it_leaves_out_of_a_number(shipped):
    page = (shipped / "report.html").read_text(encoding="utf-8")
    assert "Diabetes: the target is a number." in page
    assert "make no sense of a number and are left out" in page
    shown = page.split("<main>")[1].split("<script>")[0]
    assert "RMSE (unit of the target)" in shown and "nan" not in shown.lower()
    picture = (shipped / "figures" / "accuracy_by_parts.svg").read_text(encoding="utf-8")
    assert "Left out: Diabetes" in " ".join(picture.split())
    for name in ("accuracy_by_parts", "reliability", "forgetting"):
        numbers = pd.read_csv(shipped / "figures" / f"{name}.csv")
        assert set(numbers["experiment"]) == {"tumours"}, name
    stages = pd.read_csv(shipped / "figures" / "stages.csv")
    of_diabetes = stages[stages["experiment"] == "diabetes"]
    assert set(of_diabetes["metric"]) == {"rmse", "nlpd"}


@pytest.mark.slow
def test_a_chain_of_parts_reaches_the_closed_form_and_the_claims_say_so(tmp_path):
    exact = conjugate_table.exact_nlpd(*conjugate_table.written(tmp_path))
    study = conjugate_table.with_claims(exact)
    done = run(tmp_path, study)
    assert done.returncode == 0, done.stdout
    results = tmp_path / "results" / "conjugate"
    ledger = json.loads((results / "claims.json").read_text(encoding="utf-8"))
    assert {entry["claim"]: entry["verdict"] for entry in ledger} == dict.fromkeys(
        ("in_parts", "chain_is_exact", "whole_is_exact"), "supported"
    )
    # Of all but a number there is nothing to draw, and the figure says so.
    picture = (results / "figures" / "reliability.svg").read_text(encoding="utf-8")
    assert "Left out: line" in " ".join(picture.split())
    stages = (results / "figures" / "stages.svg").read_text(encoding="utf-8")
    assert "Test RMSE and NLPD over the stages" in " ".join(stages.split())
    # New rows are prepared anew, and with them all that comes of them.
    assert planned(tmp_path, study) <= {"all"}
    conjugate_table.rows(240, 3).to_csv(tmp_path / "rows.csv", index=False)
    jobs = {job.split()[0] for job in planned(tmp_path, study)}
    assert {"prepare_data", "partition", "report"} <= jobs
