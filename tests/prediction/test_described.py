"""A posterior file is checked before anything is built from it, and never makes code run."""

import builtins
import importlib
import json
import os
import tracemalloc
from dataclasses import asdict

import pytest
from refusals import refusal
from stage_files import changed, two_replicates, with_network

from incbayes.core.registry import KindError
from incbayes.kinds import FAMILIES
from incbayes.posterior.described import described
from incbayes.posterior.file import PosteriorError, read_posterior
from incbayes.prediction.opened import open_replicates


@pytest.fixture(scope="module")
def last(tmp_path_factory):
    return two_replicates(tmp_path_factory.mktemp("chain")).posterior(2)


def said(path):
    """Return the one line that a file is refused with, which names it."""
    text = refusal(lambda: open_replicates(path), (PosteriorError, KindError))
    assert str(path) in text and len(text) < 1500
    return text


def test_a_file_says_by_itself_all_that_prediction_needs(last):
    read = read_posterior(last)
    network = read.metadata["network"]
    assert network["model"] == {"kind": "mlp", "widths": [8]}
    assert network["family"] == {"kind": "ffg", **asdict(FAMILIES["ffg"]())}
    assert network["likelihood"]["kind"] == "categorical" and network["shape"] == [1, 8, 8]
    found = described("file", read)
    assert found.classes == dict.fromkeys((0, 1), tuple(map(str, range(10))))
    assert found.pixels["kind"] == "standard"
    for replicate, numbers in found.numbers.items():
        assert list(numbers.mean) == read.metadata["pixels"]["mean"][str(replicate)]
    assert found.architecture(1).outputs == 10


CODE = ["os:system", "os.system", "builtins.exec", "incbayes.models.mlp:Mlp", "__import__", "torch"]


@pytest.mark.parametrize("part", ["model", "family", "likelihood"])
@pytest.mark.parametrize("kind", [*CODE, "", "mlp ", None, 3, ["mlp"], {"kind": "mlp"}])
def test_a_kind_that_is_not_registered_is_refused_and_nothing_is_imported(
    part, kind, last, tmp_path, monkeypatch
):
    forged = with_network(last, tmp_path / "forged", **{part: {"kind": kind, "command": "id"}})
    open_replicates(last)  # what a good file imports is there

    def forbidden(*arguments, **options):
        raise AssertionError(f"ran: {arguments}")

    monkeypatch.setattr(os, "system", forbidden)
    monkeypatch.setattr(builtins, "exec", forbidden)
    monkeypatch.setattr(importlib, "import_module", forbidden)
    assert part in said(forged)


def test_an_unknown_model_is_refused_with_the_way_out(last, tmp_path):
    forged = with_network(last, tmp_path / "forged", model={"kind": "resnet"})
    text = said(forged)
    assert "unknown model 'resnet'" in text and "--model FILE.py:Class" in text


@pytest.mark.parametrize(
    "key, value, says",
    [
        ("shape", None, "shape is None, expected [C, H, W]"),
        ("shape", [1, 8], "shape is [1, 8]"),
        ("shape", [1, 8, 8.0], "shape is [1, 8, 8.0]"),
        ("shape", [1, 8, True], "shape is"),
        ("shape", [1, 8, 0], "each 1 to 1024"),
        ("shape", [1, 2**40, 2**40], "each 1 to 1024"),
        (
            "shape",
            [1, 1024, 1024],
            "layer 1: weight_mean is float32 [8, 64], expected float32 [8, 1",
        ),
        ("shape", [1024, 1024, 1024], "3145728 values at most"),
        ("shape", [3, 1024, 1024], "expected 3 finite numbers"),
        ("shape", [1, 9, 9], "float32 [8, 64], expected float32 [8, 81]"),
        ("model", {"kind": "mlp", "widths": [10**5] * 3}, "holds the layers"),
        ("model", {"kind": "mlp", "widths": [10**12]}, "model"),
        ("model", {"kind": "mlp", "widths": [8] * 5000}, "10000 characters at most"),
        ("model", {"kind": "mlp", "widths": [9]}, "expected float32 [9, 64]"),
        ("model", {"kind": "mlp", "widths": [10**5]}, "expected float32 [100000, 64]"),
        ("model", {"kind": "mlp", "width": [8]}, "width: unknown option of model mlp"),
        ("model", {"kind": "lenet5"}, "holds the layers"),
        ("model", "mlp", "model is 'mlp'"),
        ("model", json.loads("[" * 900 + "]" * 900), "model is [[["),
        ("family", {"kind": "mnf"}, "layer 1: z_mean is absent, it holds ['bias_log_sigma'"),
        ("family", {"kind": "mnf", "flow_steps": 100, "flow_width": 10000}, "z_mean is absent"),
        ("family", {"kind": "ffg", "initial_sigma": -1}, "family"),
        ("likelihood", {"kind": "categorical", "more": 1}, "more: unknown option of likelihood"),
        ("likelihood", None, "likelihood is None"),
    ],
)
def test_a_network_that_is_not_that_of_the_tensors_is_refused(key, value, says, last, tmp_path):
    forged = with_network(last, tmp_path / "forged", **{key: value})
    tracemalloc.start()
    assert says in said(forged)
    assert tracemalloc.get_traced_memory()[1] < 2**26
    tracemalloc.stop()


NUMBERS = {"0": [0.1], "1": [0.1]}


@pytest.mark.parametrize(
    "key, value, says",
    [
        ("artifact", "weights", "artifact is 'weights', expected 'posterior'"),
        ("network", None, "network is None, expected a mapping"),
        ("network", [1], "network is [1]"),
        ("pixels", "standard", "pixels is 'standard'"),
        ("pixels", {"kind": "os:system"}, "pixels"),
        ("pixels", {"kind": "standard"}, "mean of replicate 0 is None"),
        ("pixels", {"kind": "standard", "mean": NUMBERS}, "std of replicate 0 is None"),
        ("pixels", {"kind": "standard", "mean": NUMBERS, "std": {"0": [0.0]}}, "greater than 0"),
        ("pixels", {"kind": "standard", "mean": {"0": [1e999]}, "std": NUMBERS}, "finite"),
        ("pixels", {"kind": "standard", "mean": {"0": [0, 0]}, "std": NUMBERS}, "1 finite"),
        ("pixels", {"kind": "divide", "by": 0}, "pixels"),
        ("class_names", None, "class_names of replicate 0 is None"),
        ("class_names", {"0": ["a", "b"]}, "class_names of replicate 1 is None"),
        ("class_names", {"0": ["a", "a"], "1": ["a", "b"]}, "2 or more different names"),
        ("class_names", {"0": ["a", 3], "1": ["a", "b"]}, "2 or more different names"),
        ("class_names", {"0": ["a", "b"], "1": ["a", "b"]}, "expected float32 [2, 8]"),
        ("study", 3, "study is 3, expected text"),
        ("t", "2", "t is '2', expected a whole number"),
        ("t", 10**30, "t is 1000000"),
        ("seed", -1, "seed is -1"),
        ("seed", True, "seed is True"),
    ],
)
def test_other_metadata_that_make_no_sense_are_refused(key, value, says, last, tmp_path):
    assert says in said(changed(last, tmp_path / "forged", **{key: value}))


def test_tensors_that_are_not_of_the_family_are_refused(last, tmp_path):
    def forged(change):
        states = read_posterior(last).states
        for state in states.values():
            change(state["1"])
        return said(changed(last, tmp_path / "forged", states))

    def renamed(state):
        state["mean"] = state.pop("weight_mean")

    assert "layer 1: weight_mean is absent, it holds ['bias_" in forged(renamed)
    for change, found in {
        lambda mean: mean.T.contiguous(): "float32 [64, 8]",
        lambda mean: mean.long(): "int64 [8, 64]",
        lambda mean: mean[:1, :1].clone(): "float32 [1, 1]",
    }.items():
        text = forged(lambda state, c=change: state.update(weight_mean=c(state["weight_mean"])))
        assert f"layer 1: weight_mean is {found}, expected float32 [8, 64]" in text
    text = forged(lambda state: state.pop("weight_log_sigma"))
    assert "layer 1: weight_log_sigma is absent" in text


@pytest.mark.parametrize("family", FAMILIES)
def test_a_posterior_of_every_family_opens(family, tmp_path):
    path = two_replicates(tmp_path, family).posterior(1)
    assert [one.number for one in open_replicates(path)] == [0, 1]
