"""What a study says of the layers that have a distribution, and what a report says of it."""

import pytest
from small_study import changed

from incbayes.report.methods import describe_method
from incbayes.study.model import plain_study
from incbayes.study.resolve import resolve_study
from incbayes.study.yaml import StudyError

FFG = "methods.ffg"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"methods.ffg.bayesian": "last_lyer"}, "(did you mean 'last_layer'?); allowed: all, last"),
        ({"methods.ffg.bayesian": []}, "methods.ffg.bayesian: "),
        ({"methods.ffg.normalisation": "gaussian"}, "allowed: point, variational"),
        ({"methods.ft.bayesian": "last_layer"}, "methods.ft.bayesian: found 'last_layer', but the"),
        ({"methods.ft.normalisation": "variational"}, "family point has no width"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(changes, expected):
    with pytest.raises(StudyError) as caught:
        resolve_study(changed(*changes.items()))
    assert expected in str(caught.value) and len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, ""),
        ({f"{FFG}.bayesian": "last_layer"}, ", over the last layer, all others points without a"),
        ({f"{FFG}.bayesian": ["0", "2*"]}, ", over the layers 0, 2*, all others points without a"),
        ({f"{FFG}.normalisation": "variational"}, ", scales and shifts of normalisation Gaussian"),
    ],
)
def test_a_report_says_over_which_layers_a_method_is(changes, expected):
    study = resolve_study(changed(*changes.items()))
    family = describe_method(study, "plain", "ffg")[1]
    usual = describe_method(resolve_study(changed()), "plain", "ffg")[1]
    assert family.startswith(usual + expected)
    assert family == usual or expected


def test_a_study_that_says_nothing_has_the_normal_form_it_had():
    method = plain_study(resolve_study(changed()))["methods"]["ffg"]
    assert not {"bayesian", "normalisation"} & set(method)
