"""Negative log predictive density, the NLL of a number: a proper scoring rule without bounds.

It is of a density, and so depends on the target's unit and may be negative, which the NLL of
classes cannot.
"""

from typing import TYPE_CHECKING

from incbayes.metrics.base import Metric
from incbayes.metrics.mixture import log_density

if TYPE_CHECKING:
    from torch import Tensor


def nlpd(mixture: "Tensor", truth: "Tensor", bins: int) -> float:
    """Return the mean negative log-density of the true number, in nats per row.

    Args:
        mixture: mean and standard deviation of S Gaussians, float64 [N, S, 2].
        truth: float64 [N].
        bins: not used.
    """
    return -log_density(mixture, truth).mean().item() + 0.0  # not -0.0


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
