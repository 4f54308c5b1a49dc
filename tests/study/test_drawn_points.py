"""Families without a width that predict by draws, as a study has them."""

import pytest
from bad_studies import refusal
from small_study import changed

from incbayes.core.registry import Registry
from incbayes.kinds import FAMILIES
from incbayes.orchestration.resources import Job, demand
from incbayes.report.methods import describe_method
from incbayes.study.resolve import resolve_study

SWAG = [("methods.ft.family", "swag"), ("methods.ft.inference", "swag")]
PLATEAU = ("training.plateau", {"patience": 1, "min_delta": 0.0})
DRAWN = [name for name in FAMILIES if FAMILIES[name].constraints.get("drawn")]


def test_they_are_two():
    assert DRAWN == ["swag", "mc_dropout"] and isinstance(FAMILIES, Registry)
    for name in FAMILIES:
        assert FAMILIES[name]().drawn == (name != "point")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (SWAG[:1], "methods.ft.inference: vi cannot fit the family swag, which is fitted by: swag"),
        (SWAG[1:], "methods.ft.inference: swag cannot fit the family point; it fits: swag"),
        (
            [*SWAG, PLATEAU],
            "methods.ft.training.plateau: swag needs the last epochs of a stage, and a plateau may",
        ),
        (
            [("methods.ft.family", "mc_dropout"), ("methods.ft.bayesian", "last_layer")],
            "methods.ft.bayesian: found 'last_layer', but the family mc_dropout has no width",
        ),
        (
            [("methods.ft.family", {"kind": "mc_dropout", "rate": 1.0})],
            "methods.ft.family.rate: ",
        ),
        (
            [*SWAG[1:], ("methods.ft.family", {"kind": "swag", "rank": 1})],
            "methods.ft.family.rank: ",
        ),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(changes, expected):
    assert refusal(changed(*changes)).startswith(expected)


def test_a_plateau_is_given_up_by_the_method_alone():
    study = changed(*SWAG, PLATEAU, ("methods.ft.training", {"plateau": None}))
    assert resolve_study(study).training.plateau is not None


@pytest.mark.parametrize("family", ["point", "mc_dropout"])
def test_a_claim_may_be_of_their_mean_network(family):
    mean = {"experiment": "plain", "method": "ft", "T": 5, "predictor": "mean"}
    relation = {"kind": "greater", "by": 0.0, "reason": "any difference counts"}
    claim = {"sentence": "A sentence.", "relation": relation, "groups": [mean, 0.5]}
    study = changed(("methods.ft.family", family), ("claims", {"one": claim}))
    if family == "point":
        assert "ft has no network at a mean beside what predicts; allowed: predictive" in refusal(
            study
        )
    else:
        assert resolve_study(study).claims["one"].groups[0].predictor == "mean"


def test_the_report_says_what_they_are():
    swag = resolve_study(changed(*SWAG))
    assert describe_method(swag, "plain", "ft")[1].startswith(
        "swag (l2 0, rank 10), fitted by swag (share 0.5, rate 0.5, snapshots 20)"
    )
    dropout = resolve_study(changed(("methods.ft.family", "mc_dropout")))
    described = describe_method(dropout, "plain", "ft")
    assert described[1] == "mc_dropout (l2 0, rate 0.1)" and "NLL alone: no KL" in described


def test_memory_grows_with_the_rank():
    asked = []
    for rank in (2, 100):
        family = {"kind": "swag", "rank": rank}
        model = ("experiments.plain.model", {"kind": "mlp", "widths": [1000, 1000]})
        study = resolve_study(changed(SWAG[1], ("methods.ft.family", family), model))
        asked.append(demand(study, Job("plain", "ft", 2, 1, "stage"), 1).mem_mb)
    weights = 64 * 1000 + 1000 * 1000
    assert asked[1] - asked[0] > 98 * 24 * weights / 1e6
