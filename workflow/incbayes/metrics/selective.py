"""Selective prediction: what is wrong among the images that a prediction is most certain of.

Images are ranked by their largest probability. Its complement is the chance that a prediction
believes itself to be wrong, so that for 0-1 loss no other order of a calibrated prediction has a
smaller risk (Chow 1970); Geifman and El-Yaniv 2017 call it the softmax response and use it
likewise. The entropy ranks by how the rest is spread, which does not make a prediction wrong.

Images of equal certainty come in no order: each number is its mean over all of their orders.
No library of the environment computes any of this.
"""

from typing import TYPE_CHECKING

from incbayes.metrics.base import DECIMALS

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor


def errors_by_certainty(log_probabilities: "Tensor", labels: "Tensor") -> "np.ndarray":
    """Return how many of the k most certain images are wrong, k = 1 … N, float64 [N].

    Args:
        log_probabilities: float64 [N, K], ln p(y | x) in nats.
        labels: int64 [N].
    """
    log_confidence, predicted = log_probabilities.max(-1)
    return ranked_errors(
        log_confidence.cpu().numpy(), (predicted != labels).cpu().numpy().astype(float)
    )


def ranked_errors(log_confidence: "np.ndarray", wrong: "np.ndarray") -> "np.ndarray":
    """Return the same of what was kept of every image.

    Among images of equal confidence, in `DECIMALS` decimals, errors are spread evenly: that is
    their mean over all orders.

    Args:
        log_confidence: ln of the largest probability, [N].
        wrong: 1 where the class of that probability is not the label, else 0, [N].
    """
    import numpy as np

    # The complement, as probabilities next to 1 are told apart by it alone.
    doubt = (-np.expm1(np.minimum(log_confidence, 0.0))).round(DECIMALS)
    _, group, sizes = np.unique(doubt, return_inverse=True, return_counts=True)
    of_group = np.bincount(group, weights=wrong, minlength=len(sizes)) / sizes
    return np.repeat(of_group, sizes).cumsum()
