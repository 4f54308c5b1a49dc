"""Area under the risk-coverage curve (Geifman and El-Yaniv 2017; Geifman et al. 2019)."""

from typing import TYPE_CHECKING

from incbayes.metrics.base import Metric

if TYPE_CHECKING:
    from torch import Tensor


def aurc(log_probabilities: "Tensor", labels: "Tensor", bins: int) -> float:
    """Return the mean, over k = 1 … N, of the error among the k most certain images.

    Certain by the largest probability; `metrics.selective` says why, and how ties count. That is
    the empirical area of Geifman, Uziel and El-Yaniv 2019, §2.

    Args:
        log_probabilities: float64 [N, K], ln p(y | x) in nats.
        labels: int64 [N].
        bins: not used.
    """
    import numpy as np

    from incbayes.metrics.selective import errors_by_certainty

    errors = errors_by_certainty(log_probabilities, labels)
    return float((errors / np.arange(1, len(errors) + 1)).mean())


METRIC = Metric(
    aurc,
    title="AURC",
    heading="AURC (%)",
    better="less",
    bounds=(0.0, 1.0),
    unit="%",
    difference_unit="points",
    factor=100.0,
    decimals=2,
    figure="risk_coverage",
    everywhere=False,
)
