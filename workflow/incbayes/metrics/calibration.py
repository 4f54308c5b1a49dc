"""Calibration: confidence against accuracy, in bins of equal width.

The binning is NumPy's histogram: a confidence on an edge belongs to the bin above it, and 1 to the
last. torchmetrics gives the same error (a test compares them) but takes longer to import than a
small stage takes to evaluate, and keeps the bins, which the reliability diagram needs, to itself.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from incbayes.metrics.base import DECIMALS

if TYPE_CHECKING:  # so that names and figures of metrics do not pay for importing torch
    from torch import Tensor


@dataclass(frozen=True)
class CalibrationBin:
    """Images whose confidence lies in [lower, upper), or in [lower, upper] in the last bin.

    Attributes:
        lower: smallest confidence of the bin, b/B of bin b = 0 … B - 1.
        upper: confidence from which on images are in the next bin, (b + 1)/B.
        count: number of images.
        confidence: their mean confidence, NaN without images.
        accuracy: fraction of them that is right, NaN without images.
    """

    lower: float
    upper: float
    count: int
    confidence: float
    accuracy: float


def calibration_bins(
    log_probabilities: "Tensor", labels: "Tensor", bins: int
) -> list[CalibrationBin]:
    """Return `bins` bins of equal width over the confidence, the largest probability.

    Half-open, [lower, upper), and the last is closed, so that every confidence is in one bin.

    Args:
        log_probabilities: float64 [N, K], ln p(y | x).
        labels: int64 [N].
        bins: number of bins.
    """
    log_confidence, prediction = log_probabilities.max(-1)
    confidence = log_confidence.exp().clamp(max=1.0).cpu().numpy()  # rounding can pass 1
    correct = (prediction == labels).cpu().numpy().astype(float)
    edges = np.linspace(0, 1, bins + 1)
    compared = confidence.round(DECIMALS), edges.round(DECIMALS)
    counts, _ = np.histogram(*compared)
    confidences, _ = np.histogram(*compared, weights=confidence)
    rights, _ = np.histogram(*compared, weights=correct)
    with np.errstate(invalid="ignore"):
        means, accuracies = confidences / counts, rights / counts
    return [
        CalibrationBin(*map(float, pair), int(count), float(mean), float(right))
        for *pair, count, mean, right in zip(
            edges, edges[1:], counts, means, accuracies, strict=False
        )
    ]
