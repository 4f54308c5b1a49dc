"""Root mean squared error of the mean of the prediction."""

import math
from typing import TYPE_CHECKING

from incbayes.metrics.base import Metric

if TYPE_CHECKING:
    from torch import Tensor


def rmse(mixture: "Tensor", truth: "Tensor", bins: int) -> float:
    """Return the root of the mean squared distance of the predicted mean, in the target's unit.

    Args:
        mixture: mean and standard deviation of S Gaussians, float64 [N, S, 2].
        truth: float64 [N].
        bins: not used.
    """
    return (mixture[..., 0].mean(1) - truth).square().mean().sqrt().item()


METRIC = Metric(
    rmse,
    title="RMSE",
    heading="RMSE (unit of the target)",
    better="less",
    bounds=(0.0, math.inf),
    unit="unit of the target",
    difference_unit="of the target's unit",
    figure="stages",
    of="number",
)
