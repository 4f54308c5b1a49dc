"""Budgets, and the choice of what is run: what each changes."""

import pytest
from msgspec.structs import replace
from normal_forms import family_with_defaults, normal_form
from small_study import SMALL, changed

from incbayes.study.chains import chains_left_out, chosen_chains, chosen_experiments
from incbayes.study.resolve import resolve_study
from incbayes.study.yaml import StudyError


def test_budget_is_merged_when_chosen():
    full = normal_form(SMALL)
    quick = normal_form(changed(("budget", "quick")))
    assert (full["replicates"], full["training"]["epochs"]) == (5, 30)
    assert (quick["replicates"], quick["training"]["epochs"]) == (1, 2)
    assert quick["training"]["batch_size"] == 128
    assert (quick["study_id"], quick["reduced"], quick["budget"]) == ("small-quick", True, "quick")
    same = ("methods", "evaluation", "budgets")
    assert all(full[key] == quick[key] for key in same)
    experiments = {
        name: described | {"replicates": 1, "training": {}}  # the budget states the epochs
        for name, described in full["experiments"].items()
    }
    assert quick["experiments"] == experiments


def test_budget_without_overrides_is_not_reduced():
    study = resolve_study(changed(("budgets.long", {}), ("budget", "long")))
    assert (study.study_id, study.reduced, study.budget) == ("small", False, "long")


def test_budget_replaces_lists_and_other_kinds():
    override = {
        "experiments": {"plain": {"parts": [2], "model": {"widths": [8]}, "pixels": "divide"}},
        "methods": {
            "ffg": {"family": {"estimator": "weight"}},
            "ffg_grid": {"prior": {"kind": "laplace", "fisher": "mc"}},
            "ffg_laplace": {"prior": {"fisher": "empirical"}},
        },
    }
    study = normal_form(changed(("budgets.other", override), ("budget", "other")))
    plain, methods = study["experiments"]["plain"], study["methods"]
    assert plain["parts"] == [2]
    assert plain["model"] == {"kind": "mlp", "widths": [8]}
    assert plain["pixels"] == {"kind": "divide", "by": 126.0}
    chosen = {"estimator": "weight", "initial_sigma": 0.05}
    assert methods["ffg"]["family"] == family_with_defaults("ffg") | chosen
    laplace = {
        "kind": "laplace",
        "transfer": "all_but_output",
        "fisher": "mc",
        "prior_precision": None,
    }
    assert methods["ffg_grid"]["prior"] == laplace
    assert methods["ffg_laplace"]["prior"] == laplace | {"fisher": "empirical"}


def test_budget_may_add_an_experiment_and_a_method():
    override = {
        "experiments": {"more": {"dataset": "mnist", "model": "lenet5", "parts": [1]}},
        "methods": {"ft_pretrained": {"prior": "normal"}, "ffg_grid": {"prior": "normal"}},
    }
    override["methods"]["ffg_laplace"] = {"prior": "normal"}
    study = resolve_study(changed(("budgets.other", override), ("budget", "other")))
    assert study.experiments["more"].methods == tuple(SMALL["methods"])


def test_only_the_chosen_experiments_are_run_and_a_budget_may_choose():
    budgets = {"budgets": {"half": {"only": ["halves"]}}}
    written = changed() | budgets
    assert list(chosen_experiments(resolve_study(written))) == ["plain", "halves"]
    assert list(chosen_experiments(resolve_study(written | {"budget": "half"}))) == ["halves"]
    assert list(chosen_experiments(resolve_study(written | {"only": ["plain"]}))) == ["plain"]


def test_of_what_a_study_and_its_budget_choose_both_name_what_is_run():
    half = {"budgets": {"half": {"only": ["plain.ffg", "halves"]}}, "budget": "half"}

    def chosen(*only):
        return chosen_chains(resolve_study(changed() | half | {"only": list(only)}))

    assert chosen("plain") == [("plain", "ffg", 1), ("plain", "ffg", 5)]
    assert chosen("plain.ffg.T5", "plain.ft") == [("plain", "ffg", 5)]
    assert resolve_study(changed() | half | {"only": ["plain.ffg.T5"]}).only == ("plain.ffg.T5",)
    with pytest.raises(StudyError) as raised:
        chosen("plain.ft")
    assert str(raised.value) == (
        "only: found ['plain.ft']; the budget half runs plain.ffg and halves alone"
    )
    half["budget"] = "full"
    assert chosen("plain.ft.T1") == [("plain", "ft", 1)], "of the budget that is chosen alone"


def test_a_method_or_one_of_its_numbers_of_parts_may_be_chosen_alone():
    study = resolve_study(changed() | {"only": ["plain.ffg.T5", "halves.ft", "plain.ft"]})
    assert chosen_chains(study) == [
        ("plain", "ft", 1),
        ("plain", "ft", 5),
        ("plain", "ffg", 5),
        ("halves", "ft", 3),
    ]
    described, chosen = study.experiments, chosen_experiments(study)
    assert chosen == {
        "plain": described["plain"],
        "halves": replace(described["halves"], methods=("ft",)),
    }
    alone = chosen_experiments(replace(study, only=("plain.ffg.T5",)))
    assert alone == {"plain": replace(described["plain"], methods=("ffg",), parts=(5,))}


def test_what_is_left_out_is_said_in_the_fewest_words():
    study = resolve_study(changed(("methods.ffg.label", "FFG")))
    assert chains_left_out(study) == {}
    assert chains_left_out(replace(study, only=("halves",))) == {"plain": []}
    others = [name for name in study.methods if name != "ft"]
    only = ("plain.ft", "plain.ffg.T5", "halves.ft")
    assert chains_left_out(replace(study, only=only)) == {
        "plain": ["FFG at T = 1"],
        "halves": ["FFG", *others[1:]],
    }


def test_an_experiment_may_have_replicates_of_its_own():
    written = changed(("experiments.plain.replicates", 7))
    for budget, others in (("full", 5), ("quick", 1)):
        experiments = resolve_study(written | {"budget": budget}).experiments
        counts = {name: described.replicates for name, described in experiments.items()}
        assert counts == {"plain": 7, "halves": others}
