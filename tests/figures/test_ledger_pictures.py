"""Both pictures of a ledger: every word is seen whole, for metrics of few and of many decimals."""

import pytest
from drawn_boxes import assert_words_are_apart, boxes_of
from made_studies import Shape, made_claims, made_context, made_frames

from incbayes.claims.ledger import judge
from incbayes.figures import against_paper, claims, style, texts
from incbayes.study.model import claims_of_plain

SHAPE = Shape(methods=3, experiments=2, parts=(1, 3), replicates=4, layers=1)
CONTEXT = made_context(SHAPE)


def entries(metric):
    """Return the entries of the made claims, all of them of one metric."""
    made = {name: claim | {"metric": metric} for name, claim in made_claims(SHAPE).items()}
    return judge(claims_of_plain(made), made_frames(SHAPE).records, reduced=False)


@pytest.mark.parametrize("metric", ["accuracy", "nll", "brier", "ece"])
@pytest.mark.parametrize("picture", [claims, against_paper], ids=lambda module: module.NAME)
def test_no_word_covers_another_or_leaves_the_picture(picture, metric):
    numbers = claims.claim_numbers if picture is claims else against_paper.paper_numbers
    with style.theme():
        figure = picture.draw(numbers(entries(metric), CONTEXT), CONTEXT)
        style.fix_layout(figure)
    assert_words_are_apart(figure, boxes_of(figure))


@pytest.mark.parametrize(
    ("name", "within"),
    [
        ("Accuracy at 80 %", "accuracy at 80 %"),
        ("NLL, tempered", "NLL, tempered"),
        ("AUROC by entropy", "AUROC by entropy"),
        ("FPR95 by entropy", "FPR95 by entropy"),
        ("Brier score", "Brier score"),
    ],
)
def test_a_metric_within_a_sentence_keeps_the_capitals_of_a_name(name, within):
    assert texts.within(name) == within
