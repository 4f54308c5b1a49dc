"""How well an uncertainty tells images of the task from outliers.

scikit-learn computes the curve. Uncertainties are compared in as many decimals as confidences,
since rounding alone would order them; equal ones are kept or refused together.
"""

from typing import TYPE_CHECKING, Literal

from incbayes.metrics.base import DECIMALS

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

Measure = Literal["entropy", "information"]
MEASURES: dict[Measure, str] = {
    "entropy": "the entropy of the predictive",
    "information": "the mutual information of label and weights",
}
"""Uncertainties, in the order of the columns in which metrics get them."""


def compared(uncertainty: "Tensor", measure: Measure) -> "np.ndarray":
    """Return the uncertainty of every image as it is compared, float64 [N], in nats.

    Args:
        uncertainty: entropy and mutual information, float64 [N, 2].
        measure: which of the two.
    """
    column = list(MEASURES).index(measure)
    return uncertainty[:, column].cpu().numpy().round(DECIMALS)
