"""Defaults by the size of the data: the rule's numbers by hand, what wins over it, what they do."""

import json
import math
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from made_sets import SETS, accuracies

from incbayes.kinds import MODELS
from incbayes.study.datasets import data_name
from incbayes.study.model import KindSpec
from incbayes.study.resolve import resolve_study
from incbayes.study.settings import method_settings
from incbayes.study.small_sets import count_weights
from incbayes.study.source_state import Record
from incbayes.study.yaml import StudyError

BOTH = {"objective": {"kl_scale": 0.5}, "training": {"epochs": 7}}
MLP = {"kind": "mlp", "widths": [50]}


def study(experiment=None, **changes):
    whole = {"dataset": "digits", "model": MLP, "parts": [1, 3]} | (experiment or {})
    return resolve_study(
        {
            "study": "small",
            "experiments": {"e": whole},
            "methods": {"ffg": {"family": "ffg"}},
        }
        | changes
    )


def numbers(*arguments, **changes):
    settings = method_settings(study(*arguments, **changes), "e", "ffg")
    return settings.objective.kl_scale, settings.training.epochs


WEIGHTS = 64 * 50 + 50 + 50 * 10 + 10
PART = 1437 // 3


def test_the_rule_by_hand():
    assert numbers() == (float(f"{PART / WEIGHTS:.2g}"), math.ceil(400 / math.ceil(PART / 128)))
    assert numbers({"parts": [1]}) == (0.38, 34), "1437 / 3760, and 400 steps of 12 a pass"
    assert numbers({"partition": {"fraction": 0.5}, "parts": [1]}) == (0.19, 67)
    calibrated = {"fraction": 0.5, "calibration": 0.5}  # 718 images, of which half are for the fit
    assert numbers({"partition": calibrated, "parts": [1]}) == (0.095, 134)
    halves = {"source_classes": 5, "target_classes": [5, 6, 7, 8, 9]}
    assert numbers({"partition": halves, "parts": [1]})[0] == float(f"{718 / 3505:.2g}")


def test_a_large_set_has_the_bound_and_thirty_passes():
    assert numbers(
        {"dataset": "mnist", "parts": [10]},
    ) == (1.0 * 0.15, 30)
    small = {"model": {"kind": "mlp", "widths": [4]}}
    assert numbers({"dataset": "mnist", "parts": [10]} | small) == (1.0, 30)


@pytest.mark.parametrize("level", ["study", "experiment", "method", "budget"])
def test_what_is_stated_anywhere_stays(level):
    stated = {"training": {"epochs": 7}, "objective": {"kl_scale": 1.0}}
    if level == "study":
        found = numbers(**stated)
    elif level == "experiment":
        found = numbers(stated)
    elif level == "method":
        found = numbers(methods={"ffg": {"family": "ffg"} | stated})
    else:
        found = numbers(budgets={"quick": stated}, budget="quick")
    assert found == (1.0, 7)


def test_of_what_is_not_counted_yet_the_plain_defaults_are_taken():
    table = {"kind": "table", "source": "a.csv", "target": "y", "features": ["x"]}
    of_table = {"dataset": table, "likelihood": "gaussian"}
    assert numbers(of_table) == (1.0, 30)
    images = {
        "kind": "image_folder", "source": "none", "shape": [1, 8, 8], "classes": ["a", "b"],
    }  # fmt: skip
    assert numbers({"dataset": images}) == (1.0, 30)
    counted = {"dataset": images | {"train": 90}}
    assert numbers(counted) == (float(f"{30 / (64 * 50 + 50 + 102):.2g}"), 400)


@pytest.mark.parametrize(
    ("model", "shape"),
    [
        ("lenet5", (1, 28, 28)),
        ("lenet5", (3, 33, 40)),
        ("digits_net", (1, 8, 8)),
        ("digits_net", (2, 11, 6)),
        ("conv3fc3", (3, 32, 32)),
        ("conv3fc3", (1, 17, 20)),
        ("mlp", (1, 8, 9)),
        ("embedding_mlp", (7, 1, 1)),
    ],
)
def test_weights_are_counted_as_the_network_has_them(model, shape):
    dense = {"widths": [5, 7]}
    embedded = dense | {"size": 3, "categories": [0, 4, 2]}
    chosen = KindSpec(model, {"mlp": dense, "embedding_mlp": embedded}.get(model, {}))
    network = MODELS.build(chosen).build(shape, 7)
    assert count_weights(chosen, shape, 7) == sum(p.numel() for p in network.parameters())


def test_weights_of_every_registered_model_are_known():
    for name in MODELS:
        options = {"widths": [5], "size": 2, "categories": None} if "mlp" in name else {}
        assert count_weights(KindSpec(name, options), (3, 32, 32), 10) > 0


def within_three_points(name, families, counts, replicates):
    for parts in counts:
        found = accuracies(name, ["point", *families], parts, replicates)
        for family in families:
            assert found[family] > found["point"] - 0.03, (name, parts, found)


def test_with_defaults_alone_a_small_set_in_parts_is_learnt():
    torch.set_num_threads(1)
    within_three_points("four_digits", ["ffg"], [3], 1)


@pytest.mark.nightly
@pytest.mark.parametrize("name", SETS)
def test_with_defaults_alone_every_family_comes_near_fine_tuning(name):
    torch.set_num_threads(1)
    within_three_points(name, ["ffg", "cfg", "mnf", "planar"], [1, 3], 2)


@pytest.mark.parametrize("budget", ["full", "quick"])
@pytest.mark.parametrize("stated", [{}, {"objective": {"kl_scale": 0.5}}, BOTH], ids=str)
def test_defaults_of_a_source_that_is_gone_are_kept_or_refused(
    budget, stated, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    table = {"kind": "table", "source": "a.csv", "target": "y", "features": ["x"]}
    of_table = {"dataset": table, "likelihood": "gaussian", "parts": [1]}
    changes = {"budgets": {"quick": {"replicates": 1}}, "budget": budget, "data_root": "."}
    Path("a.csv").write_text("x,y\n" + "1,2\n" * 50)
    before = numbers(of_table, **changes, **stated)
    dataset = study(of_table, **changes).experiments["e"].dataset
    Path("a.csv").unlink()
    folder = Path("results/data", data_name(dataset))
    folder.mkdir(parents=True)
    record = Record("state", "stamps", "content", {"train": 40, "test": 10})
    (folder / "source.json").write_text(json.dumps(asdict(record)))
    assert numbers(of_table, **changes, **stated) == before
    (folder / "source.json").unlink()
    numbers(of_table, **changes, **stated)  # nothing was fitted yet
    name = "small" if budget == "full" else "small-quick"
    fitted = Path("results", name, "e/ffg/T1/r0-2/t01/posterior.seal.json")
    fitted.parent.mkdir(parents=True)
    fitted.touch()
    if stated == BOTH:
        assert numbers(of_table, **changes, **stated) == before
        return
    with pytest.raises(StudyError, match="the source is gone. State them as they were") as error:
        numbers(of_table, **changes, **stated)
    assert ("kl_scale and" in str(error.value)) == (not stated)
