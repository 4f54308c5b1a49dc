"""Metrics against the libraries that others trust."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, brier_score_loss, log_loss
from torchmetrics.functional.classification import multiclass_calibration_error

import incbayes
from incbayes.kinds import FIGURES, METRICS
from incbayes.metrics.calibration import calibration_bins
from incbayes.study.schema import study_schema
from incbayes.study.tuning import SCORES

OF_CLASSES = [name for name, metric in METRICS.items() if metric.of == "classes"]


def predictions(seed=0, images=500, classes=4, sharpness=2.0):
    """Return log-probabilities [N, K] and labels [N]."""
    generator = torch.Generator().manual_seed(seed)
    logits = sharpness * torch.randn(images, classes, generator=generator, dtype=torch.float64)
    return logits.log_softmax(-1), torch.randint(classes, (images,), generator=generator)


@pytest.mark.parametrize("sharpness", [0.1, 2.0, 5.0])
def test_scores_agree_with_scikit_learn(sharpness):
    log_p, y = predictions(sharpness=sharpness)
    ours, p = {name: METRICS[name](log_p, y, 15) for name in OF_CLASSES}, log_p.exp()
    assert ours["accuracy"] == accuracy_score(y, p.argmax(-1))
    assert ours["nll"] == pytest.approx(log_loss(y, p.numpy(), labels=range(4)))
    reference = brier_score_loss(y.numpy(), p.numpy(), labels=list(range(4)), scale_by_half=False)
    assert ours["brier"] == pytest.approx(reference)


@pytest.mark.parametrize("bins", [1, 10, 15])
@pytest.mark.parametrize("sharpness", [0.1, 2.0, 20.0])
def test_calibration_error_agrees_with_torchmetrics(bins, sharpness):
    log_p, y = predictions(sharpness=sharpness)
    reference = multiclass_calibration_error(log_p.exp(), y, num_classes=4, n_bins=bins, norm="l1")
    assert METRICS["ece"](log_p, y, bins) == pytest.approx(reference.item(), abs=1e-6)


def test_bins_cover_every_image_and_certainty_falls_into_the_last():
    log_p, y = predictions()
    log_p[0] = torch.tensor([1.0, 0.0, 0.0, 0.0]).log()
    bins = calibration_bins(log_p, y, 15)
    assert sum(b.count for b in bins) == len(y)
    assert bins[-1].count >= 1 and bins[-1].upper == 1.0
    assert all(np.isnan(b.confidence) == (b.count == 0) for b in bins)
    for b in (b for b in bins if b.count):
        assert b.lower <= b.confidence <= b.upper


@pytest.mark.parametrize("gap", [1.0, 103.0, 708.0, 746.0, 1e4, 1e30])
def test_a_certain_mistake_costs_as_many_nats_as_it_is_certain(gap):
    log_p = torch.tensor([[0.0, gap]], dtype=torch.float64).log_softmax(-1)
    wrong = torch.tensor([0])
    exact = float(np.logaddexp(np.longdouble(0), np.longdouble(gap)))
    assert METRICS["nll"](log_p, wrong, 15) == pytest.approx(exact, rel=1e-15)
    assert METRICS["accuracy"](log_p, wrong, 15) == 0.0
    confidence = 1 / (1 + np.exp(-gap))
    assert METRICS["brier"](log_p, wrong, 15) == pytest.approx(2 * confidence**2)
    assert METRICS["ece"](log_p, wrong, 15) == pytest.approx(confidence)


def test_perfect_predictions_have_the_best_scores():
    log_p, y = torch.eye(3, dtype=torch.float64).log(), torch.arange(3)
    assert [METRICS[n](log_p, y, 15) for n in ("accuracy", "nll", "brier", "ece")] == [1, 0, 0, 0]


@pytest.mark.parametrize("name", OF_CLASSES)
def test_a_perfect_score_has_no_sign(name):
    log_p = torch.tensor([[0.0, -1e4]], dtype=torch.float64)
    assert not np.signbit(METRICS[name](log_p, torch.tensor([0]), 15))


def bin_of(confidence, bins, classes=2):
    """Return the bin of one image whose largest probability is given."""
    rest = (1 - confidence) / (classes - 1)
    p = torch.tensor([[confidence] + [rest] * (classes - 1)], dtype=torch.float64)
    counts = [b.count for b in calibration_bins(p.log(), torch.tensor([0]), bins)]
    assert sum(counts) == 1
    return counts.index(1)


@pytest.mark.parametrize("bins", [1, 2, 7, 10, 15, 100])
def test_a_confidence_on_an_edge_is_in_the_bin_above_and_one_in_the_last(bins):
    for edge in range(-(-bins // 2), bins):  # of two classes, the larger probability
        assert bin_of(edge / bins, bins) == edge
        assert bin_of(edge / bins + 1e-6, bins) == edge
        if edge > bins / 2:
            assert bin_of(edge / bins - 1e-6, bins) == edge - 1
    assert bin_of(1.0, bins) == bins - 1


@pytest.mark.parametrize("classes", range(2, 30))
def test_an_even_guess_is_in_the_bin_that_begins_at_one_of_the_classes(classes):
    assert bin_of(1 / classes, classes, classes) == 1
    logits = torch.zeros(1, classes, dtype=torch.float64)
    bins = calibration_bins(logits.log_softmax(-1), torch.tensor([0]), classes)
    assert [b.count for b in bins].index(1) == 1


def test_no_confidence_at_all_is_in_the_first_bin():
    bins = calibration_bins(torch.full((1, 3), -np.inf), torch.tensor([0]), 4)
    assert [b.count for b in bins] == [1, 0, 0, 0]


def test_bins_share_their_edges_and_the_ends_are_zero_and_one():
    bins = calibration_bins(*predictions(), 15)
    assert [b.upper for b in bins[:-1]] == [b.lower for b in bins[1:]]
    assert (bins[0].lower, bins[-1].upper) == (0.0, 1.0)


@pytest.mark.parametrize("name", OF_CLASSES)
def test_a_metric_keeps_to_its_bounds_and_prefers_a_perfect_prediction(name):
    metric, (low, high) = METRICS[name], METRICS[name].bounds
    log_p, y = predictions(sharpness=20.0)
    perfect = torch.full_like(log_p, -np.inf).scatter(1, y[:, None], 0.0)
    values = [metric(log_p, y, 15), metric(perfect, y, 15)]
    assert all(low <= value <= high for value in values)
    assert metric.best(values) == 1
    assert metric.best([0.5, 0.5]) == 0
    assert metric.figure in (None, *FIGURES)


def test_a_search_is_decided_by_metrics_that_there_are():
    properties = study_schema()["properties"]
    of_candidate = properties["tuned"]["properties"]["candidates"]["items"]["properties"]["scores"]
    assert set(SCORES) <= set(METRICS)
    assert of_candidate["items"]["required"] == ["T", *SCORES]
    for key in ("tune", "tuned"):
        assert properties[key]["properties"]["metric"]["enum"] == list(SCORES)


def test_the_facts_of_metrics_cost_no_import_of_torch_or_numpy():
    program = (
        "import sys; from incbayes.kinds import METRICS; "
        "print([METRICS[name].figure for name in METRICS]); "
        "sys.exit(bool({'torch', 'numpy'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", program], env=with_library(), check=True)


def with_library():
    folder = str(Path(incbayes.__file__).parents[1])
    return os.environ | {"PYTHONPATH": folder}
