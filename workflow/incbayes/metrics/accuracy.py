"""Accuracy: the fraction of images whose most probable class is the label."""

from typing import TYPE_CHECKING

from incbayes.metrics.base import Metric

if TYPE_CHECKING:
    from torch import Tensor


def accuracy(log_probabilities: "Tensor", labels: "Tensor", bins: int) -> float:
    """Return the fraction of images whose most probable class is the label.

    Args:
        log_probabilities: float64 [N, K], ln p(y | x) in nats.
        labels: int64 [N].
        bins: not used.
    """
    return (log_probabilities.argmax(-1) == labels).double().mean().item()


METRIC = Metric(
    accuracy,
    title="accuracy",
    heading="Accuracy (%)",
    better="greater",
    bounds=(0.0, 1.0),
    unit="%",
    difference_unit="points",
    factor=100.0,
    decimals=2,
    figure="accuracy_by_parts",
    of_image=lambda rows: (rows["predicted"] == rows["label"]).to_numpy(dtype=float),
)
