"""Claims in a study: what is filled in, and which are refused, each in one line."""

import dataclasses
import math

import pytest
from bad_studies import refusal
from claimed_study import CLAIM, FFG, FT, GREATER, study
from small_study import changed

from incbayes.kinds import CLAIM_TESTS
from incbayes.study.model import plain_claims, to_plain
from incbayes.study.relation import pairs_of, region_of
from incbayes.study.resolve import claims_of, resolve_study
from incbayes.study.schema import kind_constraints


def test_a_claim_is_completed():
    resolved = resolve_study(study(("claims.good.groups[1]", 0.5)))
    claim = resolved.claims["good"]
    assert to_plain(claim.relation) == GREATER
    assert (claim.metric, claim.level, claim.figure) == (
        "accuracy", 0.05, "accuracy_by_parts",
    )  # fmt: skip
    assert plain_claims(claims_of(resolved))["good"]["groups"] == [
        {
            "experiment": "plain", "method": "ffg", "T": 5, "t": 5, "predictor": "predictive",
            "split": "test", "reported": None, "kl_scale": 0.0015,
        },
        {"constant": 0.5},
    ]  # fmt: skip


def test_the_figure_follows_the_metric_and_the_scale_of_the_kl_the_method():
    changes = [("claims.good.metric", "nll"), ("methods.ffg.objective", {"kl_scale": 0.1})]
    claims = claims_of(resolve_study(study(*changes)))
    assert claims["good"].figure == "stages"
    assert [group.kl_scale for group in claims["good"].groups] == [0.1, None]
    assert resolve_study(study(("claims.good.metric", "brier"))).claims["good"].figure is None
    summed = resolve_study(study(("claims.good.metric", "cumulative_error")))
    assert summed.claims["good"].figure == "stages"


def test_a_study_without_claims_has_none():
    assert resolve_study(changed()).claims == {}


GROUP = "claims.good.groups[0]"
EQUIVALENT = {"kind": "equivalent", "margin": 0.01, "reason": "small"}
NOT_LESS = EQUIVALENT | {"kind": "not_less"}
SAME_AS_FFG = {
    "label": "Another label",
    "family": {"kind": "ffg", "initial_sigma": 0.05, "estimator": "local"},
    "prior": {"kind": "normal"},
    "training": {"epochs": 30},
}


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("claims", [], "claims: found []; allowed: a mapping"),
        ("claims.Good", CLAIM, "claims.Good: not a name; allowed: text (lower-case"),
        ("claims.good.metrik", "nll", "claims.good.metrik: unknown key (did you mean 'metric'?)"),
        ("claims.good.metric", "acuracy", "claims.good.metric: unknown metric 'acuracy' (did you"),
        ("claims.good.figure", "stage", "claims.good.figure: unknown figure 'stage' (did you me"),
        ("claims.good.level", 0, "claims.good.level: found 0; allowed: a number greater than 0"),
        (
            "claims.other",
            CLAIM | {"level": 0.5},
            "claims.other.level: found 0.5, and 0.05 of good; the level is of all primary claims",
        ),
        ("claims.good.sentence", "", "claims.good.sentence: found ''; allowed: text (one line"),
        ("claims.good.relation", "graeter", "claims.good.relation: unknown relation 'graeter' (d"),
        (
            "claims.good.relation",
            "equivalent",
            "claims.good.relation.margin: missing; allowed: a nu",
        ),
        (
            "claims.good.relation",
            {"kind": "equivalent", "margin": 0.01},
            "claims.good.relation.reason: missing; allowed: text",
        ),
        (
            "claims.good.relation",
            EQUIVALENT | {"margin": 0},
            "claims.good.relation.margin: found 0; allowed: a number greater than 0",
        ),
        (
            "claims.good.relation",
            "greater",
            "claims.good.relation.by: missing; allowed: a number",
        ),
        (
            "claims.good.relation",
            {"kind": "less", "by": 0.1},
            "claims.good.relation.reason: missing; allowed: text",
        ),
        ("claims.good.status", "second", "claims.good.status: found 'second'; allowed: primary, e"),
        ("claims.good.looks", [], "claims.good.looks: found []; allowed: null or a list (1"),
        ("claims.good.looks", [1, 5], "claims.good.looks[0]: found 1; allowed: a whole number"),
        ("claims.good.looks", [5, 10, 5], "claims.good.looks[2]: 5 is given twice"),
        ("claims.good.looks", [5, 4], "claims.good.looks[1]: found 4 after 5; each look is at mo"),
        (
            "claims.good",
            CLAIM | {"status": "exploratory", "evidence": "confirmatory"},
            "claims.good.evidence: found 'confirmatory'; an exploratory claim gets no verdict",
        ),
        (
            "stated",
            {"god": {"date": "2026-11-27", "digest": 64 * "0", "first": 0}},
            "stated.god: unknown claim 'god' (did you mean 'good'?)",
        ),
        ("claims.good.groups", [FFG], "claims.good.groups: found [a mapping]; allowed: a list (2"),
        ("claims.good.groups", [FFG, FFG], "claims.good.groups[1]: a mapping is given twice"),
        ("claims.good.groups", [0.5, FFG], "claims.good.groups[0]: found 0.5; one group may be a"),
        ("claims.good.groups", [FFG, 0.5, 0.6], "claims.good.groups[2]: found 0.6; one group may"),
        ("claims.good.groups", [FFG, 96.9], "claims.good.groups[1]: found 96.9; accuracy is a nu"),
        ("claims.good.groups", [FFG, "ft"], "claims.good.groups[1]: found 'ft' (text); allowed:"),
        (f"{GROUP}.experiment", "plane", f"{GROUP}.experiment: unknown experiment 'plane' (did y"),
        (f"{GROUP}.method", "fgf", f"{GROUP}.method: plain does not run 'fgf' (did you mean 'ffg"),
        (
            f"{GROUP}.method",
            "ffg_grid",
            f"{GROUP}.method: plain does not run 'ffg_grid'; plain runs",
        ),
        (f"{GROUP}.T", 3, f"{GROUP}.T: found 3; allowed: 1, 5, the parts of plain"),
        (f"{GROUP}.t", 6, f"{GROUP}.t: found 6; allowed: 1 to T = 5"),
        (f"{GROUP}.stage", 6, f"{GROUP}.stage: unknown key; allowed: experiment, method, T, t"),
        (f"{GROUP}.split", "train", f"{GROUP}.split: found 'train'; allowed: test, and part_01"),
        (f"{GROUP}.split", "part_06", f"{GROUP}.split: found 'part_06'; allowed: test, and part"),
        (f"{GROUP}.split", "part_001", f"{GROUP}.split: found 'part_001'; allowed: test"),
        (f"{GROUP}.predictor", "median", f"{GROUP}.predictor: found 'median' (did you mean 'mean"),
        ("claims.good.groups[1].predictor", "mean", "groups[1].predictor: found 'mean'; ft has no"),
        # A group that is another one in other words.
        (
            "claims.good.groups",
            [FFG, FT, FFG | {"t": 5}],
            "claims.good.groups[2]: the same results as groups[0], with defaults written out",
        ),
        (
            "claims.good.groups",
            [FFG, FFG | {"split": "test"}],
            "groups[1]: the same results as gro",
        ),
        (
            "claims.good.groups",
            [FFG | {"t": 5, "predictor": "predictive"}, FFG],
            "groups[1]: the s",
        ),
        (
            "claims.good.groups",
            [FFG, FFG | {"reported": 0.9}],
            "groups[1]: the same results as gro",
        ),
        (
            "methods.ft",
            SAME_AS_FFG,
            "groups[1].method: ft has the settings of ffg, and so the same",
        ),
        # What holds, or does not, whatever is measured.
        (
            "claims.good.relation",
            EQUIVALENT | {"margin": 1},
            "claims.good.relation.margin: found 1",
        ),
        (
            "claims.good.relation",
            EQUIVALENT | {"margin": 50},
            "so that no result could contradict ",
        ),
        (
            "claims.good.relation",
            NOT_LESS | {"margin": 1.5},
            "relation.margin: found 1.5; accuracy",
        ),
        (
            "claims.good.relation",
            GREATER | {"by": 1},
            "by: found 1.0; accuracy is a numbe",
        ),
        (
            "claims.good.relation",
            GREATER | {"kind": "less", "by": 2},
            "so that no result could support the c",
        ),
        (
            "claims.good.relation",
            GREATER | {"kind": "ordered", "by": 1},
            "relation.by: found 1.0; accuracy i",
        ),
        (
            "claims.good.groups",
            [FFG, 1.0],
            "groups[1]: found 1.0; accuracy is a number from 0 to 1",
        ),
        ("claims.good.groups", [FFG, 0.0], "no result could contradict the claim"),
        (
            "claims.good",
            CLAIM | {"relation": GREATER | {"kind": "less"}, "metric": "nll", "groups": [FFG, 0.0]},
            "claims.good.groups[1]: found 0.0; nll is a number of at least 0, so that no result co",
        ),
        (
            "claims.good",
            CLAIM | {"relation": EQUIVALENT | {"margin": 0.6}, "groups": [FFG, 0.5]},
            "claims.good.relation.margin: found 0.6; accuracy is a number from 0 to 1, so that no ",
        ),
        (f"{GROUP}.reported", 98, f"{GROUP}.reported: found 98.0; accuracy is a number from 0 t"),
        ("budgets.quick.experiments.plain.parts", [1], f"{GROUP}.T: found 5; allowed: 1, the"),
    ],
)
def test_a_bad_claim_is_refused_in_one_line(path, value, expected):
    assert expected in refusal(study((path, value)))


OPEN = [
    ({"kind": "equivalent", "margin": 0.99, "reason": "x"}, [FFG, FT]),
    (GREATER | {"by": 0.99}, [FFG, FT]),
    (GREATER, [FFG, FFG | {"t": 1}]),
    (GREATER, [FFG, FFG | {"predictor": "mean"}]),
    (GREATER | {"kind": "ordered"}, [FFG, FFG | {"split": "part_05"}, FT]),
    (GREATER | {"kind": "less"}, [FFG, 0.5]),
    ({"kind": "not_less", "margin": 0.4, "reason": "x"}, [FFG, 0.5]),
]


@pytest.mark.parametrize(("relation", "groups"), OPEN, ids=map(str, range(len(OPEN))))
def test_a_claim_that_results_can_decide_is_taken(relation, groups):
    resolve_study(study(("claims.good", CLAIM | {"relation": relation, "groups": groups})))


def test_no_margin_is_too_large_for_a_metric_without_bounds():
    claim = {"metric": "nll", "relation": EQUIVALENT | {"margin": 100}}
    resolve_study(study(*((f"claims.good.{key}", value) for key, value in claim.items())))


def test_a_method_that_differs_in_one_experiment_alone_may_be_compared_there():
    twin = [("methods.ft", SAME_AS_FFG), ("experiments.plain.settings.ft.training.epochs", 3)]
    resolve_study(study(*twin))


def fields_of(kind):
    return {field.name for field in dataclasses.fields(CLAIM_TESTS[kind])}


REGIONS = {
    "greater": (0.25, math.inf),
    "less": (-math.inf, -0.25),
    "ordered": (0.25, math.inf),
    "equivalent": (-0.25, 0.25),
    "not_less": (-0.25, math.inf),
    "not_greater": (-math.inf, 0.25),
}


@pytest.mark.parametrize("kind", CLAIM_TESTS)
def test_what_is_planned_with_is_what_a_claim_is_tested_by(kind):
    options = (
        {"by": 0.25, "reason": "x"} if "by" in fields_of(kind) else {"margin": 0.25, "reason": "x"}
    )
    test = CLAIM_TESTS.build({"kind": kind, **options})
    facts = kind_constraints("relation", kind)
    assert test.region() == region_of(facts["region"], options) == REGIONS[kind]
    assert test.pairs(3) == pairs_of(facts["compared"], 3)
