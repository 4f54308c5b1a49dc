"""Yesterday's model on today's data: the numbers, and when a difference is called one."""

import numpy as np
import pytest
import torch

from incbayes.evaluation.drift import drift, unmarked
from incbayes.evaluation.held_out import FEWEST
from incbayes.kinds import METRICS

OF_CLASSES = {
    name for name, metric in METRICS.items() if metric.of == "classes" and not metric.tempered
}


def predictions(number, right, seed=0):
    """Return ln p [N, 2] and labels of which a share is predicted rightly, with p = 0.9."""
    labels = torch.zeros(number, dtype=torch.int64)
    wrong = round(number * (1 - right))
    order = np.random.default_rng(seed).permutation(number)
    sure = torch.tensor([0.9, 0.1], dtype=torch.float64).log().repeat(number, 1)
    sure[order[:wrong]] = sure[order[:wrong]].flip(1)
    return sure, labels


def found(before, after, number=400):
    """Return the drift of every metric by name, for two shares of right predictions."""
    (one, labels), (other, _) = predictions(number, before), predictions(number, after, seed=1)
    rows = drift(3, {"before": one, "after": other}, labels, 15, np.random.default_rng(0))
    return {row.metric: row for row in rows}


def test_a_model_that_lost_what_it_knew_differs_in_every_metric():
    rows = found(0.9, 0.5)
    assert set(rows) == {"accuracy", "nll", "brier", "ece"} and {
        row.replicate for row in rows.values()
    } == {3}
    assert all(row.differs for row in rows.values())
    accuracy, nll = rows["accuracy"], rows["nll"]
    assert (accuracy.before, accuracy.after) == pytest.approx((0.9, 0.5))
    assert nll.after - nll.before == pytest.approx(0.4 * (np.log(0.9) - np.log(0.1)))
    for row in rows.values():
        assert row.low <= row.after - row.before <= row.high


def test_equal_models_do_not_differ_and_of_few_images_nothing_is_judged():
    assert {row.differs for row in found(0.8, 0.8).values()} == {False}
    few = found(1.0, 0.0, number=FEWEST - 1)
    assert few["accuracy"].high == -1.0 and {row.differs for row in few.values()} == {None}
    assert found(1.0, 0.0, number=FEWEST)["accuracy"].differs is True


def test_nothing_is_called_a_difference_of_images_that_one_was_fitted_to():
    rows = list(found(0.5, 1.0).values())
    assert all(row.differs for row in rows)
    bare = unmarked(rows)
    assert {row.differs for row in bare} == {None}
    assert [(row.before, row.after, row.low) for row in bare] == [
        (row.before, row.after, row.low) for row in rows
    ]


def test_the_interval_holds_the_true_difference_about_as_often_as_it_says():
    held, trials, number = 0, 60, 200
    for trial in range(trials):
        draw = np.random.default_rng(trial)
        pairs = []
        for chance in (0.8, 0.7):
            right = draw.random(number) < chance
            sure = torch.tensor([[0.9, 0.1] if hit else [0.1, 0.9] for hit in right]).double()
            pairs.append(sure.log())
        labels = torch.zeros(number, dtype=torch.int64)
        given = dict(zip(("before", "after"), pairs, strict=True))
        rows = drift(0, given, labels, 15, np.random.default_rng(trial))
        accuracy = next(row for row in rows if row.metric == "accuracy")
        held += accuracy.low <= -0.1 <= accuracy.high
    assert held >= 56  # of 60 at 99 %: fewer has a chance below 0.001
