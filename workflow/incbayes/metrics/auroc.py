"""Area under the ROC curve of outliers by uncertainty (Hendrycks and Gimpel 2017)."""

from functools import partial
from typing import TYPE_CHECKING

from incbayes.metrics.base import Metric
from incbayes.metrics.detection import MEASURES, Measure, compared

if TYPE_CHECKING:
    from torch import Tensor


def auroc(measure: Measure, uncertainty: "Tensor", is_outlier: "Tensor", bins: int) -> float:
    """Return the chance that an outlier is more uncertain than a test image; equal counts half.

    Args:
        measure: by which the images are compared.
        uncertainty: entropy and mutual information, float64 [N, 2], in nats.
        is_outlier: int64 [N], 1 for outliers and 0 for images of the task.
        bins: not used.
    """
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(is_outlier.cpu().numpy(), compared(uncertainty, measure)))


def _metric(measure: Measure) -> Metric:
    value = partial(auroc, measure)
    value.__doc__ = (
        f"Return the area under the ROC curve of outliers by {MEASURES[measure]}; 0.5 is chance."
    )
    return Metric(
        value,
        title=f"AUROC by {measure}",
        heading=f"AUROC by {measure}",
        better="greater",
        bounds=(0.0, 1.0),
        figure="outliers",
        of="outliers",
        several_draws=measure == "information",
    )


BY_ENTROPY, BY_INFORMATION = map(_metric, MEASURES)
