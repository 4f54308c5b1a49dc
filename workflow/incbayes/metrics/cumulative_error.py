"""Cumulative error: how much was wrong over all stages of a chain, and not after the last alone."""

from typing import TYPE_CHECKING

from incbayes.metrics.base import Metric

if TYPE_CHECKING:
    import numpy as np


def cumulative_error(accuracies: "np.ndarray", truth: None, bins: int) -> float:
    """Return the sum of the error rates after stages 1 to t.

    The cumulative error rate of Caccia et al. 2021 (arXiv 2106.09563) per test image: a learner
    that is late to learn pays for every stage that it is behind.

    Args:
        accuracies: after stages 1 … t of one chain, float64 [t], each a fraction.
        truth: not used.
        bins: not used.
    """
    return float((1.0 - accuracies).sum())


METRIC = Metric(
    cumulative_error,
    title="cumulative error",
    heading="Cumulative error (%)",
    better="less",
    bounds=(0.0, float("inf")),
    unit="%",
    difference_unit="points",
    factor=100.0,
    decimals=2,
    figure="stages",
    of="stages",
    by_stage="accuracy",
    everywhere=False,
)
