"""Lines over stages with interval bands: the drawing that several figures share.

Knows summaries as `mean_interval` returns them; knows nothing of metrics.
"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from incbayes.figures import style
from incbayes.figures.context import FigureContext
from incbayes.figures.rows import methods_in
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


def draw_methods(ax: Axes, summary: pd.DataFrame, context: FigureContext, x: str) -> None:
    """Draw the mean of each method over column `x`, with its band; call `fit_axis` before."""
    methods = methods_in(summary, context)
    for method in methods:
        line = summary[summary["method"] == method]
        draw_band(ax, line, x, style.colour(method, context), style.paleness(len(methods)))
        ax.plot(
            line[x],
            line["mean"],
            **style.line_look(method, context),
            marker=style.marker(method, context),
            markersize=4 if len(line) <= 12 else 2.6,
        )


def draw_band(ax: Axes, line: pd.DataFrame, x: str, colour: str, paleness: float = 1.0) -> None:
    """Shade the interval of `line`, cut at the limits of the axis; NaN leaves a gap."""
    bottom, top = ax.get_ylim()
    if line["low"].isna().all():
        return
    low, high = line["low"].clip(bottom, top), line["high"].clip(bottom, top)
    if len(line) == 1:  # a band has no width there
        ax.plot([line[x].iloc[0]] * 2, [low.iloc[0], high.iloc[0]], color=colour, linewidth=1.1)
    else:
        ax.fill_between(line[x], low, high, color=colour, alpha=0.09 * paleness, linewidth=0)
        # Edges, so that bands on top of each other can still be told apart.
        for end in (low, high):
            ax.plot(line[x], end, color=colour, alpha=0.55 * paleness, linewidth=0.6)


def stage_axis(ax: Axes, stages: int) -> None:
    """Give `ax` whole numbers of stages from 1 to `stages`."""
    ax.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True, min_n_ticks=1))
    ax.set_xlim(1 - 0.04 * stages - 0.1, stages + 0.04 * stages + 0.1)
