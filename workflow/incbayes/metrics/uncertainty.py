"""The mean uncertainty of a prediction, of images of the task and of outliers alike."""

import math
from functools import partial
from typing import TYPE_CHECKING

from incbayes.metrics.base import Metric
from incbayes.metrics.detection import MEASURES, Measure

if TYPE_CHECKING:
    from torch import Tensor


def mean_uncertainty(measure: Measure, uncertainty: "Tensor", truth: "Tensor", bins: int) -> float:
    """Return the mean of an uncertainty over the images, in nats.

    Args:
        measure: which.
        uncertainty: entropy and mutual information, float64 [N, 2].
        truth: not used.
        bins: not used.
    """
    return uncertainty[:, list(MEASURES).index(measure)].mean().item()


def _metric(measure: Measure, title: str) -> Metric:
    value = partial(mean_uncertainty, measure)
    value.__doc__ = f"Return the mean over the images of {MEASURES[measure]}."
    return Metric(
        value,
        title=title,
        heading=f"{title[0].upper()}{title[1:]} (nats)",
        better="less",
        bounds=(0.0, math.inf),
        unit="nats",
        difference_unit="nats",
        figure="uncertainty_by_stage",
        of="uncertainty",
        several_draws=measure == "information",
        tabled=False,
    )


ENTROPY = _metric("entropy", "entropy")
INFORMATION = _metric("information", "mutual information")
