"""The search for settings: its candidates, its choice, the study that uses it."""

import copy
import dataclasses

import numpy as np
import pandas as pd
import pytest
import yaml
from made_studies import Shape, made_context, made_study
from msgspec.structs import replace
from small_search import LAST, RATES, SEARCH, TUNE, TUNED, searched
from small_study import HALVES, PLAIN, changed

from incbayes.report.tuning import search_tables, unsearched
from incbayes.results.tuning import chosen_settings, scored, write_outcome
from incbayes.study.model import Outcome, Score, to_plain
from incbayes.study.resolve import resolve_study
from incbayes.study.settings import method_settings
from incbayes.study.tuning import (
    best,
    candidates,
    grid,
    previous_candidates,
    search_of,
    with_candidates,
)
from incbayes.study.yaml import StudyError


def test_settings_for_a_method_in_an_experiment_win_over_all_other_levels():
    study = resolve_study(
        changed(
            ("training", {"epochs": 1, "batch_size": 1}),
            (f"{HALVES}.training.epochs", 2),
            ("methods.ffg.training", {"epochs": 3, "learning_rate": 0.1}),
            (f"{PLAIN}.settings.ffg", {"training": {"epochs": "4e0"}, "objective": {"draws": 7}}),
            (f"{HALVES}.settings.ffg_laplace", {"prior": {"fisher": "mc"}}),
        )
    )
    plain = method_settings(study, "plain", "ffg")
    assert plain.training.epochs == 4 and plain.objective.draws == 7
    assert plain.training.learning_rate == 0.1 and plain.training.batch_size == 1
    assert plain.family == study.methods["ffg"].family
    assert method_settings(study, "halves", "ffg").training.epochs == 3
    assert method_settings(study, "halves", "ffg").objective.draws == 1
    prior = study.methods["ffg_laplace"].prior.changed({"fisher": "mc"})
    assert method_settings(study, "halves", "ffg_laplace").prior == prior


def test_a_grid_is_every_combination_in_order():
    found = grid({"a": [1, 2], "b": ["x", "y"]})
    assert [tuple(settings.values()) for settings in found] == [
        *((1, "x"), (1, "y"), (2, "x"), (2, "y"))
    ]


def test_candidates_stand_beside_a_study_that_stays_as_it_is():
    study = resolve_study(changed(("tune", TUNE), (f"{PLAIN}.settings.ft.training.epochs", 9)))
    before = copy.deepcopy(study)
    derived = with_candidates(study)
    assert study == before
    for key in ("experiments", "methods"):
        entries = getattr(study, key)
        assert {name: getattr(derived, key)[name] for name in entries} == entries
    experiment = derived.experiments["tuning/plain"]
    assert experiment.methods == ("ft-1", "ft-2", "ffg-1", "ffg-2")
    own = study.experiments["plain"].partition
    assert experiment.partition == replace(own, validation=0.1) != own
    for candidate in candidates(study):
        own = to_plain(method_settings(study, "plain", candidate.method))
        names = candidate.derived_experiment, candidate.derived_method
        found = to_plain(method_settings(derived, *names))
        ((key, value),) = candidate.settings.items()
        section, option = key.split(".")
        assert found[section][option] == value
        assert found == own | {section: own[section] | {option: value}}
    plain = resolve_study(changed())
    assert with_candidates(plain) == plain


def test_the_search_is_among_the_chains_that_are_run():
    study = replace(resolve_study(changed(("tune", TUNE))), only=("plain.ffg.T5",))
    assert {(c.experiment, c.method) for c in candidates(study)} == {("plain", "ffg")}
    (derived,) = {c.derived_experiment for c in candidates(study)}
    assert with_candidates(study).experiments[derived].parts == (5,)


def test_each_experiment_has_a_search_of_its_own():
    halves = {"ffg_laplace": {"prior.fisher": ["mc"]}, "ft": {"training.epochs": [3]}}
    study = resolve_study(changed(("tune", {"search": {"halves": halves, "plain": SEARCH}})))
    found = [(c.experiment, c.method, c.settings) for c in candidates(study)]
    assert found == [
        ("plain", "ft", {"training.learning_rate": 1e-3}),
        ("plain", "ft", {"training.learning_rate": 1e-2}),
        ("plain", "ffg", {"family.initial_sigma": 0.01}),
        ("plain", "ffg", {"family.initial_sigma": 0.1}),
        ("halves", "ft", {"training.epochs": 3}),
        ("halves", "ffg_laplace", {"prior.fisher": "mc"}),
    ]


def score_of(metric, value):
    return Score(**({"T": 1, "accuracy": 0.0, "nll": 0.0} | {metric: value}))


@pytest.mark.parametrize(
    ("scores", "metric", "place"),
    [
        ([0.2, 0.9, 0.5], "accuracy", 1),
        ([0.2, 0.9, 0.1], "nll", 2),
        ([0.5, 0.9, 0.9], "accuracy", 1),
        ([0.3, 0.2, 0.2], "nll", 1),
    ],
)
def test_the_best_candidate_is_chosen_and_the_first_of_equals(scores, metric, place):
    # The mean over T decides, so that T = 1 and 2 may each prefer another one.
    of_candidates = [[score_of(metric, 0.0), score_of(metric, 2 * score)] for score in scores]
    assert best(of_candidates, metric) == place


def made_records(study):
    """Return records of all candidates in two replicates, `mean` records and parts among them."""
    rng = np.random.default_rng(0)
    rows = [
        {
            "experiment": candidate.derived_experiment,
            "method": candidate.derived_method,
            "T": T,
            "t": T,
            "replicate": replicate,
            "split": split,
            "predictor": predictor,
            "metric": metric,
            "value": rng.random(),
        }
        for candidate in candidates(study)
        for T in study.experiments[candidate.experiment].parts
        for replicate in range(2)
        for split in ("validation", "part_01")
        for predictor in ("predictive", "mean")
        for metric in ("accuracy", "nll", "ece")
    ]
    return pd.DataFrame(rows)


@pytest.mark.parametrize("metric", ["accuracy", "nll"])
def test_the_choice_is_that_of_the_records(metric):
    study = resolve_study(changed(("tune", TUNE | {"metric": metric})))
    records = made_records(study)
    found = scored(candidates(study), records, metric)
    kept = records.query("split == 'validation' and predictor == 'predictive'")
    means = kept[kept["metric"] == metric].groupby("method")["value"].mean()
    for method in SEARCH:
        values = [means[f"{method}-{number}"] for number in (1, 2)]
        winner = int(np.argmax(values) if metric == "accuracy" else np.argmin(values))
        chosen = [c.chosen for c in found if c.method == method]
        assert chosen == [place == winner for place in range(2)]
    assert [score.T for score in found[0].scores] == [1, 5]


def test_the_outcome_makes_a_study_that_uses_it(tmp_path):
    raw = changed(("tune", TUNE))
    study = resolve_study(raw)
    found = scored(candidates(study), made_records(study), "accuracy")
    outcome = Outcome(**to_plain(search_of(study)), candidates=tuple(found))
    write_outcome(outcome, tmp_path / "candidates.csv", tmp_path / "chosen.yaml")
    overlay = yaml.safe_load((tmp_path / "chosen.yaml").read_text(encoding="utf-8"))
    assert overlay == chosen_settings(outcome)
    used = copy.deepcopy(raw) | {"tuned": overlay["tuned"]}
    used["experiments"]["plain"] |= overlay["experiments"]["plain"]
    resolved = resolve_study(used)
    for candidate in found:
        if candidate.chosen:
            settings = to_plain(method_settings(resolved, "plain", candidate.method))
            ((key, value),) = candidate.settings.items()
            section, option = key.split(".")
            assert settings[section][option] == value
    # A search that is run again with its outcome in use tries the same.
    assert [
        method_settings(with_candidates(resolved), c.derived_experiment, c.derived_method)
        for c in candidates(resolved)
    ] == [
        method_settings(with_candidates(study), c.derived_experiment, c.derived_method)
        for c in candidates(study)
    ]
    rows = pd.read_csv(tmp_path / "candidates.csv")
    assert len(rows) == 4 * 2 and rows.groupby("method")["chosen"].sum().tolist() == [2, 2]


def alone(study, *only):
    """Return a study of which only some chains are run."""
    return replace(study, only=only)


def with_outcome(*changes):
    """Return the small study with the outcome of a search in use."""
    used = ("experiments.plain.settings.ffg.family.initial_sigma", 0.01)
    return resolve_study(changed(("tuned", TUNED), used, *changes))


def test_a_search_keeps_what_was_tried_before_for_other_methods():
    study = with_outcome(("tune", {"search": {"plain": SEARCH}}))
    assert previous_candidates(study) == []
    assert previous_candidates(alone(study, "plain.ft.T1")) == list(study.tuned.candidates)
    assert previous_candidates(alone(resolve_study(changed(("tune", TUNE))), "plain.ft")) == []


@pytest.mark.parametrize(
    "search",
    [{"ft": RATES}, SEARCH | {"ffg": {"family.initial_sigma": [0.1, 0.2]}}],
    ids=["method", "candidates"],
)
def test_a_search_drops_what_it_no_longer_states(search):
    study = alone(with_outcome(("tune", {"search": {"plain": search}})), "plain.ft.T1")
    assert previous_candidates(study) == []


def test_a_search_refuses_to_add_to_scores_of_other_parts():
    study = alone(with_outcome(("tune", TUNE)), "plain.ft")
    with pytest.raises(
        StudyError, match=r"ffg in plain were scored in \[1\] parts, .* in \[1, 5\]"
    ):
        previous_candidates(study)


def test_the_place_of_a_refused_candidate_is_that_in_the_outcome():
    study = alone(with_outcome(("tune", TUNE)), "plain.ft")
    no_longer_searched = replace(study.tuned.candidates[0], method="gone")
    found = (no_longer_searched, *study.tuned.candidates)
    study = replace(study, tuned=replace(study.tuned, candidates=found))
    with pytest.raises(StudyError) as error:
        previous_candidates(study)
    assert error.value.path == ("tuned", "candidates", 1, "scores")


def test_candidates_do_not_inherit_what_an_earlier_search_chose():
    study = with_outcome(("tune", searched(ffg={"objective.kl_scale": [0.1, 1.0]})))
    with pytest.raises(StudyError, match=r"^tune.search.plain.ffg: .*family.initial_sigma is none"):
        previous_candidates(study)


@pytest.mark.parametrize("key", ["validation", "replicates", "metric", "seed"])
def test_a_search_refuses_to_add_to_the_outcome_of_another(key):
    other = {"validation": 0.2, "replicates": 3, "metric": "nll", "seed": 1}[key]
    changes = [("tune", TUNE)] if key == "seed" else []
    changes.append((key, other) if key == "seed" else ("tune", TUNE | {key: other}))
    study = alone(with_outcome(*changes), "plain.ft.T1")
    with pytest.raises(StudyError, match=f"^tuned.{key}: found .*, but the search that adds to it"):
        previous_candidates(study)


def test_the_report_shows_every_candidate_and_who_was_not_searched():
    shape = Shape(methods=3)
    context = made_context(shape)
    settings = [{"training.learning_rate": 1e-3}, {"training.learning_rate": 3e-4}]
    outcome = TUNED | {
        "candidates": [
            {
                "experiment": "e0",
                "method": method,
                "settings": tried,
                "scores": [LAST[0] | {"accuracy": 0.9876 - place / 10}],
                "chosen": place == 0,
            }
            for method in ("m0", "m1")
            for place, tried in enumerate(settings)
        ]
    }
    study = made_study(shape, tuned=outcome)
    (table,) = search_tables(study, context)
    assert [row[:3] for row in table.rows] == [
        ["Fine-tuning", "training.learning_rate 0.001", "chosen"],
        ["Fine-tuning", "training.learning_rate 0.0003", "–"],
        ["FFG", "training.learning_rate 0.001", "chosen"],
        ["FFG", "training.learning_rate 0.0003", "–"],
    ]
    assert table.rows[0][3:] == ["98.76", "1.0000", "98.76"] and len(table.frame) == 4
    other = f"{context.experiments['e1']}: Fine-tuning; FFG; CFG"
    assert unsearched(study, context) == ["Digits 0 in parts: CFG", other]
    assert unsearched(alone(study, "e0"), context) == ["Digits 0 in parts: CFG"]


def test_a_candidate_is_plain_data_for_the_params_of_a_rule():
    (first, *_) = candidates(resolve_study(changed(("tune", TUNE))))
    assert type(first)(**dataclasses.asdict(first)) == first
