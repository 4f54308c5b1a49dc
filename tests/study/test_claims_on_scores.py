"""Claims on what is scored, and on what is not: draws, temperatures, outliers and shifts."""

import pytest
from bad_studies import refusal
from claimed_study import FFG, study

from incbayes.study.resolve import resolve_study


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ([("claims.good.groups[1]", FFG | {"t": 2})], "accuracy compares stages with 3 draws and"),
        ([("claims.good.metric", "cumulative_error")], "cumulative_error adds up stages with 3 dr"),
        ([("claims.good.groups[1].t", 2)], ""),  # a point has no draws
        ([("claims.good.groups[1]", FFG | {"t": 2, "predictor": "mean"})], ""),
        ([("claims.good.groups[0].t", 3), ("claims.good.groups[1]", FFG | {"t": 2})], ""),
        ([], ""),
    ],
)
def test_stages_of_different_draws_are_not_compared(changes, said):
    fewer = ("evaluation.earlier_samples", 3)
    if said:
        assert said in refusal(study(fewer, *changes))
    else:
        resolve_study(study(fewer, *changes))
    resolve_study(study(*changes))


@pytest.mark.parametrize("metric", ["nll_tempered", "ece_tempered"])
def test_a_claim_on_a_tempered_metric_needs_images_to_fit_the_temperature_on(metric):
    asked = study(("claims.good.metric", metric))
    said = refusal(asked)
    assert said.startswith(f"claims.good.metric: {metric} needs images on which a temperature is")
    assert said.endswith("give experiments.plain.partition.calibration, such as 0.1")
    held = study(
        ("claims.good.metric", metric), ("experiments.plain.partition", {"calibration": 0.1})
    )
    assert resolve_study(held).claims["good"].figure is None


OUTLIERS = ("experiments.plain.outliers", {"mixed": "shuffled"})
AUROC = ("claims.good.metric", "auroc_entropy")
SPLITS = [(f"claims.good.groups[{place}].split", "outliers_mixed") for place in (0, 1)]


def test_a_claim_may_be_on_outliers():
    claim = resolve_study(study(OUTLIERS, AUROC, *SPLITS)).claims["good"]
    assert claim.figure == "outliers" and claim.groups[0].split == "outliers_mixed"
    entropies = ("claims.good.metric", "entropy")
    resolve_study(study(OUTLIERS, entropies, SPLITS[0]))


def test_a_claim_may_be_on_shifted_images_of_the_last_stage():
    turned = ("experiments.plain.shifts", {"turned": {"kind": "rotation", "levels": [30]}})
    splits = [(f"claims.good.groups[{place}].split", "shift_turned_30") for place in (0, 1)]
    resolve_study(study(turned, *splits))
    early = ("claims.good.groups[0].t", 2)
    assert "allowed: test, and part_01 to part_02" in refusal(study(turned, *splits, early))
    aurc = ("claims.good.metric", "aurc")
    assert "aurc is not computed of shifted images" in refusal(study(turned, *splits, aurc))
    other = (splits[0][0], "shift_turned_15")
    assert "the parts seen by then, and shift_turned_30" in refusal(study(turned, splits[1], other))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ([OUTLIERS, *SPLITS], "outliers have no true class, which accuracy needs"),
        ([AUROC], "auroc_entropy compares the test images with outliers: allowed: outliers_NAME"),
        ([AUROC, *SPLITS], "found 'outliers_mixed'; allowed: test, and part_01 to part_05"),
        (
            [OUTLIERS, ("claims.good.groups[0].split", "outliers_other")],
            "the parts seen by then, and outliers_mixed",
        ),
        (
            [OUTLIERS, ("claims.good.metric", "auroc_information"), *SPLITS],
            "auroc_information is of what draws of the weights differ in, and ft is one network",
        ),
        (
            [
                *(("claims.good.metric", "mutual_information"), ("claims.good.groups[0].t", 1)),
                *(("methods.ft.family", "mc_dropout"), ("evaluation.earlier_samples", 3)),
            ],
            "mutual_information grows with the number of draws, of which a stage before the last "
            "has 3 and the last",
        ),
        (
            [
                ("claims.good.metric", "mutual_information"),
                ("claims.good.groups[0].predictor", "mean"),
            ],
            "and the network at the mean is one network",
        ),
        (
            [("claims.good.metric", "aurc"), ("claims.good.groups[0].split", "part_01")],
            "found 'part_01'; aurc is not computed of parts",
        ),
        (
            [
                ("claims.good.metric", "cumulative_error"),
                ("claims.good.groups[0].split", "part_01"),
            ],
            "found 'part_01'; cumulative_error is not computed of parts",
        ),
        (
            [("claims.good.metric", "cumulative_error"), OUTLIERS, *SPLITS],
            "outliers have no true class, which cumulative_error needs",
        ),
        (
            [("claims.good.metric", "cumulative_error"), ("claims.good.groups[1]", -0.5)],
            "found -0.5; cumulative_error is a number of at least 0",
        ),
        (
            [("claims.good.metric", "entropy"), ("claims.good.groups[0].split", "part_01")],
            "found 'part_01'; entropy is not computed of parts",
        ),
    ],
)
def test_a_claim_on_what_is_not_scored_is_refused(changes, said):
    assert said in refusal(study(*changes))


@pytest.mark.parametrize(
    "several",
    [
        {"family": "mc_dropout"},
        {"family": "swag", "inference": "swag"},
        {"family": "point", "inference": {"kind": "ensemble", "members": 2}},
    ],
    ids=["dropout", "swag", "ensemble"],
)
def test_what_predicts_by_several_networks_has_mutual_information(several):
    metric = ("claims.good.metric", "mutual_information")
    changes = [(f"methods.ft.{key}", value) for key, value in several.items()]
    resolve_study(study(metric, *changes))
