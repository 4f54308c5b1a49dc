"""Every number of a study has limits, which no sane study meets; float32 holds what is within."""

import itertools

import pytest
import torch
from bad_studies import refusal
from cases import TRAINED_BAYESIAN, noise
from msgspec.structs import replace
from shipped_studies import STUDIES
from small_study import HALVES, PLAIN, changed
from torch import nn

from incbayes.core.options import MULTIPLE, PRECISION, SCALE
from incbayes.kinds import FAMILIES, PRIORS
from incbayes.networks.layers import Layer
from incbayes.orchestration.size import LARGEST_MB, MOST_STAGES, MOST_WEIGHTS, check_size
from incbayes.priors.base import Source
from incbayes.study.resolve import resolve_study
from incbayes.study.schema import study_schema
from incbayes.study.yaml import StudyError, read_yaml

UNLIMITED = {
    ("tuned", "candidates", "scores", "nll"): "measured by a search, whatever it came to",
}
"""Numbers without an upper limit, and why."""

SYNTAX = {"properties", "additionalProperties", "items", "anyOf", "else", "allOf", "then", "$defs"}
LOWER, UPPER = {"minimum", "exclusiveMinimum"}, {"maximum", "exclusiveMaximum"}
FLOAT32 = torch.finfo(torch.float32)


def numbers(node, path=()):
    """Yield path and node of every number that a study may give, of every kind."""
    if isinstance(node, list):
        for child in node:
            yield from numbers(child, path)
    if not isinstance(node, dict):
        return
    kinds = node.get("type", [])
    if {"integer", "number"} & set([kinds] if isinstance(kinds, str) else kinds):
        yield path, node
    for key, child in node.items():
        if isinstance(child, dict | list):
            yield from numbers(child, path if key in SYNTAX else (*path, key))


def test_every_number_of_a_study_has_a_lower_and_an_upper_limit():
    found = list(numbers(study_schema()))
    assert len({path for path, _ in found}) > 70
    for path, node in found:
        assert LOWER & set(node), path
        assert (path in UNLIMITED) != bool(UPPER & set(node)), path
    assert set(UNLIMITED) <= {path for path, _ in found}


def test_rates_and_widths_within_their_limits_are_numbers_that_float32_holds():
    training = study_schema()["properties"]["training"]["properties"]
    rate, multiple = training["learning_rate"], training["log_sigma_rate"]
    widths = [SCALE[end] * MULTIPLE[other] for end in SCALE for other in MULTIPLE]
    least = [
        rate["minimum"] * multiple["minimum"],
        *(width**2 for width in widths),
        *(1 / width**2 for width in widths),
        *(PRECISION.values()),
    ]
    assert all(FLOAT32.tiny < number < FLOAT32.max for number in least)
    assert rate["maximum"] * multiple["maximum"] < FLOAT32.max


CORNERS = list(itertools.product(SCALE.values(), MULTIPLE.values()))


@pytest.mark.parametrize(("sigma", "multiple"), CORNERS)
@pytest.mark.parametrize("name", TRAINED_BAYESIAN)
def test_a_first_stage_starts_with_finite_numbers_at_every_limit(name, sigma, multiple):
    family = FAMILIES[name](initial_sigma=multiple)
    layers = [Layer.of("0", nn.Conv2d(2, 3, 3)), Layer.of("1", nn.Linear(5, 3))]
    fresh = {layer.name: {k: torch.randn(s) for k, s in layer.shapes.items()} for layer in layers}
    prior = PRIORS.build({"kind": "normal", "sigma": sigma})
    start = prior.start(family, layers, fresh, Source(), noise())
    for layer in layers:
        state = {key: value.requires_grad_() for key, value in start.state[layer.name].items()}
        kl = family.kl(layer, state, start.prior[layer.name], noise())
        gradients = torch.autograd.grad(kl, list(state.values()), allow_unused=True)
        assert all(torch.isfinite(v).all() for v in (kl, *(g for g in gradients if g is not None)))


OWN = {"kind": "image_folder", "source": "x.zip", "classes": ["a", "b"], "test": 10}
MANY = OWN | {"shape": [1, 8, 8], "train": 10_000_000}

TOO_LARGE = [
    (
        [(f"{PLAIN}.model", {"kind": "mlp", "widths": [100_000, 100_000]})],
        f"{PLAIN}.model: about 10007600010 weights, where {MOST_WEIGHTS} are the most",
    ),
    (
        [(f"{PLAIN}.dataset", MANY), (f"{PLAIN}.parts", [1, 10_000]), (f"{PLAIN}.replicates", 26)],
        f"{PLAIN}: 120012 jobs that fit a stage, of 120027 in all, where {MOST_STAGES} are the",
    ),
    (
        [(f"{PLAIN}.dataset", MANY | {"shape": [3, 1024, 1024]})],
        f"{PLAIN}.dataset: a job (stage of ft) would take about",
    ),
    (
        [
            ("replicates", 10_000),
            ("replicates_per_block", 10_000),
            (f"{PLAIN}.model", {"kind": "mlp", "widths": [4000, 4000]}),
        ],
        "replicates_per_block: a job (stage of ft) would take about",
    ),
    (
        [(f"{PLAIN}.dataset", MANY), ("training", {"batch_size": 10_000_000})],
        "training.batch_size: a job (stage of ft) would take about",
    ),
    (
        [
            (f"{PLAIN}.dataset", MANY),
            ("evaluation", {"batch_size": 10_000_000, "part_images": None}),
            (f"{PLAIN}.methods", ["ffg"]),
        ],
        "evaluation.batch_size: a job (scores of ffg) would take about",
    ),
]


@pytest.mark.parametrize(("changes", "expected"), TOO_LARGE, ids=map(str, range(len(TOO_LARGE))))
def test_what_no_machine_could_run_is_refused_with_the_key_that_takes_most(changes, expected):
    study = resolve_study(changed(*changes))
    with pytest.raises(StudyError) as caught:
        check_size(study)
    text = str(caught.value)
    assert text.startswith(expected) and text.isprintable()


def test_fewer_chains_may_be_chosen_of_a_study_that_is_too_large():
    study = resolve_study(
        changed((f"{PLAIN}.parts", [1, 1000]), (f"{PLAIN}.replicates", 1000))
        | {"replicates_per_block": 5}
    )
    with pytest.raises(StudyError, match="choose chains by `only`"):
        check_size(study)
    check_size(replace(study, only=("plain.ft.T1", "halves")))


def test_a_search_of_more_candidates_than_can_be_fitted_is_refused_at_once():
    tried = {f"training.{key}": [1 + n for n in range(50)] for key in ("epochs", "batch_size")}
    tried |= {"training.learning_rate": [0.1 / (1 + n) for n in range(50)]}
    tune = {"search": {"plain": {"ft": tried}}}
    expected = "tune.search.plain.ft: 125000 candidates, as every combination is one; allowed: at"
    assert refusal(changed(("tune", tune))).startswith(expected)


@pytest.mark.parametrize("path", STUDIES, ids=[path.stem for path in STUDIES])
def test_the_studies_at_hand_are_far_from_every_limit(path):
    written = read_yaml(path)
    for budget in ["full", *written.get("budgets", {})]:
        check_size(resolve_study(written | {"budget": budget}))


def test_the_limits_of_memory_are_far_from_what_is_asked_for():
    assert LARGEST_MB == 1024 * 1024
    check_size(resolve_study(changed((f"{HALVES}.model", {"kind": "mlp", "widths": [10_000] * 3}))))
