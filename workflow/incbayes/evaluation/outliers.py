"""Scores how uncertain predictions are, and how well that tells outliers from the task's images."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from incbayes.evaluation.score import Record
from incbayes.metrics.base import Of
from incbayes.metrics.named import metrics_with


def uncertainty_records(
    held_out: Tensor,
    outliers: Mapping[str, Tensor],
    tags: Record,
    *,
    several_draws: bool,
    bins: int,
    further: Sequence[str] = (),
) -> list[Record]:
    """Return the records of uncertainties: of the held-out images, and of each outlier set.

    Args:
        held_out: entropy and mutual information of every held-out image, float64 [N, 2].
        outliers: likewise, by split.
        tags: of the records, with the split of the held-out images.
        several_draws: whether the prediction is of several draws; of one network nothing is said
            of what they differ in.
        bins: the number of bins of a calibration error, as every metric is given it.
        further: names of metrics from outside the library.
    """

    def records(split: str, of: Of, uncertainty: Tensor, is_outlier: Tensor) -> list[Record]:
        return [
            tags | {"split": split, "metric": name, "value": metric(uncertainty, is_outlier, bins)}
            for name, metric in metrics_with(further).items()
            if metric.of == of
            and not metric.tempered
            and (several_draws or not metric.several_draws)
        ]

    inside = torch.zeros(len(held_out), dtype=torch.int64)
    found = records(tags["split"], "uncertainty", held_out, inside)
    for split, uncertainty in outliers.items():
        outside = torch.ones(len(uncertainty), dtype=torch.int64)
        found += records(split, "uncertainty", uncertainty, outside)
        both = torch.cat([held_out, uncertainty]), torch.cat([inside, outside])
        found += records(split, "outliers", *both)
    return found
