"""Coverage: how often a number lies in the interval that was predicted for it."""

from functools import partial
from typing import TYPE_CHECKING

from incbayes.metrics.base import Metric
from incbayes.metrics.mixture import below

if TYPE_CHECKING:
    from torch import Tensor


def coverage(level: float, mixture: "Tensor", truth: "Tensor", bins: int) -> float:
    """Return the fraction of numbers in the central interval of a level, ends included.

    That is where F(y), the distribution function of the mixture, is between (1 - level)/2 and
    (1 + level)/2.

    Args:
        level: of the interval, above 0 and below 1.
        mixture: mean and standard deviation of S Gaussians, float64 [N, S, 2].
        truth: float64 [N].
        bins: not used.
    """
    return ((below(mixture, truth) - 0.5).abs() <= level / 2).double().mean().item()


def _metric(level: float) -> Metric:
    value = partial(coverage, level)
    value.__doc__ = (
        f"Return the fraction of numbers that lie in the central {100 * level:g} % interval."
    )
    return Metric(
        value,
        title=f"coverage of {100 * level:g} % intervals",
        heading=f"Coverage of {100 * level:g} % intervals (%)",
        better="nominal",
        bounds=(0.0, 1.0),
        unit="%",
        difference_unit="points",
        factor=100.0,
        decimals=1,
        of="number",
        nominal=level,
    )


HALF, NINE_TENTHS = _metric(0.5), _metric(0.9)
