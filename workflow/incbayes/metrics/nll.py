"""Negative log-likelihood, a proper scoring rule without a bound.

Of log-probabilities, as a probability below e⁻⁷⁴⁵ is 0 in float64, and its logarithm is lost.
"""

import math
from typing import TYPE_CHECKING

from incbayes.metrics.base import Metric

if TYPE_CHECKING:
    from torch import Tensor


def nll(log_probabilities: "Tensor", labels: "Tensor", bins: int) -> float:
    """Return the mean negative log-probability of the label, in nats per image.

    Args:
        log_probabilities: float64 [N, K], ln p(y | x) in nats.
        labels: int64 [N].
        bins: not used.
    """
    return 0.0 - log_probabilities.gather(1, labels[:, None]).mean().item()  # not -0.0


METRIC = Metric(
    nll,
    title="NLL",
    heading="NLL (nats)",
    better="less",
    bounds=(0.0, math.inf),
    unit="nats per image",
    difference_unit="nats",
    figure="stages",
    of_image=lambda rows: -rows["log_probability"].to_numpy(dtype=float),
)
