"""What was published, joined with what is run later: the same as if all had been run at once."""

import dataclasses
import hashlib
import itertools
import json
import re
import shutil
from functools import cache

import numpy as np
import pandas as pd
import pytest
import yaml
from made_provenance import made_provenance
from made_studies import Shape, made_claims, made_frames, made_study, plain_made_study
from msgspec.structs import replace

from incbayes.cli.verify import verified
from incbayes.core.errors import UserError
from incbayes.core.files import sha256_file
from incbayes.core.seal import write_seal
from incbayes.figures.context import context_of
from incbayes.figures.write import figure_numbers
from incbayes.kinds import FIGURES, METRICS
from incbayes.publication import publish as publication
from incbayes.publication.numbers import numbers_file
from incbayes.publication.publish import (
    SEAL,
    Measured,
    PublicationError,
    joined,
    publish,
    read_published,
    restated,
)
from incbayes.publication.verified import stage_of
from incbayes.report.convergence import stage_ends
from incbayes.report.provenance import TIMING_COLUMNS, chain_of
from incbayes.results.collect import ordered_records
from incbayes.results.evidence import (
    Evidence,
    evidence_identity,
    read_evidence,
    write_evidence,
)
from incbayes.results.frames import Frames
from incbayes.results.records import records_digest
from incbayes.study.chains import all_chains, chain_name, chosen_chains, fewest_names
from incbayes.study.merging import merged
from incbayes.study.model import plain_study, shown_study, study_of
from incbayes.study.resolve import block_replicates, resolve_study

SHAPE = Shape(methods=3, experiments=2, parts=(1, 2, 3), replicates=4, layers=2)
TIMINGS = pd.DataFrame([["fit", "a", 61.0, 60.0, 512.0]], columns=TIMING_COLUMNS)
OF_A_RUN = {"README.md", "report.html", "provenance.json", "ro-crate-metadata.json", SEAL}
"""Files that say which run made what."""


@cache
def whole_study():
    """Return the made study in normal form, with claims; its names are in no order."""
    made = plain_made_study(SHAPE) | {"title": "Made in pieces"}
    for key in ("experiments", "methods"):
        made[key] = dict(reversed(made[key].items()))
    made["methods"]["m2"]["family"]["initial_sigma"] = 0.2  # else it would be m1 by another name
    claims = {
        name: claim | {"groups": list(map(stated, claim["groups"]))}
        for name, claim in made_claims(SHAPE).items()
        if name != "absent"
    }
    made["claims"] = claims
    return resolve_study({key: made[key] for key in made if key not in ("study_id", "reduced")})


def changed(study, **changes):
    """Return a study with keys of its JSON form replaced; of mappings, their keys."""
    return study_of(merged(plain_study(study), changes))


def stated(group):
    """Return a group of a claim as a study states it."""
    if "constant" in group:
        return group["constant"]
    return {key: value for key, value in group.items() if key != "kl_scale"}


def measured(only, command="snakemake", value=None, numbers=range(4), **changes):
    """Return what a run of the made study's chains that `only` names would have to publish.

    Args:
        only: names of chains.
        command: of the run.
        value: of every record; None for the made ones.
        numbers: of its replicates.
        changes: keys of the study.
    """
    stated = {"only": only, "first_replicate": numbers.start, "replicates": len(numbers)}
    study = study_of(plain_study(whole_study()) | stated | changes)
    described = {n: replace(e, replicates=len(numbers)) for n, e in study.experiments.items()}
    study = replace(study, experiments=described)
    chains = set(chosen_chains(study))
    frames = made_frames(SHAPE)
    chosen = Frames(
        *(
            rows_of(frame[frame["replicate"].isin(numbers)], chains)
            for frame in (frames.records, frames.training, frames.calibration)
        )
    )
    block = {"block": f"r{numbers.start}-{numbers.stop - 1}", "replicates": list(numbers)}
    whole = made_provenance(SHAPE)
    (source,) = whole["sources"]
    names = [name for name in source["chains"] if name in set(map(chain_name, chains))]
    context = context_of(study)
    if value is not None:
        chosen.records.loc[:, "value"] = value
    return Measured(
        study,
        ordered_records(chosen.records),
        stage_ends(chosen.training, study),
        {name: figure_numbers(name, chosen, context) for name in FIGURES},
        {
            "sources": [source | {"chains": names, "command": command}],
            "runs": [
                run | block | {"records": scored(chosen.records, run | block)}
                for run in whole["runs"]
                if chain_of(run) in chains
            ],
        },
        chosen.training,
        chosen.calibration,
    )


def scored(records, run):
    """Return the digest of the records of a run's stage."""
    same = [records[key] == run[key] for key in ("experiment", "method", "T", "t")]
    of_stage = records[np.logical_and.reduce(same)]
    of_block = of_stage[of_stage["replicate"].isin(block_replicates(run["block"]))]
    return records_digest(of_block.to_dict("records"))


def rows_of(frame, chains):
    """Return the rows of some chains."""
    keys = frame[["experiment", "method", "T"]].itertuples(index=False, name=None)
    return frame[[key in chains for key in keys]].reset_index(drop=True)


def publish_in_turn(folder, *runs):
    for run in runs:
        publish(folder, joined(read_published(folder), run), TIMINGS)
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture(scope="module")
def at_once(tmp_path_factory):
    """The files of the made study, all of whose chains were published by one run."""
    return publish_in_turn(tmp_path_factory.mktemp("at once"), measured(None))


@pytest.fixture(scope="module")
def one_method(tmp_path_factory):
    """A folder in which one method of one experiment was published."""
    folder = tmp_path_factory.mktemp("one method")
    publish_in_turn(folder, measured(["e0.m0"]))
    return folder


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
            **dict.fromkeys(("entropy", "mutual_information"), 0.1),
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


def test_replicates_of_other_settings_code_and_images_are_not_added():
    kept = joined(None, measured(["e0.m0"], numbers=range(2)))
    more = measured(["e0.m0"], numbers=range(2, 4))
    joined(kept, more)
    other = dataclasses.replace(more, study=changed(more.study, training={"epochs": 99}))
    with pytest.raises(PublicationError, match="e0.m0.T1 was published with training.epochs 12"):
        joined(kept, other)
    (source,) = more.provenance["sources"]
    newer = {**more.provenance, "sources": [{**source, "code_digest": "beef" * 16}]}
    other = dataclasses.replace(more, provenance=newer)
    with pytest.raises(PublicationError, match="by code c0dec0dec0dec0de, and this is beefbeef"):
        joined(kept, other)
    both = joined(kept, dataclasses.replace(other, study=replace(more.study, other_code=True)))
    assert len(both.provenance["sources"]) == 2
    images = {"e0": {"train": "c" * 64, "test": "b" * 64}}
    moved = {**more.provenance, "sources": [{**source, "images": images}]}
    with pytest.raises(PublicationError, match="made of other images"):
        joined(kept, dataclasses.replace(more, provenance=moved))


def test_a_published_block_stays_or_goes_as_a_whole(one_method):
    with pytest.raises(PublicationError, match="e0.m0.T1: block r0-3 was published as a whole"):
        joined(read_published(one_method), measured(["e0.m0"], numbers=range(2, 6)))


def test_a_replicate_that_is_run_again_was_first_run_when_it_was_before(one_method):
    again = measured(["e0.m0"], "again")
    later = [run | {"started": "2026-03-01T00:00:00+00:00"} for run in again.provenance["runs"]]
    provenance = {**again.provenance, "runs": later}
    both = joined(read_published(one_method), dataclasses.replace(again, provenance=provenance))
    first = {run["first_started"] for run in both.provenance["runs"]}
    assert first == {"2026-01-05T12:00:00+00:00"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 7}, "e0.m0.T1 was published with seed 2018, and the study has 7"),
        ({"training": {"epochs": 99}}, "training.epochs 12, and the study has 99"),
        ({"evaluation": {"samples": 5}}, "evaluation.samples 100, and the study has 5"),
        ({"e0": {"settings": {"m0": {"objective": {"kl_scale": 3}}}}}, "kl_scale 0.1, and .* 3"),
    ],
)
def test_chains_of_other_settings_do_not_stand_beside_each_other(change, message, one_method):
    run = measured(["e0.m1"])
    for key, value in change.items():
        change = {"experiments": {key: value}} if key in run.study.experiments else {key: value}
        run = dataclasses.replace(run, study=changed(run.study, **change))
    with pytest.raises(PublicationError, match=message):
        joined(read_published(one_method), run)


def test_chains_of_other_images_do_not_stand_beside_each_other(one_method):
    run = measured(["e0.m1"])
    run.provenance["sources"][0]["images"]["e0"]["train"] = "c" * 64
    with pytest.raises(PublicationError, match="e0.m1.T1: made of other images"):
        joined(read_published(one_method), run)
    run.provenance["sources"][0]["chains"] = ["e1.m1.T1"]  # of images that are as they were
    joined(read_published(one_method), run)


def test_a_search_behind_published_settings_is_not_lost(one_method):
    kept, run = read_published(one_method), measured(["e0.m1"])
    score = {"T": 1, "accuracy": 0.5, "nll": 1.0}
    tried = {"experiment": "e0", "method": "m0", "settings": {}, "scores": [score], "chosen": True}
    search = {"study": "made", "budget": "full", "reduced": False, "seed": 0, "validation": 0.1}
    search |= {"replicates": 1, "metric": "nll", "candidates": [tried]}
    with_search = [
        dataclasses.replace(part, study=changed(part.study, tuned=search)) for part in (kept, run)
    ]
    with pytest.raises(
        PublicationError, match="e0.m0.T1 was published with settings that a search"
    ):
        joined(with_search[0], run)
    joined(*with_search)
    joined(kept, with_search[1])  # which chose what was there before


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


def test_files_of_different_chains_are_refused(one_method, tmp_path):
    folder = shutil.copytree(one_method, tmp_path / "published")
    records = (folder / "metrics.csv").read_text().replace(",m0,", ",m1,")
    (folder / "metrics.csv").write_text(records)
    with pytest.raises(PublicationError, match="metrics.csv: its checksum is .* edited"):
        read_published(folder)
    seal = json.loads((folder / SEAL).read_text())
    files = [folder / name for name in seal["files"]]
    write_seal(folder / SEAL, "publication", seal["identity"], files, facts=seal["facts"])
    with pytest.raises(PublicationError, match="its records of e0/m0/.* are not those that were"):
        read_published(folder)
    write_seal(folder / SEAL, "publication", seal["identity"], files, facts={"stages": {}})
    with pytest.raises(PublicationError, match="metrics.csv: not of the chains that study.yaml"):
        read_published(folder)


def test_what_changes_no_number_of_a_published_chain_is_no_obstacle(one_method):
    kept, run = read_published(one_method), measured(["e0.m1"])
    settings = {"m1": {"training": {"learning_rate": 0.1}}}
    study = changed(run.study, title="Another title", experiments={"e0": {"settings": settings}})
    both = joined(kept, dataclasses.replace(run, study=study))
    assert set(both.records["method"]) == {"m0", "m1"}
    # m0 is no longer described.
    study = changed(study, experiments={"e0": {"methods": ["m1", "m2"]}})
    alone = joined(kept, dataclasses.replace(run, study=study))
    assert set(alone.records["method"]) == {"m1"}


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


@pytest.mark.parametrize(
    "name", ["study.yaml", "metrics.csv", "convergence.csv", "provenance.json"]
)
@pytest.mark.parametrize("damage", ["missing", "empty", "cut"])
def test_a_damaged_file_is_named(name, damage, one_method, tmp_path):
    folder = shutil.copytree(one_method, tmp_path / "published")
    if damage == "missing":
        (folder / name).unlink()
    else:
        (folder / name).write_text("" if damage == "empty" else "{a: [", encoding="utf-8")
    with pytest.raises(PublicationError, match=f"{name}: .*delete its folder to publish") as error:
        read_published(folder)
    assert "\n" not in str(error.value)


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
