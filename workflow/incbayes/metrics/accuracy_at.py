"""Accuracy at a coverage: that of the images which a prediction is most certain of."""

from functools import partial
from typing import TYPE_CHECKING

from incbayes.metrics.base import Metric

if TYPE_CHECKING:
    from torch import Tensor


def accuracy_at(percent: int, log_probabilities: "Tensor", labels: "Tensor", bins: int) -> float:
    """Return the accuracy on the ⌈N·percent/100⌉ most certain images.

    Certain by the largest probability; `metrics.selective` says why, and how ties count. It is 1
    minus the selective risk of Geifman and El-Yaniv 2017, §2.

    Args:
        percent: of the images, the coverage, 1 to 100.
        log_probabilities: float64 [N, K], ln p(y | x) in nats.
        labels: int64 [N].
        bins: not used.
    """
    from incbayes.metrics.selective import errors_by_certainty

    kept = -(-percent * len(labels) // 100)
    return 1.0 - float(errors_by_certainty(log_probabilities, labels)[kept - 1]) / kept


def _metric(percent: int) -> Metric:
    value = partial(accuracy_at, percent)
    value.__doc__ = f"Return the accuracy on the {percent} % most certain images."
    return Metric(
        value,
        title=f"accuracy at {percent} % coverage",
        heading=f"Accuracy at {percent} % (%)",
        better="greater",
        bounds=(0.0, 1.0),
        unit="%",
        difference_unit="points",
        factor=100.0,
        decimals=2,
        figure="risk_coverage",
        tabled=False,
        everywhere=False,
    )


AT_50, AT_60, AT_70, AT_80, AT_90 = map(_metric, (50, 60, 70, 80, 90))
