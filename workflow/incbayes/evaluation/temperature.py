"""Temperature scaling: one number by which predictions are made less, or more, sure of themselves.

Guo et al. 2017, eq. 9. Here it is applied to the logarithm of the predictive, the mean over draws,
and not to the logits of each draw: pool, then calibrate (Rahaman and Thiery 2021). So it is
the same step for a single network, whose logits differ from ln p by a constant of each image.
"""

import math

import torch
from scipy.optimize import minimize_scalar
from torch import Tensor

COLDEST, HOTTEST = 0.01, 100.0
"""Temperatures between which is searched."""

TOLERANCE = 1e-8
"""Of ln T."""


def at_temperature(log_probabilities: Tensor, temperature: float) -> Tensor:
    """Return ln of p^{1/T} / Σ_k p_k^{1/T}, float64 [N, K], in nats.

    Args:
        log_probabilities: ln p(y | x) of the predictive, [N, K].
        temperature: T, above 0; at 1 the prediction is as it was.
    """
    return (log_probabilities.double() / temperature).log_softmax(-1)


def best_temperature(log_probabilities: Tensor, labels: Tensor) -> float:
    """Return the T at which held-out images have the least NLL.

    The NLL is convex in 1/T, so that there is one minimum, unless every image is predicted rightly:
    then it falls towards T = 0, where whatever other image is wrong would be wrong for certain. The
    images say nothing of how sure a prediction may be, and it stays as it was: T = 1.

    Args:
        log_probabilities: ln p(y | x) of the predictive, float64 [N, K].
        labels: int64 [N].

    Returns:
        T, from `COLDEST` to `HOTTEST`; exactly 1 where no label is less probable
        than another class.
    """
    log_p, rows = log_probabilities.double().cpu(), labels.cpu()[:, None]
    if torch.equal(log_p.gather(1, rows)[:, 0], log_p.amax(-1)):
        return 1.0

    def nll(log_temperature: float) -> float:
        scaled = at_temperature(log_p, math.exp(log_temperature))
        return -scaled.gather(1, rows).mean().item()

    ends = (math.log(COLDEST), math.log(HOTTEST))
    with torch.inference_mode():
        found = minimize_scalar(nll, bounds=ends, method="bounded", options={"xatol": TOLERANCE})
    return math.exp(float(found.x))
