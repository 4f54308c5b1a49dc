"""Calibration: confidence against accuracy, in bins of equal width.

The binning is NumPy's histogram. torchmetrics gives the same error (a test compares them)
but takes longer to import than a small stage takes to evaluate, and keeps the bins, which
the reliability diagram needs, to itself.
"""

from dataclasses import dataclass

import numpy as np
from torch import Tensor


@dataclass(frozen=True)
class CalibrationBin:
    """Images whose confidence lies in (lower, upper].

    Attributes:
        count: number of images.
        confidence: their mean confidence, NaN without images.
        accuracy: fraction of them that is right, NaN without images.
    """

    lower: float
    upper: float
    count: int
    confidence: float
    accuracy: float


def calibration_bins(probabilities: Tensor, labels: Tensor, bins: int) -> list[CalibrationBin]:
    """Return `bins` bins of equal width over the confidence, the largest probability.

    Args:
        probabilities: [N, K], rows sum to 1.
        labels: int64 [N].
        bins: number of bins.
    """
    confidence, prediction = probabilities.max(-1)
    confidence = confidence.clamp(max=1.0).double().cpu().numpy()
    correct = (prediction == labels).cpu().numpy().astype(float)
    edges = np.linspace(0, 1, bins + 1)
    counts, _ = np.histogram(confidence, edges)
    confidences, _ = np.histogram(confidence, edges, weights=confidence)
    rights, _ = np.histogram(confidence, edges, weights=correct)
    with np.errstate(invalid="ignore"):
        means, accuracies = confidences / counts, rights / counts
    return [
        CalibrationBin(*map(float, pair), int(count), float(mean), float(right))
        for *pair, count, mean, right in zip(
            edges, edges[1:], counts, means, accuracies, strict=False
        )
    ]


def expected_calibration_error(probabilities: Tensor, labels: Tensor, bins: int) -> float:
    """Return Σ (n_b/N)·|accuracy_b - confidence_b| over the bins (Naeini et al. 2015)."""
    filled = [b for b in calibration_bins(probabilities, labels, bins) if b.count]
    return sum(b.count * abs(b.accuracy - b.confidence) for b in filled) / len(labels)
