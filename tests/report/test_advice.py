"""Advice: what is said of made records and histories, and what is left unsaid."""

import math

import pandas as pd
import pytest

from incbayes.report.advice import (
    BEHIND,
    CHANCE,
    FLATTERED,
    NARROW,
    RESTLESS,
    UNTEMPERED,
    advise,
    still_rises,
)
from incbayes.study.resolve import resolve_study
from incbayes.study.settings import method_settings

EPOCHS = 20


def study(dataset="digits", calibration=None, **training):
    experiment = {"dataset": dataset, "model": {"kind": "mlp", "widths": [8]}, "parts": [1, 3]}
    if calibration:
        experiment["partition"] = {"calibration": calibration}
    if dataset == "diabetes":
        experiment["likelihood"] = "gaussian"
    return resolve_study(
        {
            "study": "advised",
            "training": {"epochs": EPOCHS} | training,
            "objective": {"kl_scale": 1.0},
            "experiments": {"e": experiment | {"title": "Some data"}},
            "methods": {
                "ft": {"label": "Fine-tuning", "family": "point"},
                "ffg": {"label": "FFG", "family": "ffg"},
            },
        }
    )


def records(metric, values, replicates=2):
    """Return records of the last stage from {(method, T): value}."""
    return pd.DataFrame(
        {
            "experiment": "e", "method": method, "T": T, "t": T, "replicate": replicate,
            "split": "test", "predictor": "predictive", "metric": metric, "value": value,
        }
        for (method, T), value in values.items()
        for replicate in range(replicates)
    )  # fmt: skip


def falling(epoch):
    """Return the rate at the end of an epoch under a cosine schedule, as a share of the first."""
    return 0.5 * (1 + math.cos(math.pi * epoch / EPOCHS))


def history(method="ffg", t=1, bound=None, sigma=None, images=50, T=3, rate=lambda epoch: 1.0):
    """Return rows of training.csv of a stage, bound per image and σ ratio by epoch."""
    bound = bound or (lambda epoch: -1.0 - math.exp(-epoch))
    sigma = sigma or (lambda epoch: 0.1 * 1.1**epoch)
    rows = [
        {
            "experiment": "e", "method": method, "T": T, "t": t, "replicate": replicate,
            "epoch": epoch, "images": images, "elbo": images * bound(epoch), "nll": 1.0,
            "sigma_ratio": sigma(epoch) if method != "ft" else float("nan"),
            "learning_rate": 1e-3 * rate(epoch),
        }
        for replicate in (0, 1)
        for epoch in range(1, EPOCHS + 1)
    ]  # fmt: skip
    return pd.DataFrame(rows)


FINE = {("ft", 1): 0.97, ("ft", 3): 0.96, ("ffg", 1): 0.97, ("ffg", 3): 0.95}


def kinds(found):
    return [advice.kind for advice in found]


def test_a_study_that_went_well_is_given_none():
    assert advise(study(), records("accuracy", FINE), history(), {}) == []
    assert advise(study(), records("accuracy", FINE)[:0], history()[:0], {}) == []


@pytest.mark.parametrize(
    ("accuracy", "expected"),
    [(0.10, CHANCE), (0.18, CHANCE), (0.20, BEHIND), (0.49, BEHIND), (0.56, None)],
)
def test_a_method_at_chance_or_far_behind_is_named_with_what_to_try(accuracy, expected):
    found = advise(study(), records("accuracy", FINE | {("ffg", 3): accuracy}), history(), {})
    assert kinds(found) == [expected] * (expected is not None)
    for advice in found:
        assert f"FFG (T = 3) {100 * accuracy:.2f} %" in advice.line
        assert "kl_scale` (now 1)" in advice.line and "epochs` (now 20)" in advice.line
        assert "FFG (T = 1)" not in advice.line
        assert ("Fine-tuning (T = 3) 96.00 %" in advice.line) == (expected == BEHIND)


def test_a_point_is_not_told_to_weigh_a_kl_that_it_has_not():
    (found,) = advise(study(), records("accuracy", FINE | {("ft", 1): 0.1}), history(), {})
    assert found.kind == CHANCE and "kl_scale" not in found.line


def test_among_methods_that_all_guess_none_is_behind():
    values = {("ft", 1): 0.12, ("ffg", 1): 0.10}
    assert kinds(advise(study(), records("accuracy", values), history(), {})) == [CHANCE]


@pytest.mark.parametrize(("ece", "said"), [(0.01, True), (0.2, False)])
def test_a_calibration_of_who_guesses_is_no_merit(ece, said):
    values = records("accuracy", FINE | {("ffg", 3): 0.11})
    values = pd.concat([values, records("ece", dict.fromkeys(FINE, 0.01) | {("ffg", 3): ece})])
    found = advise(study(), values, history(), {})
    assert kinds(found) == [CHANCE, *([FLATTERED] if said else [])]
    if said:
        assert "ECE looks good" in found[-1].line and "FFG (T = 3) 1.00 %" in found[-1].line
        assert "Fine-tuning" not in found[-1].line


def test_a_number_is_compared_with_saying_the_mean():
    values = {("ft", 1): 55.0, ("ft", 3): 56.0, ("ffg", 1): 57.0, ("ffg", 3): 76.0}
    of_number = pd.concat(
        [records("rmse", values), records("coverage_90", dict.fromkeys(values, 0.91))]
    )
    found = advise(study("diabetes"), of_number, history(), {"e": 77.0})
    assert kinds(found) == [CHANCE, FLATTERED]
    assert "always saying the mean (77.0000); RMSE of FFG (T = 3) 76.0000" in found[0].line
    assert advise(study("diabetes"), of_number, history(), {}) == [], "not known, not judged"


def test_a_bound_that_still_rises_is_told_from_one_at_rest():
    rising = history(bound=lambda epoch: -2.0 + 0.05 * epoch)
    flat = history(bound=lambda epoch: -2.0 + 0.0001 * epoch)
    chosen = study(schedule="constant")
    found = advise(chosen, records("accuracy", FINE), rising, {})
    assert kinds(found) == [RESTLESS] and "FFG (T = 3) in stage 1" in found[0].line
    for calm in (flat, history()):
        assert advise(chosen, records("accuracy", FINE), calm, {}) == []
    both = pd.concat([rising, rising.assign(t=2), history(t=3)])
    assert "in stages 1 to 2" in advise(chosen, records("accuracy", FINE), both, {})[0].line


def test_speed_is_by_the_rate_so_that_a_falling_one_hides_nothing():
    travelled = [0.0]
    for epoch in range(EPOCHS):
        travelled.append(travelled[-1] + falling(epoch))
    settings = method_settings(study(), "e", "ffg")

    def rising(epoch):
        return -2.0 + 0.1 * travelled[epoch]

    # By the rates that were recorded: a method may have others than the schedule's.
    assert still_rises(history(bound=rising, rate=falling), settings)
    at_rest = "at a constant rate it would have come to rest"
    assert not still_rises(history(bound=rising), settings), at_rest


def test_a_stage_that_cannot_be_judged_is_not():
    rising = history(bound=lambda epoch: -2.0 + 0.05 * epoch)
    settings = method_settings(study(schedule="constant"), "e", "ffg")
    assert not still_rises(rising[rising["epoch"] <= 3], settings)
    uneven = rising[(rising["replicate"] == 0) | (rising["epoch"] <= 12)]
    assert not still_rises(uneven, settings), "a plateau ended one of them earlier"


@pytest.mark.parametrize(
    ("end", "stuck"), [(0.1, True), (0.105, True), (0.12, False), (0.9, False)]
)
def test_a_width_that_ends_where_it_began_is_named(end, stuck):
    training = history(sigma=lambda epoch: end)
    found = advise(study(), records("accuracy", FINE), training, {})
    assert kinds(found) == [NARROW] * stuck
    if stuck:
        assert "log_sigma_rate` (now 10)" in found[0].line and "begun at 0.1" in found[0].line
    later = training.assign(t=2)
    assert advise(study(), records("accuracy", FINE), later, {}) == [], "σ of a prior that is kept"


def test_points_have_no_width_to_move():
    points = history("ft").drop(columns="sigma_ratio")
    assert advise(study(), records("accuracy", FINE), points, {}) == []


def test_a_temperature_that_could_not_be_fitted_is_named():
    chosen = study(calibration=0.1)
    plain, tempered = dict.fromkeys(FINE, 0.2), dict.fromkeys(FINE, 0.15)
    values = [records("accuracy", FINE), records("nll", plain)]
    fitted = pd.concat([*values, records("nll_tempered", tempered)])
    assert advise(chosen, fitted, history(), {}) == []
    kept = (fitted["metric"] == "nll_tempered") & (fitted["method"] == "ffg")
    kept &= (fitted["T"] == 3) & (fitted["replicate"] == 1)
    (found,) = advise(chosen, fitted.assign(value=fitted["value"].mask(kept, 0.2)), history(), {})
    assert found.kind == UNTEMPERED and "FFG (T = 3) in 1 of 2 replicates" in found.line
    assert "Fine-tuning" not in found.line
    assert found.line.endswith("Try a larger `partition.calibration` (now 0.1).")


def test_a_reduced_budget_is_what_to_change_first():
    written = {
        "study": "advised",
        "experiments": {
            "e": {"dataset": "digits", "model": {"kind": "mlp", "widths": [8]}, "parts": [1]}
        },
        "methods": {"ffg": {"family": "ffg"}},
        "budgets": {"quick": {"training": {"epochs": 1}}},
    }
    found = records("accuracy", {("ffg", 1): 0.12})
    empty = history(T=1).iloc[:0]
    said = [
        advise(resolve_study(written | {"budget": budget}), found, empty, {})[0].line
        for budget in ("full", "quick")
    ]
    assert "Try a tenth of `objective.kl_scale`" in said[0]
    assert said[1].endswith(". Try the whole study first, as this is its budget `quick`.")
