"""The mixture of the draws of a posterior, and how much of its uncertainty is of the weights.

Depeweg et al. (2018), https://arxiv.org/abs/1710.07283: the entropy of the predictive is the
expected entropy of a draw, the uncertainty of the data, plus the mutual information of label and
weights, Houlsby et al.'s BALD (2011), https://arxiv.org/abs/1112.5745.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Uncertainty:
    """What a mixture says of N images and K classes; float64, in nats.

    Attributes:
        log_probabilities: ln p(y | x) = ln (1/M) Σ_m p(y | x, w_m), [N, K].
        entropy: H[p(y | x)], [N].
        data: (1/M) Σ_m H[p(y | x, w_m)], [N].
        mutual_information: entropy minus data, at least 0, [N].
    """

    log_probabilities: Tensor
    entropy: Tensor
    data: Tensor
    mutual_information: Tensor


class Mixture:
    """Adds up M draws of equal weight as they come; no probability is formed for the mean."""

    def __init__(self) -> None:
        """Begin with none."""
        self._total: Tensor | None = None
        self._entropies: Tensor | None = None
        self._count = 0

    def add(self, log_probabilities: Tensor) -> None:
        """Add a draw's ln p(y | x, w), float64 [N, K], finite, in nats."""
        own = entropy(log_probabilities)
        if self._total is None or self._entropies is None:
            self._total, self._entropies = log_probabilities, own
        else:
            self._total = torch.logaddexp(self._total, log_probabilities)
            self._entropies = self._entropies + own
        self._count += 1

    def result(self) -> Uncertainty:
        """Return what the draws so far say, at least one.

        The difference of two entropies can fall below 0 by rounding, a mutual information
        cannot.
        """
        if self._total is None or self._entropies is None:
            raise RuntimeError("a mixture of no draws")
        log_p = (self._total - math.log(self._count)).clamp(max=0.0)
        whole, data = entropy(log_p), self._entropies / self._count
        return Uncertainty(log_p, whole, data, (whole - data).clamp(min=0.0))


def entropy(log_probabilities: Tensor) -> Tensor:
    """Return -Σ_y p ln p of ln p, float64 [N, K], in nats, [N]."""
    return -(log_probabilities.exp() * log_probabilities).sum(-1)
