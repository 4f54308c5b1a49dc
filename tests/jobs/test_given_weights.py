"""Weights of a user's own file as the centre of the first prior: taken, or refused in one line."""

import copy
import json

import own_nets
import pytest
import torch
from refusals import refusal
from running import TINY, planned, run
from safetensors.torch import save_file

from incbayes.jobs.given_weights import WeightsError, given_state
from incbayes.posterior.build import Architecture, fresh_network
from incbayes.posterior.file import read_posterior
from incbayes.study.resolve import resolve_study
from incbayes.study.yaml import StudyError

MODEL = {"kind": f"file:{own_nets.__file__}:Residual", "width": 4}


def network(seed=1, classes=10):
    return fresh_network(Architecture(MODEL, (1, 8, 8), classes), seed)


def weights(changes=None, classes=10):
    found = network(classes=classes).state_dict() | {"block.0.running_mean": torch.arange(4.0)}
    found |= changes or {}
    return {key: value for key, value in found.items() if value is not None}


def test_weights_and_statistics_are_taken_and_an_output_layer_of_other_classes_is_not(tmp_path):
    save_file(weights(), tmp_path / "same")
    save_file(weights(classes=7), tmp_path / "other")
    save_file(weights({"first.weight": network().first.weight.double()}), tmp_path / "double")
    state = given_state(tmp_path / "same", network(seed=2))
    assert torch.equal(state["first"]["weight"], network().first.weight)
    assert torch.equal(state["block.0"]["running_mean"], torch.arange(4.0))
    assert torch.equal(state["head"]["weight"], network().head.weight)
    other = given_state(tmp_path / "other", network(seed=2))
    assert set(other) == set(state) - {"head"}
    assert given_state(tmp_path / "double", network())["first"]["weight"].dtype == torch.float32


WRONG = {
    "lacks the tensor first.bias [4] of the network": {"first.bias": None},
    "the tensor first.bias is [3], float32; the network's is [4], float32": {
        "first.bias": torch.zeros(3)
    },
    "the tensor first.bias is [4], int64; the network's": {"first.bias": torch.arange(4)},
    "the tensor norm.weight is not finite": {"norm.weight": torch.full((4,), torch.inf)},
    "holds the tensor tail.weight, which the network has not": {"tail.weight": torch.ones(1)},
    "lacks the tensor block.0.running_var [4]": {"block.0.running_var": None},
}


@pytest.mark.parametrize("expected", WRONG)
def test_a_wrong_or_missing_tensor_is_named_in_one_line(expected, tmp_path):
    path = tmp_path / "weights"
    save_file(weights(WRONG[expected]), path)
    text = refusal(lambda: given_state(path, network()), WeightsError)
    assert text.startswith(f"{path}: {expected}")


def test_a_file_of_something_else_is_refused_in_one_line(tmp_path):
    (tmp_path / "weights").write_bytes(b"nonsense")
    text = refusal(lambda: given_state(tmp_path / "weights", network()), WeightsError)
    assert "not a whole safetensors file" in text


def study(**pretrain):
    made = copy.deepcopy(TINY) | {"study": "given", "replicates": 1, "claims": {}}
    made["training"] = {"epochs": 1, "batch_size": 256}
    made["experiments"]["digits"] |= {
        "model": MODEL,
        "parts": [1],
        "pretrain": {"weights": "nets.safetensors"} | pretrain,
        "methods": ["ft", "grid", "afresh"],
    }
    made["methods"] = {
        "ft": {"family": "point", "prior": "pretrained"},
        "grid": {"family": "ffg", "prior": {"kind": "grid", "variances": [1e-6]}},
        "afresh": {"family": "ffg"},
    }
    return made


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"prior": "laplace"}, "which needs the Fisher information of the weights; give the data"),
        ({"prior": "transfer"}, "which needs the source task itself, a posterior of it"),
        ({"training": {"epochs": 2}}, "pretrain.training: nothing is trained where"),
        ({"weights": "$NOT_SET/x"}, "pretrain.weights: found '$NOT_SET/x', but the variable"),
        ({"weights": "{a}.safetensors"}, "which Snakemake replaces; rename it"),
    ],
)
def test_what_weights_of_a_file_cannot_be_is_refused(change, expected):
    made = study(**{key: value for key, value in change.items() if key != "prior"})
    made["methods"]["grid"]["prior"] = change.get("prior", "normal")
    with pytest.raises(StudyError) as caught:
        resolve_study(made)
    assert expected in str(caught.value)


@pytest.mark.slow
def test_the_first_prior_is_centred_on_them_and_their_content_alone_makes_it_anew(tmp_path):
    missing = run(tmp_path, study(), "--dry-run")
    assert missing.returncode == 1
    assert "pretrain.weights: there is no file nets.safetensors" in missing.stdout
    file = tmp_path / "nets.safetensors"
    save_file(weights(classes=7), file)
    done = run(tmp_path, study())
    assert done.returncode == 0, done.stdout
    results = tmp_path / "results/given"
    found = read_posterior(results / "digits/grid/T1/r0-0/t01/posterior.safetensors").states[0]
    # A prior with sigma 1e-3 holds the means close to the file's, but for the output layer.
    torch.testing.assert_close(
        found["first"]["weight_mean"], network().first.weight.detach(), rtol=0, atol=0.02
    )
    (seal,) = (results / "digits/pretrain/r0-0").glob("posterior.seal.json")
    assert len(json.loads(seal.read_text())["facts"]["given"]) == 64
    file.touch()
    assert planned(tmp_path, study()) == set()
    save_file(weights({"first.bias": torch.zeros(4)}), file)
    jobs = planned(tmp_path, study())
    assert {job.split()[0] for job in jobs} >= {"pretrain", "fit", "choose_variance"}
    assert {job.split("method=")[1].split(",")[0] for job in jobs if job[:4] == "fit "} == {
        "ft", "grid"
    }  # fmt: skip
