"""What was published, joined with what is run later: the same as if all had been run at once."""

import dataclasses
import hashlib
import itertools
import json
import re

import numpy as np
import pandas as pd
import pytest
import yaml
from made_publications import TIMINGS, changed, measured, publish_in_turn, scored, whole_study
from made_studies import Shape, made_study
from msgspec.structs import replace

from incbayes.cli.verify import verified
from incbayes.core.errors import UserError
from incbayes.core.files import sha256_file
from incbayes.kinds import METRICS
from incbayes.publication import publish as publication
from incbayes.publication.numbers import numbers_file
from incbayes.publication.publish import (
    SEAL,
    PublicationError,
    joined,
    publish,
    read_published,
    restated,
)
from incbayes.publication.verified import stage_of
from incbayes.results.evidence import Evidence, evidence_identity, read_evidence, write_evidence
from incbayes.study.chains import all_chains, chain_name, chosen_chains, fewest_names
from incbayes.study.model import plain_study, shown_study

OF_A_RUN = {"README.md", "report.html", "provenance.json", "ro-crate-metadata.json", SEAL}
"""Files that say which run made what."""


@pytest.fixture(scope="module")
def at_once(tmp_path_factory):
    """The files of the made study, all of whose chains were published by one run."""
    return publish_in_turn(tmp_path_factory.mktemp("at once"), measured(None))


@pytest.mark.parametrize(
    "parts",
    [
        (["e0"], ["e1"]),
        (["e1.m1", "e0.m2"], ["e0.m0", "e0.m1"], ["e1.m0", "e1.m2"]),
        (["e0.m0.T1", "e1.m1.T2"], ["e0", "e1.m0", "e1.m1.T1"], ["e1.m1.T3", "e1.m2"]),
        (["e0", "e1"], ["e0.m1.T3"]),
    ],
    ids=["experiments", "methods", "numbers of parts", "one of them again"],
)
def test_published_in_turn_is_published_at_once(parts, at_once, tmp_path):
    runs = [measured(only, f"run {place}") for place, only in enumerate(parts)]
    in_turn = publish_in_turn(tmp_path, *runs)
    assert set(in_turn) == set(at_once)
    for path in set(at_once) - OF_A_RUN:
        assert in_turn[path] == at_once[path], path
    pages = [files["README.md"].decode() for files in (in_turn, at_once)]
    results = [page.partition("## Where these numbers come from") for page in pages]
    assert results[0][0] == results[1][0]
    report = in_turn["report.html"].decode()
    for place, only in enumerate(parts):
        assert f"run {place}" in results[0][2] and f"run {place}" in report
        if place == len(parts) - 1:
            named = re.findall(r"^`(.+)`:$", results[0][2], flags=re.MULTILINE)[place]
            assert set(named.split("`, `")) == set(only)


def test_a_chain_that_is_run_again_takes_the_place_of_the_published_one(tmp_path):
    again = measured(["e0.m1.T3"], "again", value=0.5)
    publish_in_turn(tmp_path, measured(["e0.m1"], "first"), again)
    found = read_published(tmp_path)
    assert (found.records.query("`T` == 3")["value"] == 0.5).all()
    assert (found.records.query("`T` < 3")["value"] != 0.5).any()
    sources = {s["command"]: s["chains"] for s in found.provenance["sources"]}
    assert sources == {"first": ["e0.m1.T1", "e0.m1.T2"], "again": ["e0.m1.T3"]}
    assert [chain_name(c) for c in chosen_chains(found.study)] == [f"e0.m1.T{T}" for T in (1, 2, 3)]


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("data_root=/home/someone/data", "data_root=DIR"),
        ("'data_root=/home/some one/data'", "data_root=DIR"),
        ("data_root=~someone/data", "data_root=DIR"),
        ("data_root=data", "data_root=data"),
    ],
)
def test_what_is_published_names_no_folder_of_one_machine(given, shown, tmp_path):
    """Where it leads nowhere for a reader; other settings stay as they were typed."""
    command = 'snakemake --cores all --config {} \'training={{"precision": "bf16"}}\''
    publish_in_turn(tmp_path, measured(["e0.m1"], command.format(given)))
    (source,) = read_published(tmp_path).provenance["sources"]
    assert source["command"] == command.format(shown)
    for name in ("README.md", "report.html", "provenance.json", "ro-crate-metadata.json"):
        assert "someone" not in (tmp_path / name).read_text(encoding="utf-8"), name
    for name in ("README.md", "report.html"):
        explained = "stands for a folder of data" in (tmp_path / name).read_text(encoding="utf-8")
        assert explained == ("DIR" in shown)


@pytest.mark.parametrize("metric", ["accuracy", "auroc_entropy"])
def test_chains_that_were_scored_before_a_metric_was_there_stand_beside_those_after(
    metric, tmp_path
):
    """The first run lacks the metric in all chains, the second adds replicates to one of them."""
    before = measured(["e0.m0", "e0.m1"], "before", numbers=range(3), lacking=[metric], claims={})
    after = measured(["e0.m1"], "after", numbers=range(3, 4), claims={})
    publish_in_turn(tmp_path, before, after)
    found = read_published(tmp_path).records.query("metric == @metric")
    assert set(found["replicate"]) == {3} and set(found["method"]) == {"m1"}


@pytest.mark.parametrize(
    "parts",
    [
        (range(2), range(2, 4)),
        (range(2, 4), range(2)),
        (range(3, 4), range(1), range(1, 3)),
    ],
    ids=["in order", "the last first", "in pieces"],
)
def test_added_replicates_are_as_if_all_had_been_run_at_once(parts):
    at_once, in_turn = joined(None, measured(None)), None
    for numbers in parts:
        in_turn = joined(in_turn, measured(None, numbers=numbers))
    assert shown_study(in_turn.study) == shown_study(at_once.study)
    for frame in ("records", "ends", "training", "calibration"):
        pd.testing.assert_frame_equal(getattr(in_turn, frame), getattr(at_once, frame))
    for name, numbers in at_once.numbers.items():
        pd.testing.assert_frame_equal(in_turn.numbers[name], numbers, check_dtype=False)
    runs = [found.provenance["runs"] for found in (in_turn, at_once)]
    assert len(runs[0]) == len(parts) * len(runs[1])


def with_evidence(run, folder, seed=0):
    """Return a run with made evidence of the last stage of each of its chains, and its scores."""
    runs, content, records = [], {}, run.records.copy()
    for record in run.provenance["runs"]:
        if record["t"] == record["T"]:
            path, stage = folder / "evidence.parquet", stage_of(record)
            made = made_evidence(record, seed + len(content))
            write_evidence(path, made)
            content[stage] = path.read_bytes()
            record = record | {"evidence": sha256_file(path)}
            _score_by(made, record, records)
        runs.append(record | {"records": scored(records, record)})
    provenance = {**run.provenance, "runs": runs}
    return dataclasses.replace(run, provenance=provenance, evidence=content, records=records)


def _score_by(evidence, record, records):
    """Set the records of a last stage to what its evidence says."""
    rows = (records[["experiment", "method", "T", "t"]] == pd.Series(record)[
        ["experiment", "method", "T", "t"]
    ]).all(axis=1)  # fmt: skip
    rows &= (records["split"] == "test") & (records["predictor"] == "predictive")
    for metric in ("accuracy", "nll"):
        values = METRICS[metric].of_image(evidence.frame)
        means = pd.Series(values).groupby(evidence.frame["replicate"].to_numpy()).mean()
        chosen = rows & (records["metric"] == metric)
        records.loc[chosen, "value"] = records.loc[chosen, "replicate"].map(means)


def made_evidence(record, seed):
    """Return evidence on 30 images, of the replicates of a run record."""
    rng, replicates = np.random.default_rng(seed), record["replicates"]
    count = 30 * len(replicates)
    right = rng.random(count) < 0.8
    frame = pd.DataFrame(
        {
            "replicate": np.repeat(replicates, 30),
            "image": np.tile(np.arange(30), len(replicates)),
            "label": 1,
            "predicted": right.astype(int),
            **{name: np.where(right, -0.1, -2.0) for name in ("log_probability", "log_confidence")},
            **dict.fromkeys(("entropy", "mutual_information", "brier"), 0.1),
        }
    )
    identity = {**record, "family": "ffg"}
    return Evidence(evidence_identity(identity, "test", "classes", "0" * 64), frame)


def test_evidence_is_published_as_it_was_scored_and_stays_with_its_block(tmp_path):
    first = with_evidence(measured(["e0.m1.T3", "e0.m0.T3"], numbers=range(2)), tmp_path)
    more = with_evidence(measured(["e0.m1.T3"], numbers=range(2, 4)), tmp_path, seed=1)
    folder = tmp_path / "published"
    files = publish_in_turn(folder, first, more)
    blocks = {"e0.m0.T3.r0-1", "e0.m1.T3.r0-1", "e0.m1.T3.r2-3"}
    names = {f"evidence/{block}.parquet" for block in blocks}
    assert {name for name in files if name.startswith("evidence/")} == names
    read = read_published(folder)
    assert read.evidence == {**first.evidence, **more.evidence}
    ledger = json.loads(files["claims.json"])
    shown = [c["on_other_images"] for entry in ledger for c in entry["comparisons"]]
    assert any(shown) and {found["images"] for found in shown if found} == {30}
    for entry in ledger:
        for comparison in entry["comparisons"]:
            found, evidence = comparison["on_other_images"], comparison["evidence"]
            if found:
                wider = found["high"] - found["low"], evidence["high"] - evidence["low"]
                assert wider[0] > wider[1] * (1 - 1e-3)
    assert "on other images: [" in files["README.md"].decode() + files["report.html"].decode()
    assert not verified(folder).problems
    again = with_evidence(measured(["e0.m1.T3"], numbers=range(2)), tmp_path, seed=2)
    replaced = read_published(folder) and publish_in_turn(folder, again)
    changed = {name for name in names if replaced[name] != files[name]}
    assert changed == {"evidence/e0.m1.T3.r0-1.parquet"}


@pytest.mark.parametrize("how", ["of another job", "of another stage"])
def test_evidence_that_is_not_what_was_scored_is_named(how, tmp_path):
    folder = tmp_path / "published"
    run = with_evidence(measured(["e0.m0.T3", "e0.m1.T3"]), tmp_path)
    stages = sorted(run.evidence)
    if how == "of another job":
        path = tmp_path / "other.parquet"
        path.write_bytes(run.evidence[stages[0]])
        found = read_evidence(path)
        write_evidence(path, Evidence(found.identity, found.frame.assign(entropy=0.2)))
        other = {**run.evidence, stages[0]: path.read_bytes()}
        run = dataclasses.replace(run, evidence=other)
        said = "was scored"
    else:
        swapped = dict(zip(stages, reversed(list(map(run.evidence.get, stages))), strict=True))
        digests = {stage: hashlib.sha256(swapped[stage]).hexdigest() for stage in stages}
        runs = [
            record | ({"evidence": digests[stage_of(record)]} if "evidence" in record else {})
            for record in run.provenance["runs"]
        ]
        run = dataclasses.replace(
            run, evidence=swapped, provenance={**run.provenance, "runs": runs}
        )
        said = "expected that of"
    with pytest.raises((PublicationError, UserError), match=said) as error:
        publish(folder, joined(None, run), TIMINGS)
        read_published(folder)
    assert len(str(error.value).splitlines()) == 1


def test_a_chain_of_more_replicates_has_its_figures_made_anew():
    first = joined(None, measured(["e0.m1"], numbers=range(3)))
    found = joined(first, measured(["e0.m1.T3"], numbers=range(3, 4)))
    for name, column in (("accuracy_by_parts", "n"), ("kl_and_scale", "n"), ("training", "n")):
        counts = found.numbers[name].groupby("T")[column].max()
        assert counts.loc[3] == 4 and counts.get(1, 3) == 3, name
    assert found.study.experiments["e0"].replicates == 4 and found.study.first_replicate == 0


def test_numbers_of_a_figure_are_found_under_its_former_name(tmp_path):
    (tmp_path / "figures").mkdir()
    former, present = (tmp_path / "figures" / f"kl_and_{n}.csv" for n in ("width", "scale"))
    assert numbers_file(tmp_path, "kl_and_scale") == present, "there is none"
    former.touch()
    assert numbers_file(tmp_path, "kl_and_scale") == former
    present.touch()
    assert numbers_file(tmp_path, "kl_and_scale") == present
    assert numbers_file(tmp_path, "stages").name == "stages.csv"


def test_figures_of_records_are_made_anew_of_all_that_is_published():
    found = joined(None, measured(None))
    former = {name: numbers.iloc[:, :4] for name, numbers in found.numbers.items()}
    for name, numbers in restated(
        dataclasses.replace(found, numbers=found.numbers | {"stages": former["stages"]}),
        found.study,
    ).numbers.items():
        pd.testing.assert_frame_equal(numbers, found.numbers[name], check_dtype=False)


def test_figures_name_replicates_that_were_published_before_their_numbers_were(tmp_path):
    first = measured(["e0.m1"], numbers=range(3))
    nothing = {name: getattr(first, name).iloc[:0] for name in ("training", "calibration")}
    publish_in_turn(tmp_path, dataclasses.replace(first, **nothing))
    assert "Without these replicates" not in (tmp_path / "README.md").read_text()
    publish_in_turn(tmp_path, measured(["e0.m1.T3"], numbers=range(3, 4)))
    lines = (tmp_path / "README.md").read_text().splitlines()
    said = [line for line in lines if "e0.m1.T3: 0, 1, 2." in line]
    assert len(said) == 3, "reliability, KL and training; not those made of records"


def test_what_was_published_stays_until_all_that_takes_its_place_is_written(tmp_path, monkeypatch):
    before = publish_in_turn(tmp_path / "made", measured(["e0.m0"]))
    with monkeypatch.context() as patch:
        patch.setattr(publication, "published_page", lambda *arguments: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            publish_in_turn(tmp_path / "made", measured(["e0.m1"]))
    assert publish_in_turn(tmp_path / "made") == before
    assert [path.name for path in tmp_path.iterdir()] == ["made"]
    (tmp_path / "made").rename(tmp_path / ".made.old")  # killed between two renames
    assert read_published(tmp_path / "made").study.only == ("e0.m0",)


def test_a_study_with_other_claims_and_words_is_published_anew_without_a_run(tmp_path):
    only, claims = ["e1", "e0.m1"], plain_study(whole_study())["claims"]
    name, claim = claims.popitem()
    changes = {"title": "Now told otherwise", "claims": {"new": claim, **claims}}
    first = publish_in_turn(tmp_path / "first", measured(only))
    publish(
        tmp_path / "first",
        restated(read_published(tmp_path / "first"), measured(None, **changes).study),
        TIMINGS,
    )
    again = publish_in_turn(tmp_path / "first")
    assert again == publish_in_turn(tmp_path / "at once", measured(only, **changes))
    assert f"{name}," in first["claims.csv"].decode()
    assert f"{name}," not in again["claims.csv"].decode()
    with pytest.raises(PublicationError, match="published with seed"):
        restated(read_published(tmp_path / "first"), changed(whole_study(), seed=1))


def test_nothing_published_is_nothing_to_join(tmp_path):
    assert read_published(tmp_path / "absent") is None


def test_the_fewest_names_of_chains_stand_for_these_alone():
    study = made_study(Shape(methods=2, experiments=2, parts=(1, 2)))
    chains = all_chains(study)
    for size in range(1, len(chains) + 1):
        for chosen in itertools.combinations(chains, size):
            names = fewest_names(study, chosen)
            assert chosen_chains(replace(study, only=names)) == list(chosen)
    assert fewest_names(study, chains) is None
    assert fewest_names(study, chains[:5]) == ["e0", "e1.m0.T1"]


def test_the_published_study_is_plain_yaml(at_once):
    study = yaml.safe_load(at_once["study.yaml"])
    assert study == shown_study(whole_study())
