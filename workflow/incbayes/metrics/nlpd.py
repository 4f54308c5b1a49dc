"""Negative log predictive density, the NLL of a number: a proper scoring rule without bounds.

It is of a density, and so depends on the target's unit and may be negative, which the NLL of
classes cannot.
"""

import math
from typing import TYPE_CHECKING

from incbayes.metrics.base import Metric

if TYPE_CHECKING:
    from torch import Tensor


def nlpd(mixture: "Tensor", truth: "Tensor", bins: int) -> float:
    """Return the mean negative log-density of the true number, in nats per row.

    Args:
        mixture: mean and standard deviation of S Gaussians, float64 [N, S, 2].
        truth: float64 [N].
        bins: not used.
    """
    mean, sigma = mixture.unbind(-1)
    scaled = (truth[:, None] - mean) / sigma
    log_densities = -0.5 * scaled.square() - sigma.log() - 0.5 * math.log(2 * math.pi)
    return -(log_densities.logsumexp(1) - math.log(mean.shape[1])).mean().item() + 0.0  # not -0.0


METRIC = Metric(
    nlpd,
    title="NLPD",
    heading="NLPD (nats)",
    better="less",
    unit="nats per row",
    difference_unit="nats",
    figure="stages",
    of="number",
    of_image=lambda rows: -rows["log_density"].to_numpy(dtype=float),
)
