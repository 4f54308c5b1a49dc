"""Negative log-likelihood after temperature scaling (Guo et al. 2017).

The number of `nll`, of predictions whose temperature was fitted on images that no part has:
`evaluation.temperature` has the form. To be too sure of oneself throughout costs nothing here, so
that what is left is which images a method is unsure of. Both belong beside each other.
"""

import dataclasses
from typing import TYPE_CHECKING

from incbayes.metrics.nll import METRIC as BEFORE
from incbayes.metrics.nll import nll

if TYPE_CHECKING:
    from torch import Tensor


def nll_tempered(log_probabilities: "Tensor", labels: "Tensor", bins: int) -> float:
    """Return the NLL, in nats per image, of predictions at their fitted temperature.

    Args:
        log_probabilities: float64 [N, K], ln p(y | x) at that temperature, in nats.
        labels: int64 [N].
        bins: of a calibration error.
    """
    return nll(log_probabilities, labels, bins)


METRIC = dataclasses.replace(
    BEFORE,
    value=nll_tempered,
    title="NLL after temperature scaling",
    heading="NLL, tempered (nats)",
    figure=None,
    tempered=True,
    of_image=None,
)
