"""What a search, its outcome and the settings of a method may not say is refused in one line."""

import copy

import pytest
from bad_studies import refusal
from small_search import LAST, RATES, SEARCH, TUNE, TUNED, searched
from small_study import PLAIN, changed

from incbayes.study.resolve import resolve_study
from incbayes.study.tuning import candidates


def tuned(place, **keys):
    """Return the outcome of a search with keys of a candidate replaced."""
    outcome = copy.deepcopy(TUNED)
    outcome["candidates"][place] |= keys
    return outcome


BAD = [
    ("tune", {}, "tune.search: missing; allowed: a mapping"),
    ("tune", [], "tune: found []; allowed: null or a mapping"),
    ("tune.searches", {}, "tune.searches: unknown key (did you mean 'search'?)"),
    (
        "tune.validation",
        0,
        "tune.validation: found 0; allowed: a number greater than 0 and less th",
    ),
    (
        "tune.validation",
        1,
        "tune.validation: found 1; allowed: a number greater than 0 and less th",
    ),
    (
        "tune.validation",
        0.999,
        "tune.validation: found 0.999; it leaves 1 of 1437 training images, and plain cuts them "
        "into 5 parts",
    ),
    ("tune.replicates", 0, "tune.replicates: found 0; allowed: a whole number of at least 1"),
    ("tune.metric", "acc", "tune.metric: found 'acc'; allowed: accuracy, nll"),
    ("tune.search", {}, "tune.search: empty; at least one entry is needed"),
    ("tune.search.plane", SEARCH, "tune.search.plane: unknown experiment (did you mean 'plain'?)"),
    ("tune.search.plain", {}, "tune.search.plain: empty; at least one entry is needed"),
    ("tune.search.plain.fgf", RATES, "tune.search.plain.fgf: unknown method (did you mean 'ffg'?)"),
    ("tune.search.plain.ft", {}, "tune.search.plain.ft: empty; at least one entry is needed"),
    (
        "tune.search.plain.ffg_grid",
        RATES,
        "tune.search.plain.ffg_grid: plain does not run it; it runs ft, ffg",
    ),
    (
        "tune",
        searched(ffg={"objective.kl_scale": [0.1, 0.3, 1]}),
        "tune.search.plain: the numbers of candidates differ: ft 2, ffg 3; allowed: the same",
    ),
    (
        "tune",
        searched(ft={"learning_rate": [1, 2]}),
        "tune.search.plain.ft.learning_rate: not a setting; allowed: family.…, prior.…, training.",
    ),
    (
        "tune",
        searched(ft={"trainin.epochs": [1, 2]}),
        "tune.search.plain.ft.'trainin.epochs': not a setting (did you mean 'training'?); allowed",
    ),
    ("tune", searched(ft={"training.": [1, 2]}), "tune.search.plain.ft.'training.': not a setting"),
    (
        "tune",
        searched(ft={"training.learn_rate": [1, 2]}),
        "tune.search.plain.ft.'training.learn_rate': unknown key (did you mean 'learning_rate'?);",
    ),
    (
        "tune",
        searched(ft={"training.plateau.patience": [1, 2]}),
        "tune.search.plain.ft.'training.plateau.patience': missing; allowed: a number of at least",
    ),
    (
        "tune",
        searched(ffg={"family.sigma": [1, 2]}),
        "tune.search.plain.ffg.'family.sigma': unknown option of family ffg; allowed: ",
    ),
    (
        "tune",
        searched(ffg={"prior.variance": [1, 2]}),
        "tune.search.plain.ffg.'prior.variance': unknown option of prior normal; allowed: sigma",
    ),
    (
        "tune",
        searched(ffg={"prior.sigma": [1, -2]}),
        "tune.search.plain.ffg.'prior.sigma'[1]: found -2; allowed: null or a number of at least ",
    ),
    (
        "tune",
        searched(ffg={"family.kind": ["ffg", "mnf"]}),
        "tune.search.plain.ffg.'family.kind': another family makes another method; add one to `me",
    ),
    (
        "tune",
        searched(ft={"training.learning_rate": [1e-3, 0]}),
        "tune.search.plain.ft.'training.learning_rate'[1]: found 0; allowed: a number of at least",
    ),
    (
        "tune",
        searched(ft={"training.schedule": ["cosine", "step"]}),
        "tune.search.plain.ft.'training.schedule'[1]: found 'step'; allowed: constant, cosine",
    ),
    (
        "tune",
        searched(ft={"training.epochs": []}),
        "tune.search.plain.ft.'training.epochs': found []; allowed: a list (1 or more, each any v",
    ),
    (
        "tune",
        searched(ft={"training.log_sigma_rate": [1, 10]}),
        "tune.search.plain.ft.'training.log_sigma_rate': has no effect on the family point as it",
    ),
    (
        "tune",
        searched(ft={"objective.kl_scale": [0.1, 1]}),
        "tune.search.plain.ft.'objective.kl_scale': has no effect on the family point as it is set",
    ),
    (
        "tune",
        searched(ft={"training.learning_rate": [1e-3, "1e-3"]}),
        "tune.search.plain.ft: candidates 1 and 2 are the same",
    ),
    (f"{PLAIN}.settings", [], f"{PLAIN}.settings: found []; allowed: a mapping"),
    (f"{PLAIN}.settings.fgf", {}, f"{PLAIN}.settings.fgf: plain does not run it (did you mean 'ff"),
    (f"{PLAIN}.settings.ffg_grid", {}, f"{PLAIN}.settings.ffg_grid: plain does not run it"),
    (f"{PLAIN}.settings.ffg.label", "x", f"{PLAIN}.settings.ffg.label: unknown key; allowed: fam"),
    (
        f"{PLAIN}.settings.ffg.family",
        {"kind": "mnf"},
        f"{PLAIN}.settings.ffg.family.kind: another family makes another method",
    ),
    (
        f"{PLAIN}.settings.ffg.family",
        {"initial_sigma": 0},
        f"{PLAIN}.settings.ffg.family.initial_sigma: found 0; allowed: a number of at least 1e",
    ),
    (
        f"{PLAIN}.settings.ft.training",
        {"epochs": 0},
        f"{PLAIN}.settings.ft.training.epochs: found 0; allowed: a whole number of at least 1",
    ),
    (
        f"{PLAIN}.settings.ft.objective",
        {"complexity": "monte_carlo"},
        "methods.ft.objective.complexity: monte_carlo needs the density of a draw",
    ),
    ("tuned", {}, "tuned.study: missing; allowed: text (one line, not empty"),
    ("tuned", TUNED, f"{PLAIN}.settings.ffg.family.initial_sigma: found null; the search in `tun"),
    (
        "tuned",
        tuned(1, scores=[LAST[0] | {"accuracy": 0.6}]),
        "tuned.candidates[0].chosen: the best accuracy of ffg in plain is that of candidates[1]",
    ),
    (
        "tuned",
        tuned(1, scores=[LAST[0] | {"T": 5}]),
        "tuned.candidates[1].scores: scored in [5] parts, others of plain in [1]",
    ),
    ("tuned", tuned(0, chosen=False), "tuned.candidates[0].chosen: the best accuracy of ffg in p"),
    ("tuned", tuned(1, chosen=True), "tuned.candidates[1].chosen: the best accuracy of ffg in pl"),
]


@pytest.mark.parametrize(
    ("path", "value", "expected"), BAD, ids=[f"{i}-{bad[0]}" for i, bad in enumerate(BAD)]
)
def test_a_bad_search_is_refused_in_one_line(path, value, expected):
    assert refusal(changed(("tune", copy.deepcopy(TUNE)), (path, value))).startswith(expected)


def test_a_bad_search_of_a_budget_is_refused_too():
    study = changed(("tune", TUNE), ("budgets.quick.tune", {"validation": 2}))
    assert refusal(study).startswith("budgets.quick.tune.validation: found 2; allowed: a number")


@pytest.mark.parametrize("validation", [0.1, 0.2])
def test_a_search_counts_the_images_that_a_study_states_of_its_own(validation):
    dataset = {"kind": "image_folder", "source": "photos.zip", "shape": [1, 8, 8]}
    study = changed(
        ("experiments.plain.dataset", dataset | {"classes": ["a", "b"], "train": 10, "test": 4}),
        ("experiments.plain.partition", {}),
        ("experiments.plain.parts", [9]),
        ("tune", TUNE | {"validation": validation}),
    )
    if validation == 0.1:
        assert candidates(resolve_study(study))
    else:
        expected = "tune.validation: found 0.2; it leaves 8 of 10 training images"
        assert refusal(study).startswith(expected)
