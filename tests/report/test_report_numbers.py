"""The numbers of a report: its tables against numbers by hand, and where they come from."""

import copy
import dataclasses
import hashlib
import re
import subprocess

import numpy as np
import pandas as pd
import pytest
from known_claims import claim, records
from made_provenance import COMMAND, made_provenance
from made_studies import (
    FULL,
    REDUCED,
    Shape,
    made_claims,
    made_context,
    made_frames,
    made_ledger,
    made_study,
)
from msgspec.structs import replace
from scipy import stats
from sealing import seal_scores, seal_training

from incbayes.claims.ledger import judge
from incbayes.core.seal import SealError, write_seal
from incbayes.metrics.named import metric_of
from incbayes.report import claims_table as ledger
from incbayes.report import methods, provenance, tables
from incbayes.report.findings import against_paper
from incbayes.results.collect import Collected, CollectError, seal_records
from incbayes.results.records import records_digest
from incbayes.study.model import KindSpec


def test_a_claim_in_words_and_numbers(tmp_path):
    context = made_context(FULL)
    rows = [ledger.ledger_row(e, context) for e in made_ledger(FULL, tmp_path).entries]
    near, behind, surer, early, absent = rows
    records = made_frames(FULL).records
    difference = values(records, "m0", 3, "accuracy") - values(records, "m2", 3, "accuracy")
    low, high = stats.ttest_1samp(difference, 0).confidence_interval()
    number = tables.number
    assert behind["effects"][1] == {
        "value": number(100 * difference.mean(), 2, True),
        "interval": f"[{number(100 * low, 2, True)}, {number(100 * high, 2, True)}] points",
        "difference": "Fine-tuning, T\xa0=\xa03 minus CFG, T\xa0=\xa03, KL\xa0×\xa00.1",
        "n": 4,
        "others": "",
    }
    assert behind["claimed"] == "claimed: below 0 (any difference counts)"
    assert behind["reported"] == [{"value": "98.50", "label": "FFG, T\xa0=\xa03, KL\xa0×\xa00.1"}]
    assert near["claimed"] == "claimed: between \u22122.00 and +2.00 (two standard errors)"
    assert near["effects"][0]["difference"].endswith("minus 97.00")
    assert near["measured"] == "Accuracy (%), Digits 0 in parts"
    assert near["source"] == "A paper (2018) & its <i>appendix</i>"
    assert surer["effects"][0]["interval"].endswith("] nats")
    assert "after part 1, on part 01" in early["effects"][0]["difference"]
    assert absent["effects"] == [] and absent["figure"] == "accuracy_by_parts"


def test_of_two_replicates_both_differences_are_shown_and_no_interval():
    made = {"c": claim("greater", "m1", "m0")}
    entry = judge(made, records(m0=[0.90, 0.80], m1=[0.93, 0.81]), reduced=False)[0]
    named = [group | {"experiment": "e0", "T": 3, "t": 3} for group in entry["groups"]]
    row = ledger.ledger_row(entry | {"groups": named}, made_context(FULL))
    (effect,) = row["effects"]
    assert (effect["value"], effect["n"]) == ("+1.00, +3.00", 2)
    assert effect["interval"] == "points" and effect["others"] == ""
    told = [group | {"reported": 0.5 + place} for place, group in enumerate(named)]
    beside = ledger.Ledger([entry | {"groups": told}], "")
    ((*_, paper, ours),) = against_paper(beside, made_context(FULL))
    assert paper == "\u2212100.00 points" and ours == "+1.00, +3.00 points"


def test_groups_of_two_experiments_are_named_with_them():
    context = made_context(Shape(methods=2, experiments=2))
    group = made_claims(FULL)["near_known"]["groups"][0]
    labels = ledger.labels([group, group | {"experiment": "e1"}], tables.METRICS["nll"], context)
    assert labels[0].startswith("Digits 0 in parts, FFG, T")
    assert labels[1].startswith("Digits 1 in parts, pretrained on the others, FFG")


def values(records: pd.DataFrame, method: str, parts: int, metric: str) -> np.ndarray:
    """Return the values over replicates of the first experiment, by hand."""
    chosen = records.query(
        "experiment == 'e0' and method == @method and T == @parts and t == @parts "
        "and split == 'test' and predictor == 'predictive' and metric == @metric"
    )
    return chosen.sort_values("replicate")["value"].to_numpy()


def half_width(sample: np.ndarray) -> float:
    """Return half of the 95 % t-interval."""
    return stats.t.ppf(0.975, len(sample) - 1) * sample.std(ddof=1) / np.sqrt(len(sample))


def test_the_summary_is_of_the_last_stage():
    records, context = made_frames(FULL).records, made_context(FULL)
    table = tables.summary_table(tables.summarise(records, context), "e0", "predictive", context)
    assert [row[:2] for row in table.rows[:3]] == [
        ["Fine-tuning", "1"], ["Fine-tuning", "3"], ["FFG", "1"],
    ]  # fmt: skip
    row = table.rows[3]
    accuracy, nll = values(records, "m1", 3, "accuracy"), values(records, "m1", 3, "nll")
    assert row == [
        "FFG", "3", "0.1 (tempered)", "4",
        f"{100 * accuracy.mean():.2f} ± {100 * half_width(accuracy):.2f}",
        f"{nll.mean():.4f} ± {half_width(nll):.4f}",
        *row[6:],
    ]  # fmt: skip
    mean = tables.summary_table(tables.summarise(records, context), "e0", "mean", context)
    assert {row[0] for row in mean.rows} == {"FFG", "CFG"}  # a point has one network


def test_methods_are_compared_in_pairs():
    records, context = made_frames(FULL).records, made_context(FULL)
    compared = tables.compare_methods(records, context)
    assert set(compared["baseline"]) == {"m0"} and "m0" not in set(compared["method"])
    row = compared.query("experiment == 'e0' and method == 'm2' and T == 3 and metric == 'nll'")
    difference = values(records, "m2", 3, "nll") - values(records, "m0", 3, "nll")
    np.testing.assert_allclose(row["mean"].item(), difference.mean())
    np.testing.assert_allclose(row["half_width"].item(), half_width(difference))
    assert row["n"].item() == 4


def test_only_complete_pairs_count():
    records, context = made_frames(FULL).records, made_context(FULL)
    records = records[(records["method"] != "m1") | (records["replicate"] != 2)]
    compared = tables.compare_methods(records, context)
    assert set(compared.query("method == 'm1'")["n"]) == {3}
    parts = tables.compare_parts(records, context)
    difference = np.delete(values(records, "m0", 3, "ece") - values(records, "m0", 1, "ece"), [])
    row = parts.query("experiment == 'e0' and method == 'm0' and T == 3 and metric == 'ece'")
    np.testing.assert_allclose(row["mean"].item(), difference.mean())
    assert set(parts["T"]) == {3}


def test_a_replicate_without_a_value_counts_in_no_mean_and_no_n():
    records, context = made_frames(FULL).records, made_context(FULL)
    whole = values(records, "m1", 3, "nll")
    lacking = (records["method"] == "m1") & (records["metric"] == "nll")
    without = {1: lacking & (records["replicate"] == 2), 4: lacking}
    shown = {}
    for number, rows in without.items():
        changed = records.assign(value=records["value"].mask(rows))
        summary = tables.summarise(changed, context)
        table = tables.summary_table(summary, "e0", "predictive", context)
        shown[number] = dict(zip(table.headings, table.rows[3], strict=True))
        assert shown[number]["n"] == "4"
    rest = np.delete(whole, 2)
    text = f"{rest.mean():.4f} ± {half_width(rest):.4f} (n = 3)"
    assert [shown[number]["NLL (nats)"] for number in without] == [text, "–"]


@pytest.mark.parametrize("metric", ["accuracy", "nll", "ece"])
def test_a_chain_that_was_scored_before_a_metric_was_there_has_a_dash_for_it(metric):
    records, context = made_frames(FULL).records, made_context(FULL)
    before = records[(records["method"] != "m1") | (records["metric"] != metric)]
    for table in (
        tables.summary_table(tables.summarise(before, context), "e0", "predictive", context),
        tables.comparison_table(tables.compare_methods(before, context), "e0", context),
        tables.parts_table(tables.compare_parts(before, context), "e0", context),
    ):
        place = table.headings.index(metric_of(metric).heading)
        dashes = {row[0] for row in table.rows if row[place] == tables.NONE}
        assert dashes == {context.methods["m1"]}


@pytest.mark.parametrize(
    ("sample", "metric", "expected"),
    [
        ([0.9, 0.8], "accuracy", "80.00, 90.00"),
        ([0.99, 0.98, 1.0], "accuracy", "99.00 [96.52, 100.00]"),
        ([0.5, 0.1, 0.9], "ece", "50.00 [0.00, 100.00]"),
        ([0.5, 0.52, 0.54], "accuracy", "52.00 ± 4.97"),
        ([0.1, 0.9, 0.2], "nll", "0.4000 [0.0000, 1.4828]"),
        ([0.25], "ece", "25.00"),
    ],
)
def test_an_interval_stays_in_the_range_of_its_metric(sample, metric, expected):
    chosen = made_frames(REDUCED).records.query("T == 1 and t == 1 and split == 'test'")
    row = chosen[chosen["metric"] == "accuracy"].iloc[:1]
    records = pd.concat(
        [row.assign(replicate=r, metric=metric, value=v) for r, v in enumerate(sample)]
    )
    context = made_context(REDUCED)
    table = tables.summary_table(tables.summarise(records, context), "e0", "predictive", context)
    assert table.rows[0][-1] == expected


def test_a_difference_stays_in_the_range_of_differences():
    records, context = made_frames(FULL).records, made_context(FULL)
    chosen = (records["metric"] == "accuracy") & (records["method"] == "m1")
    apart = records["replicate"].map({0: 0.0, 1: 1.0, 2: 0.0, 3: 1.0})
    records = records.assign(value=records["value"].mask(chosen, apart))
    compared = tables.compare_methods(records, context)
    table = tables.comparison_table(compared, "e0", context)
    cell = table.rows[0][table.headings.index("Accuracy (%)")]
    difference = np.array([0.0, 1.0, 0.0, 1.0]) - values(records, "m0", 1, "accuracy")
    assert difference.mean() - half_width(difference) < -1, "no accuracy is so much lower"
    high = 100 * (difference.mean() + half_width(difference))
    mean = 100 * difference.mean()
    assert cell == f"\u2212{-mean:.2f} [\u2212100.00, +{high:.2f}]"


def test_the_papers_differences_stand_beside_ours(tmp_path):
    made, context = made_ledger(FULL, tmp_path), made_context(FULL)
    assert against_paper(made, context) == [], "one value of a pair is no difference"
    entries = copy.deepcopy(list(made.entries))
    surer = entries[2]
    surer["groups"][0]["reported"], surer["groups"][1]["reported"] = 0.5, 0.3
    ((sentence, difference, paper, ours),) = against_paper(ledger.Ledger(entries, ""), context)
    assert sentence == "Fine-tuning predicts better than FFG."
    assert difference.startswith("Fine-tuning, T\xa0=\xa03 minus FFG")
    assert paper == "+0.2000 nats"
    found = values(made_frames(FULL).records, "m0", 3, "nll") - values(
        made_frames(FULL).records, "m1", 3, "nll"
    )
    assert ours.startswith(f"+{found.mean():.4f} [") and ours.endswith("] nats")


def test_tables_of_one_replicate_one_method_and_a_new_metric():
    records, context = made_frames(REDUCED).records, made_context(REDUCED)
    new = records[records["metric"] == "nll"].assign(metric="auroc", value=0.5)
    records = pd.concat([records, new], ignore_index=True)
    table = tables.summary_table(tables.summarise(records, context), "e0", "predictive", context)
    assert table.headings[-1] == "auroc" and table.rows[0][-1] == "0.5000"
    assert "±" not in " ".join(table.rows[0])
    assert table.rows[0][2] == "–"
    assert tables.comparison_table(tables.compare_methods(records, context), "e0", context) is None
    assert tables.parts_table(tables.compare_parts(records, context), "e0", context) is None


def test_a_method_that_is_scored_on_a_share_of_the_test_set_says_so():
    records, whole = made_frames(FULL).records, made_context(FULL)
    partly = dataclasses.replace(
        whole, scored_shares=whole.scored_shares | {("e0", "m1"): 0.1, ("e1", "m0"): 0.5}
    )
    summary = tables.summarise(records, whole)
    alike, apart = (tables.summary_table(summary, "e0", "predictive", c) for c in (whole, partly))
    assert "Test set" not in alike.headings
    place = apart.headings.index("Test set")
    label = whole.methods["m1"]
    assert {(row[0] == label, row[place]) for row in apart.rows} == {
        (True, "10 %"),
        (False, "100 %"),
    }
    without = [[*row[:place], *row[place + 1 :]] for row in apart.rows]
    assert without == list(alike.rows)


def test_numbers_have_a_true_minus():
    assert tables.number(-0.126, 2, signed=True) == "\u22120.13"
    assert tables.number(0.126, 2, signed=True) == "+0.13"
    assert tables.number(-0.001, 2) == "0.00" and tables.number(-0.001, 2, signed=True) == "+0.00"


def test_replicates_are_counted_by_chain():
    records, study = made_frames(FULL).records, made_study(FULL)
    (whole,) = tables.replicate_counts(records, study)["e0"]
    fewer = records.query("not (method == 'm1' and `T` == 3 and replicate == 0)")
    assert tables.replicate_counts(fewer, study)["e0"] == {whole - 1, whole}
    assert tables.replicate_counts(records.iloc[:0], study)["e0"] == {whole}


def test_settings_in_words():
    spec = {"kind": "grid", "variances": [1e-3, 0.1], "exact": True, "limit": None}
    assert (
        methods.options(KindSpec.of(spec)) == "grid (variances [0.001, 0.1], exact yes, limit none)"
    )
    study = made_study(REDUCED)
    assert methods.overrides(study) == [("replicates", "1"), ("training.epochs", "12")]
    *_, objective, scoring = methods.describe_method(study, "e0", "m0")
    assert objective == "NLL alone: no KL"
    assert scoring.startswith("samples 100, ") and "test_images all" in scoring
    assert methods.replicates([1]) == "1" and methods.replicates({10, 3, 5}) == "3, 5 or 10"
    described = dict(methods.describe_experiment(study, "e0", {3, 5}))
    assert described["Replicates"] == "3 or 5"
    penalised = replace(study.methods["m0"], family=KindSpec("point", {"l2": 2.0}))
    study = replace(study, methods={**study.methods, "m0": penalised})
    assert "kl_scale 0.1 × the penalty of l2" in methods.describe_method(study, "e0", "m0")[-2]


def test_benchmarks_are_collected(tmp_path):
    header = "s\th:m:s\tmax_rss\tmax_vms\tmax_uss\tmax_pss\tio_in\tio_out\tmean_load\tcpu_time\n"
    job = tmp_path / "fit" / "digits" / "ffg.tsv"
    job.parent.mkdir(parents=True)
    job.write_text(header + "12.5\t0:00:12\t300.5\t1\t1\t1\t0\t0\t99\t12.1\n")
    (tmp_path / "plot.tsv").write_text(header + "0.1\t0:00:00\tNA\tNA\tNA\tNA\tNA\tNA\tNA\tNA\n")
    timings = provenance.collect_timings(tmp_path)
    assert timings[["rule", "job", "seconds"]].values.tolist() == [
        ["fit", "digits/ffg", 12.5], ["plot", "", 0.1],
    ]  # fmt: skip
    costs = provenance.rule_costs(timings).set_index("rule")
    assert costs.loc["fit", "max_rss_mb"] == 300.5 and np.isnan(costs.loc["plot", "max_rss_mb"])
    job.write_text("nothing of the kind\n")
    with pytest.raises(CollectError, match="ffg.tsv: not a Snakemake benchmark"):
        provenance.collect_timings(tmp_path)


def test_a_study_without_benchmarks_has_no_timings(tmp_path):
    assert provenance.collect_timings(tmp_path / "absent").empty


def test_runs_are_read_beside_their_posteriors(tmp_path):
    stage = tmp_path / "made/e0/m1/T3/r0-3/t02"
    stage.mkdir(parents=True)
    posterior = stage / "posterior.safetensors"
    posterior.write_bytes(b"weights")
    made = made_provenance(FULL)["runs"][0]
    names = {"study": "made", "experiment": "e0", "method": "m1", "family": "ffg", "T": 3, "t": 2}
    identity = names | {"replicates": [0, 1, 2, 3]}
    volatile = {key: made[key] for key in ("seconds", "device", "host", "torch", "threads")}
    seal = seal_training(stage, identity, volatile)
    scores = Collected(
        pd.DataFrame(), {"e0/m1/T3/r0-3/t02": seal_scores(stage, identity, seal, [])}
    )
    records = seal_records(tmp_path / "made/metrics.seal.json", "made", scores, [])
    images = tmp_path / "images"
    images.mkdir()
    splits = [images / f"{split}.safetensors" for split in ("train", "test")]
    for path in splits:
        path.write_text(path.name)
    facts = {"images": {"train": 2, "test": 1}}
    checksums = {"e0": images / "checksums.json"}
    code = provenance.Origin(COMMAND, "c0de", tmp_path)
    arguments = (code, [posterior], checksums, records, {"files": 9})
    with pytest.raises(SealError, match="checksums.json: no such file"):
        provenance.collect_provenance(*arguments)
    write_seal(checksums["e0"], "images", {"data": "images"}, splits, facts=facts)
    found = provenance.collect_provenance(*arguments)
    assert found["runs"][0]["sha256"] == hashlib.sha256(b"weights").hexdigest()
    assert found["runs"][0]["records"] == records_digest([])
    said = {key: names[key] for key in names if key != "family"} | volatile | {"block": "r0-3"}
    assert found["runs"][0] | said == found["runs"][0]
    (source,) = found["sources"]
    assert (source["command"], source["chains"]) == (COMMAND, ["e0.m1.T3"])
    assert source["verified"] == {"files": 9}
    digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in splits]
    assert source["images"] == {"e0": dict(zip(("train", "test"), digests, strict=True))}
    assert {"python", "torch", "snakemake"} <= set(source["versions"])
    assert {"system", "processor", "cores"} <= set(source["hardware"])
    run = (stage / "run.json").read_text()
    (stage / "run.json").write_text(run.replace("60.0", "6.0"))
    with pytest.raises(SealError, match=r"run.json: its content does not match its own"):
        provenance.run_of(posterior, records)
    (stage / "run.json").write_text(run)
    posterior.write_bytes(b"Weights")
    with pytest.raises(SealError, match=r"posterior.safetensors: its checksum is"):
        provenance.run_of(posterior, records)
    seal_training(stage, identity, volatile)  # fitted again, and not scored
    with pytest.raises(SealError, match="its records of e0/m1/T3/r0-3/t02 are not of the post"):
        provenance.run_of(posterior, records)


def test_the_commit_of_a_clone_and_of_none(tmp_path):
    def git(*command):
        names = ("-c", "user.name=a", "-c", "user.email=a@example.org")
        subprocess.run(["git", "-C", str(tmp_path), *names, *command], check=True)

    assert provenance.git_commit(tmp_path) is None
    for name in ("code.py", "results/published/page.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("first")
    git("init", "-q")
    git("add", ".")
    git("commit", "-q", "-m", "first")
    commit = provenance.git_commit(tmp_path)
    assert re.fullmatch("[0-9a-f]{40}", commit)
    (tmp_path / "results/published/page.md").write_text("made again")
    (tmp_path / "notes.txt").write_text("not in git")
    assert provenance.git_commit(tmp_path) == commit
    (tmp_path / "code.py").write_text("changed")
    assert provenance.git_commit(tmp_path) == f"{commit}-dirty"
