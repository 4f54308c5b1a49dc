"""What a posterior says of itself, with the lineage that its files prove."""

import csv
import json
import shutil
from dataclasses import replace
from statistics import fmean, median

import pytest
from refusals import refusal
from stage_files import changed, two_replicates
from tiny_chain import CUT, SETTINGS, SILENT, tiny_chain

from incbayes.cli.main import main
from incbayes.core.files import sha256_file
from incbayes.core.seal import SealError, seal_path
from incbayes.jobs.fit import Lineage, StageOutputs, run_stage
from incbayes.jobs.partition import PartsRequest, run_partition
from incbayes.jobs.pretraining import run_pretraining
from incbayes.jobs.request import Machine
from incbayes.jobs.sources import SourceFiles
from incbayes.posterior.file import read_posterior
from incbayes.prediction.show import facts, text
from incbayes.study.model import KindSpec, PartitionSettings


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return two_replicates(tmp_path_factory.mktemp("chain"))


@pytest.fixture
def last(made, tmp_path):
    """The last posterior of a copy of the chain, for a test to damage."""
    return shutil.copytree(made.folder, tmp_path / "copy") / "t02" / "posterior.safetensors"


def test_it_says_whose_posterior_of_what_network_the_file_is(last):
    found, read = facts(last), read_posterior(last)
    assert found["sha256"] == read.sha256 and found["sealed"]
    for key in ("study", "experiment", "method", "T", "t", "budget", "seed", "config", "parent"):
        assert found[key] == read.metadata[key]
    assert found["model"] == {"kind": "mlp", "widths": [8]} and found["family"]["kind"] == "ffg"
    assert found["classes"]["1"] == [str(number) for number in range(10)]
    assert json.loads(json.dumps(found)) == found


def closed_kl(q, p):
    """Return KL(q‖p) in nats of a layer of `ffg`, in float64."""
    found = 0.0
    for key in ("weight", "bias"):
        m, log_s, m0, log_s0 = (
            state[f"{key}_{name}"].double() for state in (q, p) for name in ("mean", "log_sigma")
        )
        square = (2 * log_s).exp() + (m - m0) ** 2
        found += (log_s0 - log_s + square / (2 * (2 * log_s0).exp()) - 0.5).sum().item()
    return found


def states_of(path):
    """Return the states of a file and of the stage before it, by replicate."""
    return [read_posterior(path.parents[1] / t / path.name).states for t in ("t02", "t01")]


def last_rows(path):
    """Return the last row of training of every replicate."""
    with open(path.with_name("training.csv"), newline="") as file:
        return {int(row["replicate"]): row for row in csv.DictReader(file)}


def test_widths_and_kl_are_those_of_the_file_beside_the_stage_before(last):
    (q, p), found = states_of(last), facts(last)
    assert found["compared_with"] == "t = 1"
    assert [layer["name"] for layer in found["layers"]] == list(q[0])
    assert [layer["title"] for layer in found["layers"]] == ["dense 1", "dense 2"]
    assert all(layer["title"] in text(found) for layer in found["layers"])
    for layer in found["layers"]:
        name = layer["name"]
        sigma = {r: q[r][name]["weight_log_sigma"].double().exp().flatten() for r in q}
        of_prior = {r: p[r][name]["weight_log_sigma"].double().exp().flatten() for r in q}
        assert layer["weight"] == list(q[0][name]["weight_mean"].shape)
        assert layer["sigma"] == pytest.approx(fmean(s.mean().item() for s in sigma.values()))
        assert layer["kl"] == pytest.approx(fmean(closed_kl(q[r][name], p[r][name]) for r in q))
        ratio = fmean(median((sigma[r] / of_prior[r]).tolist()) for r in q)
        assert layer["sigma_ratio"] == pytest.approx(ratio, rel=0.02)


def test_without_the_stage_before_they_are_those_of_training_and_named_so(made, last):
    rows = last_rows(last)
    (last.parents[1] / "t01" / last.name).unlink()
    found = facts(last)
    assert found["compared_with"] is None
    for layer in found["layers"]:
        assert layer["kl"] is None and layer["sigma_ratio"] is None and layer["sigma"] > 0
        for key, value in layer["training"].items():
            assert value == fmean(float(row[f"{key}/{layer['name']}"]) for row in rows.values())
    head = text(found).splitlines()[-3]
    assert "  KL to prior, in training (nats)  " in head
    assert head.endswith("median σ / σ of prior, in training")
    assert text(found).splitlines()[-1].split()[3] == f"{layer['training']['kl']:.1f}"
    assert facts(made.posterior(1))["compared_with"] is None
    seal_path(last).unlink()
    assert all(set(layer["training"].values()) == {None} for layer in facts(last)["layers"])
    assert text(facts(last)).splitlines()[-1].split()[3] == "–"


CHANGED = {
    "merged": {"inference": KindSpec("ivon", {"merging": 0.5})},
    "weighed": {"family": KindSpec("ffg", {"mean_scale": 30.0})},
}


@pytest.mark.parametrize("how", CHANGED)
def test_the_kl_is_one_of_what_the_file_holds_whatever_the_algorithm_minimised(how, tmp_path):
    chain = tiny_chain(tmp_path).asked(settings=replace(SETTINGS, **CHANGED[how]))
    chain.fit(1)
    chain.fit(2)
    path = chain.posterior(2)
    (q, p), rows = states_of(path), last_rows(path)
    for layer in facts(path)["layers"]:
        name = layer["name"]
        assert layer["kl"] == pytest.approx(closed_kl(q[0][name], p[0][name]))
        of_training = float(rows[0][f"kl/{name}"])
        assert abs(layer["kl"] / of_training - 1) > 0.1
        assert layer["training"]["kl_weighed" if how == "weighed" else "kl"] == of_training
    shown = "weighed KL to prior, in training" if how == "weighed" else "  KL to prior, in training"
    assert shown in text(facts(chain.posterior(1)))


@pytest.mark.parametrize("family", ["cfg", "mnf", "planar"])
def test_a_kl_that_a_family_estimates_is_a_mean_over_the_same_draws(family, tmp_path):
    chain = tiny_chain(tmp_path).asked(settings=replace(SETTINGS, family=KindSpec(family)))
    chain.fit(1)
    chain.fit(2)
    found = [facts(chain.posterior(2))["layers"] for _ in range(2)]
    assert found[0] == found[1] and all(layer["kl"] > 0 for layer in found[0])


def test_the_lineage_is_verified_as_far_as_files_lie(made, last):
    first = last.parents[1] / "t01" / last.name
    (step,) = facts(last)["lineage"]
    assert step["what"] == "t = 1" and step["state"] == "verified" and step["path"] == str(first)
    assert "complete, back to the first stage" in text(facts(last))
    shutil.copy(last, first)
    (step,) = facts(last)["lineage"]
    assert step["state"] == "another"
    first.unlink()
    (step,) = facts(last)["lineage"]
    assert step["state"] == "missing" and step["sha256"] == read_posterior(last).metadata["parent"]
    assert "not verified to its beginning" in text(facts(last))
    first = facts(made.posterior(1))
    assert first["lineage"] == [] and first["parent"] is None and "combined" not in first


def test_stages_before_one_that_is_missing_are_not_verified(last):
    first = last.parents[1] / "t01" / last.name
    third = changed(last, last.parents[1] / "t03" / last.name, t=3, T=3, parent="0" * 64)
    assert [step["state"] for step in facts(third)["lineage"]] == ["another", "unverified"]
    changed(last, third, t=3, T=3, parent=sha256_file(last))
    assert [step["state"] for step in facts(third)["lineage"]] == ["verified"] * 2
    first.write_bytes(b"no posterior")
    changed(third, last, t=2, parent=sha256_file(first))
    fourth = changed(third, last.parents[1] / "t04" / last.name, t=4, T=4, parent="0")
    changed(fourth, third, t=3, parent=sha256_file(last))
    states = {step["what"]: step["state"] for step in facts(third)["lineage"]}
    assert states == {"t = 2": "verified", "t = 1": "verified"}
    last.write_bytes(b"no posterior either")
    changed(fourth, third, t=3, parent=sha256_file(last))
    assert [step["state"] for step in facts(third)["lineage"]] == ["verified", "unverified"]
    assert "not verified to its beginning" in text(facts(third))


def test_a_lineage_leads_back_to_the_source_task(tmp_path):
    plain = tiny_chain(tmp_path)
    cut = CUT | {"source_classes": [0, 1, 2, 3, 4], "target_classes": [5, 6, 7, 8, 9]}
    parts = tmp_path / "target.safetensors"
    section = PartitionSettings(**cut)
    asked = PartsRequest("tiny", "digits", [0], 0, section)
    run_partition(asked, 2, plain.data / "checksums.json", parts)
    settings = replace(SETTINGS, prior=KindSpec("transfer"))
    chain = plain.asked(parts_file=parts, partition=cut, settings=settings)
    folder = tmp_path / "source"
    source = folder / "posterior.safetensors"
    outputs = StageOutputs(source, folder / "training.csv", folder / "run.json")
    machine = Machine("cpu", 1, 1e9, listener=SILENT)
    own = plain.asked(parts_file=parts, partition=cut).request
    run_pretraining(own, outputs, machine)
    run_stage(
        chain.request, 1, Lineage(None, SourceFiles(weights=source)), chain.outputs(1), machine
    )
    chain.fit(2)
    first, beginning = facts(chain.posterior(2))["lineage"]
    assert first["state"] == "verified" and beginning["what"] == "source task, weights"
    assert beginning["path"] == str(source) and beginning["state"] == "verified"
    assert beginning["sha256"] == sha256_file(source)
    first_said, first_shown = read_posterior(chain.posterior(1)).metadata, facts(chain.posterior(1))
    assert first_said["parent"] == SourceFiles(weights=source).digest() == beginning["combined"]
    assert first_shown["combined"] == first_said["parent"] and first_shown["parent"] is None
    assert first["combined"] is None and facts(source)["parent"] is None
    assert "complete" in text(facts(chain.posterior(2)))
    source.write_bytes(source.read_bytes() + b" ")
    assert facts(chain.posterior(2))["lineage"][-1]["state"] == "another"
    source.unlink()
    gone = facts(chain.posterior(1))["lineage"][-1]
    assert gone["state"] == "missing" and gone["sha256"] is None and gone["combined"]
    seal_path(chain.posterior(1)).unlink()
    assert facts(chain.posterior(1))["lineage"][-1]["state"] == "unverified"


def test_a_file_that_is_not_the_sealed_one_is_refused(last):
    shutil.copy(last.parents[1] / "t01" / last.name, last)
    assert "damaged or edited" in refusal(lambda: facts(last), SealError)


def test_the_command_prints_one_screen_or_json(last, capsys):
    assert main(["show", str(last)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) < 30 and lines[0].split() == ["file", str(last)]
    for words in ("tiny", "ffg", "mlp", "T = 2, t = 2", "KL to t = 1 (nats)", "σ of t = 1"):
        assert any(words in line for line in lines), words
    assert main(["show", str(last), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == facts(last)
    assert main(["show", str(last.parent / "absent")]) == 1
    said = capsys.readouterr()
    assert "absent" in said.err and len(said.err.splitlines()) == 1
