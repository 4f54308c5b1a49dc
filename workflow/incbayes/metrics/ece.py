"""Expected calibration error: the mean distance of confidence and accuracy, over bins."""

from typing import TYPE_CHECKING

from incbayes.metrics.base import Metric

if TYPE_CHECKING:
    from torch import Tensor


def expected_calibration_error(log_probabilities: "Tensor", labels: "Tensor", bins: int) -> float:
    """Return Σ (n_b/N)·|accuracy_b - confidence_b| over the bins (Naeini et al. 2015).

    Args:
        log_probabilities: float64 [N, K], ln p(y | x) in nats.
        labels: int64 [N].
        bins: number of bins of equal width.
    """
    from incbayes.metrics.calibration import calibration_bins

    filled = [b for b in calibration_bins(log_probabilities, labels, bins) if b.count]
    return sum(b.count * abs(b.accuracy - b.confidence) for b in filled) / len(labels)


METRIC = Metric(
    expected_calibration_error,
    title="ECE",
    heading="ECE (%)",
    better="less",
    bounds=(0.0, 1.0),
    unit="%",
    difference_unit="points",
    factor=100.0,
    decimals=2,
    figure="reliability",
)
