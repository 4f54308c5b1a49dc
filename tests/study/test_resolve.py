"""Studies that are good: what is filled in, which level wins, and that no study breaks this."""

import copy
import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from normal_forms import family_with_defaults, normal_form
from small_study import HALVES, PLAIN, SMALL, changed
from study_places import ODD, places

from incbayes.inference.objective import Objective
from incbayes.study.blocks import block_replicates, blocks
from incbayes.study.model import to_plain
from incbayes.study.published_code import AS_PUBLISHED
from incbayes.study.resolve import resolve_study
from incbayes.study.settings import (
    evaluation_settings,
    method_settings,
    pretrain_training,
    scored_share,
)
from incbayes.study.tempering import kl_scale
from incbayes.study.yaml import StudyError


def test_defaults_are_filled_in():
    study = normal_form(SMALL)
    assert study["study_id"] == study["title"] == "small"
    assert (study["budget"], study["reduced"]) == ("full", False)
    assert (study["seed"], study["data_root"]) == (0, "data")
    assert study["training"] == {
        "epochs": 30,
        "batch_size": 128,
        "learning_rate": 1e-3,
        "log_sigma_rate": 10.0,
        "schedule": "cosine",
        "plateau": None,
        "precision": "fp32",
    }
    assert study["machine"] == {
        "device": "auto",
        "checkpoint_seconds": 60.0,
        "replicates": "auto",
    }
    assert study["objective"] == {
        "kl_scale": 1.0,
        "beta": "uniform",
        "complexity": "closed_form",
        "draws": 1,
        "warmup_epochs": 0,
        "likelihood": "sum",
        "batches": "used",
    }
    assert study["evaluation"] == {
        "samples": 100,
        "earlier_samples": None,
        "batch_size": 1000,
        "precision": "fp32",
        "part_images": 1000,
        "test_images": "all",
        "calibration_bins": 15,
        "metrics": [],
    }
    assert study["experiments"]["plain"] == {
        "title": "plain",
        "replicates": 5,
        "dataset": {"kind": "digits"},
        "model": {"kind": "mlp", "widths": [400, 400]},
        "pixels": {"kind": "standard", "statistics": "first", "mean": None, "std": None},
        "likelihood": {"kind": "categorical"},
        "parts": [1, 5],
        "partition": {
            "stratify": False,
            "fraction": 1.0,
            "source_fraction": 1.0,
            "source_classes": None,
            "target_classes": None,
        },
        "pretrain": None,
        "methods": ["ft", "ffg"],
        "training": {"epochs": 134},  # 400 steps of the 3 that a fifth of the digits makes
        "objective": {"kl_scale": 0.0015},  # 287 images for 190,410 weights
        "settings": {},
    }
    assert study["experiments"]["halves"]["methods"] == list(SMALL["methods"])
    assert study["methods"]["ffg"] == {
        "label": "ffg",
        "family": family_with_defaults("ffg") | {"initial_sigma": 0.05},
        "prior": {"kind": "normal", "sigma": None},
        "inference": {"kind": "vi"},
        "reading": "corrected",
        "training": {},
        "objective": {},
    }


def test_the_published_reading_turns_every_switch_that_a_method_has():
    raw = copy.deepcopy(SMALL)
    raw["methods"]["ffg"]["reading"] = "as_published"
    raw["methods"]["ffg"]["prior"] = {"kind": "transfer"}
    raw["experiments"] = {"halves": raw["experiments"]["halves"] | {"methods": ["ffg", "ft"]}}
    study = resolve_study(raw)
    settings = to_plain(method_settings(study, "halves", "ffg"))
    settings |= {"evaluation": to_plain(evaluation_settings(study, "ffg"))}
    for switches in AS_PUBLISHED.values():
        for section, values in switches.items():
            for key, value in values.items():
                if key in ("log_determinant", "flow_initialisation"):
                    assert key not in settings[section]  # a switch of the flow alone
                else:
                    assert settings[section][key] == value
    other = method_settings(study, "halves", "ft")
    assert other.objective.likelihood == "sum"
    assert evaluation_settings(study, "ft").test_images == "all"


@pytest.mark.parametrize(
    ("objective", "scale"),
    [
        ({"kl_scale": 0.1}, 0.1),
        ({"kl_scale": 0.1, "beta": "geometric"}, 0.1),
        ({"kl_scale": 0.1, "likelihood": "mean"}, 2.0),
        ({"kl_scale": 0.1, "beta": "none"}, None),
    ],
)
def test_the_scale_of_a_kl_is_what_the_bound_has_it_times(objective, scale):
    study = changed(("methods.ffg.objective", objective), ("training", {"batch_size": 20}))
    study = resolve_study(study)
    assert kl_scale(study, "plain", "ffg") == scale
    assert kl_scale(study, "plain", "ft") is None


def test_the_images_of_a_minibatch_are_no_more_than_those_of_a_part():
    study = changed(
        ("methods.ffg.objective", {"likelihood": "mean", "kl_scale": 1.0}),
        (f"{PLAIN}.partition", {"fraction": 0.1}),
        (f"{PLAIN}.parts", [1, 3]),
    )
    assert kl_scale(resolve_study(study), "plain", "ffg") == 144 // 3


@pytest.mark.parametrize(
    ("beta", "share"), [("uniform", 1 / 12), ("geometric", 0.5 / (1 - 2**-12))]
)
def test_weights_made_for_the_whole_set_sum_to_less_in_a_part(beta, share):
    study = changed(
        ("methods.ffg.objective", {"batches": "whole_set", "beta": beta, "kl_scale": 0.1}),
        (f"{PLAIN}.partition", {"fraction": 0.1}),
        (f"{PLAIN}.parts", [2]),
    )
    study = resolve_study(study)
    assert kl_scale(study, "plain", "ffg") == float(f"{0.1 * share:.3g}")
    objective = Objective.of(method_settings(study, "plain", "ffg").objective)
    assert objective.epoch_kl_weight(0, 1, 12, 71) == pytest.approx(0.1 * share)


def test_a_method_is_scored_on_its_share_of_the_test_set():
    study = changed(
        (f"{PLAIN}.partition", {"fraction": 0.2}), ("methods.ffg.reading", "as_published")
    )
    study = resolve_study(study)
    assert scored_share(study, "plain", "ffg") == 0.2
    assert scored_share(study, "halves", "ffg") == scored_share(study, "plain", "ft") == 1.0


def test_the_argument_is_left_as_it_was():
    raw = copy.deepcopy(SMALL)
    study = normal_form(raw)
    study["training"]["epochs"] = study["experiments"]["plain"]["parts"][0] = 99
    study["methods"]["ffg"]["family"]["initial_sigma"] = 99
    assert raw == SMALL
    assert normal_form(raw)["training"]["epochs"] == 30


def test_shorthand_and_mapping_are_the_same():
    short = changed((f"{PLAIN}.pixels", "divide"), ("methods.ffg.family", "ffg"))
    long = changed(
        (f"{PLAIN}.pixels", {"kind": "divide", "by": 126}),
        ("methods.ffg.family", {"kind": "ffg"}),
    )
    assert resolve_study(short) == resolve_study(long)


def test_numbers_have_one_form():
    written = changed(
        ("training.learning_rate", 1), ("training.epochs", 3.0), ("objective.kl_scale", 0)
    )
    study = resolve_study(written)
    assert repr(study.training.learning_rate) == "1.0"
    assert repr(study.training.epochs) == "3"
    assert repr(study.objective.kl_scale) == "0.0"


@pytest.mark.parametrize(("text", "number"), [("1e-3", 1e-3), ("2E+1", 20.0), (".5e0", 0.5)])
def test_numbers_that_yaml_1_1_takes_for_text_are_numbers(text, number):
    written = changed(
        ("training.learning_rate", text), ("methods.ffg_grid.prior.variances", [0.5, text])
    )
    study = resolve_study(written)
    assert study.training.learning_rate == number
    assert study.methods["ffg_grid"].prior.options["variances"] == [0.5, number]
    assert resolve_study(changed(("title", text))).title == text


def test_keys_come_in_the_order_of_the_schema():
    reversed_study = dict(reversed(SMALL.items()))
    assert list(normal_form(reversed_study)) == list(normal_form(SMALL))


@pytest.mark.parametrize(
    "partition",
    [
        {"source_classes": [0, 1, 2, 3, 4], "target_classes": [5, 6]},
        {"source_classes": 8},
        {"source_classes": 8, "target_classes": [0, 9]},
        {"source_classes": [3, 4]},
    ],
)
def test_tasks_that_share_no_class_are_fine(partition):
    resolve_study(changed((f"{HALVES}.partition", partition)))


def test_parts_may_be_as_many_as_the_images():
    resolve_study(changed((f"{PLAIN}.parts", [1437])))
    resolve_study(changed((f"{PLAIN}.partition.target_classes", list(range(10)))))


def test_one_label_may_stand_in_different_experiments():
    written = changed(("methods.ft_pretrained.label", "ft"), (f"{HALVES}.methods", ["ffg"]))
    written["experiments"]["halves"]["methods"] = ["ffg", "ft_pretrained"]
    resolve_study(written)


# Settings, and which level wins.


def test_method_wins_over_experiment_and_that_over_study():
    plateau = {"patience": 3, "min_delta": 0}
    study = resolve_study(
        changed(
            ("training", {"epochs": 1, "batch_size": 2, "learning_rate": 0.5}),
            (f"{PLAIN}.training", {"epochs": 10, "batch_size": 20, "plateau": plateau}),
            ("methods.ffg.training", {"epochs": 100}),
            (f"{PLAIN}.objective", {"kl_scale": 0.5}),
            ("methods.ffg.objective", {"kl_scale": 0.1}),
        )
    )
    ffg, ft = (method_settings(study, "plain", name) for name in ("ffg", "ft"))
    assert (ffg.training.epochs, ffg.training.batch_size) == (100, 20)
    assert ffg.training.learning_rate == 0.5
    assert to_plain(ffg.training.plateau) == {"patience": 3, "min_delta": 0.0}
    assert ffg.training.schedule == "cosine"
    assert (ffg.objective.kl_scale, ft.objective.kl_scale) == (0.1, 0.5)
    assert ft.training.epochs == 10
    assert method_settings(study, "halves", "ft").training.epochs == 1
    assert ffg.family == study.methods["ffg"].family
    assert set(to_plain(ffg)) == {"family", "prior", "training", "objective", "inference"}


def test_pretraining_wins_over_experiment():
    study = resolve_study(changed((f"{HALVES}.training", {"epochs": 4, "batch_size": 16})))
    training = pretrain_training(study, "halves")
    assert (training.epochs, training.batch_size) == (7, 16)
    assert method_settings(study, "halves", "ft").training.epochs == 4
    with pytest.raises(StudyError, match=r"experiments\.plain\.pretrain: there is none"):
        pretrain_training(study, "plain")


@pytest.mark.parametrize(
    ("experiment", "method", "message"),
    [("plan", "ft", "experiments.plan: unknown (did"), ("plain", "ff", "methods.ff: unknown (")],
)
def test_settings_of_what_is_not_there(experiment, method, message):
    with pytest.raises(StudyError, match=re.escape(message)):
        method_settings(resolve_study(SMALL), experiment, method)


# Blocks.


@pytest.mark.parametrize(
    ("replicates", "size", "names"),
    [
        (5, 3, ["r0-2", "r3-4"]),
        (6, 3, ["r0-2", "r3-5"]),
        (1, 5, ["r0-0"]),
        (3, 1, ["r0-0", "r1-1", "r2-2"]),
    ],
)
def test_blocks(replicates, size, names):
    assert blocks(replicates, size) == names
    carried = [number for name in names for number in block_replicates(name)]
    assert carried == list(range(replicates))


@pytest.mark.parametrize("name", ["", "r1", "r2-1", "r0-1-2", "r-1-2", "x0-1", "r0-1\n", "r٣-٤"])
def test_what_is_no_block_is_refused(name):
    with pytest.raises(ValueError, match=re.escape(f"block {name!r}: expected r<first>-<last>")):
        block_replicates(name)


# Any study at all.


EXPLICIT = {
    key: value for key, value in normal_form(SMALL).items() if key not in ("study_id", "reduced")
}
"""The small study with every default written out, so that there is more to break."""


@st.composite
def mutated(draw):
    """Return a valid study after a few deletions, replacements and insertions."""
    study = copy.deepcopy(draw(st.sampled_from([SMALL, EXPLICIT])))
    for _ in range(draw(st.integers(1, 3))):
        found = places(study)
        if not found:
            break
        container, key = draw(st.sampled_from(found))
        action = draw(st.sampled_from(["delete", "replace", "insert"]))
        if action == "delete":
            del container[key]
        elif action == "replace":
            container[key] = draw(ODD)
        elif isinstance(container, list):
            container.insert(key, draw(ODD))
        else:
            container[draw(st.text(max_size=5) | st.just("kind"))] = draw(ODD)
    return study


@settings(max_examples=300, deadline=None)
@given(mutated())
@example({"study": "a", "experiments": {"a": {}}, "methods": {"a": {"family": {"kind": []}}}})
def test_any_study_resolves_or_is_refused_in_one_line(raw):
    try:
        study = resolve_study(raw)
    except StudyError as error:
        text = str(error)
        assert text.strip() and len(text.splitlines()) == 1
        return
    for name, experiment in study.experiments.items():
        for method in experiment.methods:
            assert method_settings(study, name, method).training.epochs >= 1
