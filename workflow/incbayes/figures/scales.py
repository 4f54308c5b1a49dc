"""Ranges and scales of axes, chosen from the numbers so that intervals cannot hide the means.

Knows numbers only; knows nothing of studies.
"""

import math
from collections.abc import Iterable
from typing import Literal

import numpy as np

Scale = Literal["linear", "log"]

LOG_RATIO = 20.0
"""Positive values that span more than this factor are shown on a logarithmic axis."""


def choose_scale(values: Iterable[float]) -> Scale:
    """Return `log` for positive values that span more than `LOG_RATIO`, else `linear`."""
    values = _finite(values)
    if len(values) and values.min() > 0 and values.max() / values.min() > LOG_RATIO:
        return "log"
    return "linear"


def view_limits(
    values: Iterable[float],
    low: Iterable[float] = (),
    high: Iterable[float] = (),
    *,
    scale: Scale = "linear",
    bounds: tuple[float, float] = (-math.inf, math.inf),
) -> tuple[float, float]:
    """Return axis limits that hold all `values` and their intervals as far as is sensible.

    An interval widens the axis by no more than the span of the values on either side: with two
    replicates it is 13 times as wide as their distance, and would flatten everything else.

    Args:
        values: what must be visible.
        low: lower ends of intervals; NaN for none.
        high: upper ends of intervals; NaN for none.
        scale: of the axis.
        bounds: limits that the quantity itself has.
    """
    values, low, high = _finite(values), _finite(low), _finite(high)
    if scale == "log":
        values, low, high = np.log10(values), np.log10(low[low > 0]), np.log10(high[high > 0])
    if not len(values):
        return (0.0, 1.0)
    bottom, top = values.min(), values.max()
    span, size = top - bottom, max(abs(top), abs(bottom))
    if span <= 1e-9 * size:  # one value, or equal ones
        span = max(0.02 * size, 1e-6)
        bottom, top = bottom - span / 2, top + span / 2
    bottom = max(min([bottom, *low]), bottom - span)
    top = min(max([top, *high]), top + span)
    pad = 0.06 * (top - bottom)
    limits = (bottom - pad, top + pad)
    if scale == "log":
        limits = (10.0 ** limits[0], 10.0 ** limits[1])
    # A little beyond a bound, so that a mark on it is not halved.
    reach = 0.02 * (min(limits[1], bounds[1]) - max(limits[0], bounds[0]))
    return (max(limits[0], bounds[0] - reach), min(limits[1], bounds[1] + reach))


def _finite(values: Iterable[float]) -> np.ndarray:
    array = np.asarray(list(values), dtype=float)
    return array[np.isfinite(array)]
