"""Studies that are refused, each in one line with the path of the key."""

import pytest
from bad_studies import BAD, refusal
from jsonschema import Draft202012Validator
from small_study import HALVES, PLAIN, changed

from incbayes.study.messages import study_error
from incbayes.study.resolve import resolve_study


@pytest.mark.parametrize(
    ("path", "value", "expected"), BAD, ids=[f"{i}-{bad[0]}" for i, bad in enumerate(BAD)]
)
def test_bad_study_is_refused_in_one_line(path, value, expected):
    assert expected in refusal(changed((path, value)))


def test_overlap_of_source_and_target_is_refused():
    partition = {"source_classes": [0, 1, 2], "target_classes": [2, 3]}
    text = refusal(changed((f"{HALVES}.partition", partition)))
    assert text.startswith(f"{HALVES}.partition.target_classes: the classes [2] are in source_c")


def test_error_in_one_of_several_forms_is_that_of_the_form_it_has():
    numbers = {"type": "array", "items": {"type": "integer", "minimum": 1}}
    validator = Draft202012Validator({"anyOf": [numbers, {"type": "null"}]})
    within, whole = (next(validator.iter_errors(value)) for value in ([3, 0], "x"))
    assert str(study_error(within)) == "[1]: found 0; allowed: a whole number of at least 1"
    expected = "found 'x' (text); allowed: null or a list (each a whole number of at least 1)"
    assert str(study_error(whole)) == expected


@pytest.mark.parametrize("raw", [None, [], "study", 3, {}, {"a": {"b": None}}, {None: 1}])
def test_what_is_no_study_is_refused(raw):
    refusal(raw)


def test_endless_nesting_is_refused():
    loop = {}
    loop["experiments"] = loop
    assert "nested too deeply" in refusal(loop)


def test_long_values_are_cut():
    assert len(refusal(changed(("study", "X" * 5000)))) < 250
    assert len(refusal(changed((f"{PLAIN}.parts", {"a": "X" * 5000})))) < 250
    assert len(refusal(changed((f"{PLAIN}.pixels", list(range(5000)))))) < 250


@pytest.mark.parametrize("kind", ["grid", "laplace", "transfer"])
def test_convolutions_cannot_carry_over_in_a_model_without_any(kind):
    prior = ("methods.ffg_grid.prior", {"kind": kind, "transfer": "convolutions"})
    resolve_study(changed(prior))
    expected = (
        "methods.ffg_grid.prior.transfer: found 'convolutions', but the model mlp of halves has "
        "none, so that nothing would carry over; allowed there: all_but_output"
    )
    assert refusal(changed(prior, (f"{HALVES}.model", "mlp"))) == expected
    once = {"ffg_laplace": {"prior": {"transfer": "convolutions"}}}
    by_settings = changed((f"{HALVES}.settings", once), (f"{HALVES}.model", "mlp"))
    assert "methods.ffg_laplace.prior.transfer: found 'convolutions'" in refusal(by_settings)
