"""Axes of lines over stages: the drawing that several figures share.

Knows summaries as `mean_interval` returns them; knows nothing of metrics.
"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from incbayes.figures.scales import choose_scale, view_limits

UNBOUNDED = (-np.inf, np.inf)


def fit_axis(
    axes: list[Axes],
    summary: pd.DataFrame,
    bounds: tuple[float, float] = UNBOUNDED,
    *,
    with_bands: bool = True,
) -> None:
    """Give all `axes` one y range and scale that suit the means and, if asked, their bands."""
    scale = choose_scale(summary["mean"])
    ends = (summary["low"], summary["high"]) if with_bands else ()
    limits = view_limits(summary["mean"], *ends, scale=scale, bounds=bounds)
    for ax in axes:
        ax.set_yscale(scale)
        ax.set_ylim(limits)
        if scale == "log":
            label_log_axis(ax.yaxis, limits)


def label_log_axis(axis: Axis, limits: tuple[float, float]) -> None:
    """Label a logarithmic axis in plain numbers, at 1, 2 and 5 where the decades are few."""
    decades = np.log10(limits[1] / limits[0])
    subs = (1.0, 2.0, 5.0) if decades < 2.2 else (1.0,)
    axis.set_major_locator(LogLocator(subs=subs, numticks=9))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.9g}"))


def stage_axis(ax: Axes, stages: int) -> None:
    """Give `ax` whole numbers of stages from 1 to `stages`."""
    ax.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True, min_n_ticks=1))
    ax.set_xlim(1 - 0.04 * stages - 0.1, stages + 0.04 * stages + 0.1)
