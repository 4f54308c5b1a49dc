"""Brier score, a proper scoring rule from 0 to 2."""

from typing import TYPE_CHECKING

from incbayes.metrics.base import Metric

if TYPE_CHECKING:
    from torch import Tensor


def brier(log_probabilities: "Tensor", labels: "Tensor", bins: int) -> float:
    """Return the mean squared distance to the one-hot label.

    Args:
        log_probabilities: float64 [N, K], ln p(y | x) in nats.
        labels: int64 [N].
        bins: not used.
    """
    return squared_distances(log_probabilities, labels).mean().item()


def squared_distances(log_probabilities: "Tensor", labels: "Tensor") -> "Tensor":
    """Return the squared distance of every prediction to the one-hot label, [N].

    Args:
        log_probabilities: float64 [N, K], ln p(y | x) in nats.
        labels: int64 [N].
    """
    from torch.nn.functional import one_hot

    target = one_hot(labels, log_probabilities.shape[1])
    return (log_probabilities.exp() - target).square().sum(-1)


METRIC = Metric(
    brier,
    title="Brier score",
    heading="Brier score",
    better="less",
    bounds=(0.0, 2.0),
    of_image=lambda rows: rows["brier"].to_numpy(dtype=float),
)
