"""The interval of a mean difference over replicates *and* images, crossed with each other.

Every replicate is scored on the same images, so that an image that is hard for one is hard for
all: more replicates average that no further. The variance of a mean of R replicates and N images
is Var = σ_R²/R + σ_I²/N + σ_RI²/(RN), of which an interval over replicates alone has the first
and the last term. It knows a table of differences, and no records.
"""

from dataclasses import dataclass

import numpy as np
from scipy import stats

from incbayes.claims.paired import LEVEL


@dataclass(frozen=True)
class OnOtherImages:
    """A two-sided 95 % interval of an effect, on other replicates and other images of the kind.

    Attributes:
        images: N, that are scored.
        low: its lower end, in the metric's unit.
        high: its upper end.
    """

    images: int
    low: float
    high: float


def crossed_interval(differences: np.ndarray) -> tuple[float, float]:
    """Return the two-sided 95 % interval of the mean of a random-effects table.

    With mean squares MS of replicates, images and their interaction (two-way analysis of variance,
    one value a cell; Searle, Casella and McCulloch 1992, ch. 4) the estimate of Var is A + B, with
    A = MS_R/(RN), the squared standard error over replicates alone, of R - 1 degrees of freedom,
    and B = max(0, MS_I - MS_RI)/(RN), of N - 1. The half-width is √(t²_{R-1}·A + t²_{N-1}·B): for
    normal effects it covers with at least the level however A and B compare (Banerjee 1961), and
    it is never narrower than the interval over replicates alone. The pigeonhole bootstrap (Owen
    2007) estimates the same variance, but counts the interaction three times, and covers too
    little at few replicates, which it resamples as if they were many.

    Args:
        differences: [R, N], R and N at least 2, in the metric's unit.
    """
    replicates, images = differences.shape
    of_replicates, of_images = differences.mean(1), differences.mean(0)
    mean = float(of_replicates.mean())
    rest = differences - of_replicates[:, None] - of_images + mean
    interaction = float(np.square(rest).sum()) / ((replicates - 1) * (images - 1))
    over_replicates = float(of_replicates.var(ddof=1)) / replicates
    excess = replicates * float(of_images.var(ddof=1)) - interaction
    over_images = max(0.0, excess) / (replicates * images)
    quantiles = stats.t.ppf(0.5 + LEVEL / 2, [replicates - 1, images - 1])
    half = float(np.sqrt(np.square(quantiles) @ [over_replicates, over_images]))
    return mean - half, mean + half
