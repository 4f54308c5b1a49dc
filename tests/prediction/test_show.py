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


def test_widths_and_kl_are_those_of_the_states_and_of_the_training(last):
    with open(last.with_name("training.csv"), newline="") as file:
        rows = {int(row["replicate"]): row for row in csv.DictReader(file)}
    q, p = (read_posterior(last.parents[1] / t / last.name).states for t in ("t02", "t01"))
    sealed = facts(last)["layers"]
    seal_path(last).unlink()
    alone = facts(last)["layers"]
    assert [layer["name"] for layer in sealed] == list(q[0])
    assert [layer["title"] for layer in sealed] == ["dense 1", "dense 2"]
    assert all(layer["title"] in text(facts(last)) for layer in sealed)
    for layer, without in zip(sealed, alone, strict=True):
        name = layer["name"]
        sigma = {r: q[r][name]["weight_log_sigma"].exp().flatten() for r in q}
        ratio = {r: sigma[r] / p[r][name]["weight_log_sigma"].exp().flatten() for r in q}
        assert layer["weight"] == list(q[0][name]["weight_mean"].shape)
        assert layer["sigma"] == pytest.approx(fmean(s.mean().item() for s in sigma.values()))
        assert layer["kl"] == fmean(float(row[f"kl/{name}"]) for row in rows.values())
        assert without["kl"] is None and without["sigma"] == layer["sigma"]
        expected = fmean(median(values.tolist()) for values in ratio.values())
        assert without["sigma_ratio"] == pytest.approx(expected, rel=0.02)
        assert layer["sigma_ratio"] == pytest.approx(expected, rel=0.02)


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
    assert facts(made.posterior(1))["lineage"] == []


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
    assert "complete" in text(facts(chain.posterior(2)))
    source.write_bytes(source.read_bytes() + b" ")
    assert facts(chain.posterior(2))["lineage"][-1]["state"] == "another"
    source.unlink()
    assert facts(chain.posterior(1))["lineage"][-1]["state"] == "missing"
    seal_path(chain.posterior(1)).unlink()
    assert facts(chain.posterior(1))["lineage"][-1]["state"] == "unverified"


def test_a_file_that_is_not_the_sealed_one_is_refused(last):
    shutil.copy(last.parents[1] / "t01" / last.name, last)
    assert "damaged or edited" in refusal(lambda: facts(last), SealError)


def test_the_command_prints_one_screen_or_json(last, capsys):
    assert main(["show", str(last)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) < 30 and lines[0].split() == ["file", str(last)]
    for words in ("tiny", "ffg", "mlp", "T = 2, t = 2", "KL (nats)", "median σ / σ of prior"):
        assert any(words in line for line in lines), words
    assert main(["show", str(last), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == facts(last)
    assert main(["show", str(last.parent / "absent")]) == 1
    said = capsys.readouterr()
    assert "absent" in said.err and len(said.err.splitlines()) == 1
