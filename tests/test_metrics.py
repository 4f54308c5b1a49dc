"""Metrics against the libraries that others trust."""

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, brier_score_loss, log_loss
from torchmetrics.functional.classification import multiclass_calibration_error

from incbayes.metrics import METRICS
from incbayes.metrics.calibration import calibration_bins


def predictions(seed=0, images=500, classes=4, sharpness=2.0):
    generator = torch.Generator().manual_seed(seed)
    logits = sharpness * torch.randn(images, classes, generator=generator, dtype=torch.float64)
    return logits.softmax(-1), torch.randint(classes, (images,), generator=generator)


@pytest.mark.parametrize("sharpness", [0.1, 2.0, 5.0])
def test_scores_agree_with_scikit_learn(sharpness):
    p, y = predictions(sharpness=sharpness)
    ours = {name: METRICS[name](p, y, 15) for name in METRICS}
    assert ours["accuracy"] == accuracy_score(y, p.argmax(-1))
    assert ours["nll"] == pytest.approx(log_loss(y, p.numpy(), labels=range(4)))
    reference = brier_score_loss(y.numpy(), p.numpy(), labels=list(range(4)), scale_by_half=False)
    assert ours["brier"] == pytest.approx(reference)


@pytest.mark.parametrize("bins", [1, 10, 15])
@pytest.mark.parametrize("sharpness", [0.1, 2.0, 20.0])
def test_calibration_error_agrees_with_torchmetrics(bins, sharpness):
    p, y = predictions(sharpness=sharpness)
    reference = multiclass_calibration_error(p, y, num_classes=4, n_bins=bins, norm="l1")
    assert METRICS["ece"](p, y, bins) == pytest.approx(reference.item(), abs=1e-6)


def test_bins_cover_every_image_and_certainty_falls_into_the_last():
    p, y = predictions()
    p[0] = torch.tensor([1.0, 0.0, 0.0, 0.0])
    bins = calibration_bins(p, y, 15)
    assert sum(b.count for b in bins) == len(y)
    assert bins[-1].count >= 1 and bins[-1].upper == 1.0
    assert all(np.isnan(b.confidence) == (b.count == 0) for b in bins)
    for b in (b for b in bins if b.count):
        assert b.lower <= b.confidence <= b.upper


def test_a_certain_mistake_has_a_finite_nll():
    p = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    assert 700 < METRICS["nll"](p, torch.tensor([1]), 15) < 710


def test_perfect_predictions_have_the_best_scores():
    p, y = torch.eye(3, dtype=torch.float64), torch.arange(3)
    assert [METRICS[n](p, y, 15) for n in ("accuracy", "nll", "brier", "ece")] == [1, 0, 0, 0]
