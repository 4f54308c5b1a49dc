"""False positive rate of outliers where 95 % of the task's images are kept (Liang et al. 2018)."""

from functools import partial
from typing import TYPE_CHECKING

from incbayes.metrics.base import Metric
from incbayes.metrics.detection import MEASURES, Measure, compared

if TYPE_CHECKING:
    from torch import Tensor

KEPT = 0.95


def fpr95(measure: Measure, uncertainty: "Tensor", is_outlier: "Tensor", bins: int) -> float:
    """Return the share of outliers kept by the least threshold that keeps 95 % of test images.

    Images of the task are the positives, and an image is kept if it is no more uncertain than
    the threshold.

    Args:
        measure: by which the images are compared.
        uncertainty: entropy and mutual information, float64 [N, 2], in nats.
        is_outlier: int64 [N], 1 for outliers and 0 for images of the task.
        bins: not used.
    """
    from sklearn.metrics import roc_curve

    of_task = 1 - is_outlier.cpu().numpy()
    certainty = -compared(uncertainty, measure)
    false, true, _ = roc_curve(of_task, certainty, drop_intermediate=False)
    # Rates are quotients of whole numbers, whose rounding is not to miss the threshold.
    return float(false[(true >= KEPT - 1e-12).argmax()])


def _metric(measure: Measure) -> Metric:
    value = partial(fpr95, measure)
    value.__doc__ = (
        "Return the share of outliers that is kept where 95 % of the test images are, by "
        f"{MEASURES[measure]}."
    )
    return Metric(
        value,
        title=f"FPR95 by {measure}",
        heading=f"FPR95 by {measure} (%)",
        better="less",
        bounds=(0.0, 1.0),
        unit="%",
        difference_unit="points",
        factor=100.0,
        decimals=1,
        figure="outliers",
        of="outliers",
        several_draws=measure == "information",
    )


BY_ENTROPY, BY_INFORMATION = map(_metric, MEASURES)
