"""Outliers and shifts in a study: normal form, splits, costs, and what is refused of them."""

import pytest
from bad_studies import refusal
from small_study import changed

from incbayes.orchestration.plan import Plan
from incbayes.orchestration.resources import Job, demand
from incbayes.study.datasets import data_sets
from incbayes.study.model import plain_study
from incbayes.study.outliers import data_sets_among, outlier_splits
from incbayes.study.resolve import resolve_study
from incbayes.study.settings import chain_settings
from incbayes.study.shifts import levels_of, shift_splits

PLAIN = "experiments.plain"
SETS = {"turned": "rotated", "mixed": {"kind": "shuffled"}}
ON_MNIST = [(f"{PLAIN}.dataset", "mnist"), (f"{PLAIN}.outliers", {"clothes": "fashion_mnist"})]


FOLDER = {
    "kind": "image_folder", "source": "x", "shape": [1, 8, 8], "classes": ["a", "b"],
    "train": 100, "test": 10,
}  # fmt: skip


def study(*changes):
    return resolve_study(changed(*changes))


def test_outliers_have_a_normal_form_and_splits_by_their_names():
    plain = study((f"{PLAIN}.outliers", SETS)).experiments["plain"]
    assert {name: spec.kind for name, spec in plain.outliers.items()} == {
        "turned": "rotated",
        "mixed": "shuffled",
    }
    assert outlier_splits(plain) == ["outliers_turned", "outliers_mixed"]
    assert data_sets_among(plain.outliers) == {}


def test_a_study_without_outliers_has_the_normal_form_and_the_chains_it_had():
    without = study()
    assert "outliers" not in plain_study(without)["experiments"]["plain"]
    assert without.experiments["plain"].outlier_sets == {}
    assert "outliers" not in chain_settings(without, "plain", "ft")
    assert "outliers" in chain_settings(study((f"{PLAIN}.outliers", SETS)), "plain", "ft")


def test_outliers_of_a_data_set_are_prepared_and_scored_as_its_test_images():
    resolved = study(*ON_MNIST)
    plan = Plan(resolved)
    assert {"mnist", "fashion_mnist"} <= set(data_sets(resolved.experiments))
    assert plan.outlier_files("plain", "test.safetensors") == [
        "results/data/fashion_mnist/test.safetensors"
    ]
    assert list(plan.users_of("fashion_mnist")) == ["plain"]
    files = plan.image_files("checksums.json")
    assert files["plain, outliers clothes"] == "results/data/fashion_mnist/checksums.json"
    assert plan.evaluation("plain", "ft")["outliers"] == {"clothes": {"kind": "fashion_mnist"}}


def test_the_code_of_made_outliers_is_code_of_their_scores_alone():
    settings = lambda plan: plan.settings("plain", "ft")  # noqa: E731
    plain, with_sets = Plan(study()), Plan(study((f"{PLAIN}.outliers", SETS)))
    for script, same in (("evaluate", False), ("fit", True)):
        codes = {plan.code_of(script, "plain", settings(plan)) for plan in (plain, with_sets)}
        assert (len(codes) == 1) == same


def test_outliers_are_counted_in_what_a_job_asks_for():
    job = Job("plain", "ft", 5, 3, "scores")
    changes = [(f"{PLAIN}.dataset", "mnist"), ("evaluation", {"samples": 100})]
    fewer, more = (
        demand(study(*changes, *of), job, 1) for of in ([], [(f"{PLAIN}.outliers", SETS)])
    )
    assert more.runtime > fewer.runtime and more.mem_mb > fewer.mem_mb


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ([(f"{PLAIN}.outliers", {"x": "rotatd"})], "did you mean 'rotated'?"),
        ([(f"{PLAIN}.outliers", {"X": "rotated"})], "lower-case letters, digits and _"),
        ([(f"{PLAIN}.outliers", {"x": {"kind": "rotated", "by": 1}})], "it has no options"),
        (
            [(f"{PLAIN}.outliers", {"x": "digits"})],
            f"{PLAIN}.outliers.x: digits is the experiment's own data set; name another",
        ),
        (
            [(f"{PLAIN}.outliers", {"x": "mnist"})],
            f"{PLAIN}.outliers.x: images of mnist are [1, 28, 28], channels first, and those of "
            "digits [1, 8, 8]; name a data set of the same shape",
        ),
        (
            [
                (f"{PLAIN}.dataset", "breast_cancer"),
                (f"{PLAIN}.model", "mlp"),
                (f"{PLAIN}.outliers", {"x": "shuffled"}),
            ],
            f"{PLAIN}.outliers: breast_cancer is a table, and outliers are of images",
        ),
        (
            [(f"{PLAIN}.outliers", {"x": FOLDER | {"test": 0}})],
            f"{PLAIN}.outliers.x.test: found 0, and an experiment needs images or rows to score on",
        ),
        (
            [(f"{PLAIN}.outliers", {"x": FOLDER | {"classes": ["a", "a"]}})],
            f"{PLAIN}.outliers.x.classes",
        ),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(changes, said):
    assert said in refusal(changed(*changes))


def test_images_that_are_not_square_cannot_be_turned():
    folder = FOLDER | {"shape": [1, 4, 6]}
    changes = [(f"{PLAIN}.dataset", folder), (f"{PLAIN}.outliers", {"x": "rotated"})]
    said = "rotated keeps the shape of square images alone; those of image_folder are 4×6"
    assert said in refusal(changed(*changes))


SHIFTS = {"turned": {"kind": "rotation", "levels": [30, 90]}, "noise": "gaussian_noise"}


def test_levels_are_named_by_degrees_or_by_their_place():
    plain = study((f"{PLAIN}.shifts", SHIFTS)).experiments["plain"]
    assert levels_of(plain.image_shifts["turned"]) == {30: 30, 90: 90}
    assert levels_of(plain.image_shifts["noise"]) == {1: 0.08, 2: 0.12, 3: 0.18, 4: 0.26, 5: 0.38}
    noise = [f"shift_noise_{place}" for place in range(1, 6)]
    assert shift_splits(plain) == ["shift_turned_30", "shift_turned_90", *noise]
    usual = study((f"{PLAIN}.shifts", {"turned": "rotation"})).experiments["plain"]
    assert list(levels_of(usual.image_shifts["turned"])) == list(range(15, 181, 15))


def test_shifts_are_counted_for_the_last_stage_and_are_none_of_a_search():
    job = Job("plain", "ft", 5, 3, "scores")
    plain, shifted = study(), study((f"{PLAIN}.shifts", SHIFTS))
    assert demand(shifted, job, 1).mem_mb >= demand(plain, job, 1).mem_mb
    large = [(f"{PLAIN}.dataset", "mnist"), ("evaluation", {"samples": 100})]
    fewer, more, outliers = (
        demand(study(*large, *of), job, 1).runtime
        for of in (
            [],
            [(f"{PLAIN}.shifts", {"turned": {"kind": "rotation", "levels": [30, 90]}})],
            [(f"{PLAIN}.outliers", SETS)],
        )
    )
    assert fewer < more < outliers, "as many images, which outliers take after every stage"


@pytest.mark.parametrize(
    ("shifts", "said"),
    [
        ({"x": "rotate"}, "did you mean 'rotation'?"),
        ({"x": {"kind": "rotation", "levels": [1.5]}}, "levels[0]: found 1.5"),
        ({"x": {"kind": "rotation", "levels": [30, 45, 30]}}, "shifts.x.levels[2]: 30 is given tw"),
        ({"x": {"kind": "blur", "levels": []}}, "shifts.x.levels: found []; give one or more"),
        ({"x": "blur", "x_1": "rotation"}, "shifts.x: x_1 has the name of a level of x; rename"),
    ],
)
def test_shifts_that_contradict_themselves_are_refused(shifts, said):
    assert said in refusal(changed((f"{PLAIN}.shifts", shifts)))


def test_a_table_has_no_shifts():
    changes = [(f"{PLAIN}.dataset", "breast_cancer"), (f"{PLAIN}.model", "mlp")]
    said = f"{PLAIN}.shifts: breast_cancer is a table, and shifts are of images"
    assert said in refusal(changed(*changes, (f"{PLAIN}.shifts", SHIFTS)))
