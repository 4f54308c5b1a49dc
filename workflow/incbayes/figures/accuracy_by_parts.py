"""Figure 1 of Kochurov et al. (2018): accuracy of each method, all at once and in T parts.

One panel an experiment, one bar a method and T, with the replicates and the interval of
their mean. Draws the last stage's predictive accuracy on the test set.
"""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from incbayes.figures import style
from incbayes.figures.figure import FigureContext, Frames, StudyFigure
from incbayes.figures.intervals import mean_interval
from incbayes.figures.scales import bar_floor, view_limits
from incbayes.figures.selection import (
    experiments_in,
    final_stage,
    in_order,
    methods_in,
    select_metric,
)

TITLE = "Test accuracy, all at once (T = 1) and in T parts"
BY = ["experiment", "method", "T"]
BAR = 0.8
"""Thickness of a bar; bars of one method are 1 apart."""

GAP = 0.7
"""Extra distance between two methods."""


def numbers(frames: Frames, context: FigureContext) -> pd.DataFrame:
    """Return accuracies in % of the final stages, each beside the summary of its group."""
    chosen = final_stage(select_metric(frames.records, "accuracy"))
    chosen = in_order(chosen, context, "T", "replicate")
    data = chosen[[*BY, "replicate"]].assign(
        metric="accuracy", unit="%", value=100 * chosen["value"]
    )
    return data.merge(mean_interval(data, BY), on=BY, how="left")


def draw(data: pd.DataFrame, context: FigureContext) -> Figure:
    """Return the figure of its numbers."""
    if data.empty:
        return style.nothing(context, TITLE, "No stage has been evaluated on a test set.")
    experiments = experiments_in(data, context)
    panels = [data[data["experiment"] == experiment] for experiment in experiments]
    heights = [_extent(panel) * 0.22 + 0.75 for panel in panels]
    page = style.page(context, TITLE, sum(heights), legend=_legend())
    axes = page.body.subplots(len(panels), 1, squeeze=False, height_ratios=heights)[:, 0]
    for ax, experiment, panel in zip(axes, experiments, panels, strict=True):
        _draw_panel(ax, panel, context)
        ax.set_title(context.experiments[experiment])
    return page.figure


def _extent(panel: pd.DataFrame) -> float:
    """Return the height of a panel, in bars."""
    bars = len(panel.drop_duplicates(BY))
    return bars + GAP * (panel["method"].nunique() - 1)


def _draw_panel(ax: Axes, panel: pd.DataFrame, context: FigureContext) -> None:
    floor = bar_floor(panel["value"].min(), panel["value"].max())
    low, high = view_limits(panel["value"], panel["low"], panel["high"], bounds=(0.0, 100.0))
    floor = min(floor, bar_floor(max(low, 0.0), panel["value"].max()))
    parts = sorted(panel["T"].unique())
    y, centres, rows = 0.0, {}, []
    for method in methods_in(panel, context):
        top = y
        for count in parts:
            bar = panel[(panel["method"] == method) & (panel["T"] == count)]
            if bar.empty:
                continue
            emphasis = (parts.index(count) + 1) / len(parts)
            _draw_bar(ax, bar, y, floor, style.colour(method, context), emphasis)
            rows.append((y, f"T = {count}"))
            y += 1
        centres[method] = (top + y - 1) / 2
        y += GAP
    ax.set_xlim(floor, max(high, floor + 1e-3))
    ax.set_ylim(y - GAP - 0.35, -0.65)
    _label_rows(ax, rows, {context.methods[m]: centre for m, centre in centres.items()})
    start = "bars start at 0" if floor == 0 else f"bars start at {floor:g} %, not at 0"
    ax.set_xlabel(f"test accuracy (%) – {start}")
    ax.text(1.012, 1.0, "mean ± 95 %", transform=ax.transAxes, va="bottom", fontsize=8)


def _draw_bar(
    ax: Axes, bar: pd.DataFrame, y: float, floor: float, colour: str, emphasis: float
) -> None:
    """Draw one bar: a pale body, the replicates, the mean with its interval, the numbers."""
    summary = bar.iloc[0]
    ax.barh(
        y,
        summary["mean"] - floor,
        left=floor,
        height=BAR,
        color=colour,
        alpha=0.15 + 0.4 * emphasis,
        linewidth=0,
    )
    n = len(bar)
    spread = [y + BAR * 0.5 * (place / (n - 1) - 0.5) if n > 1 else y for place in range(n)]
    ax.plot(bar["value"], spread, **_POINT)
    if n > 1:
        ends = [max(summary["low"], 0.0), min(summary["high"], 100.0)]
        ax.plot(ends, [y, y], color=style.INK, linewidth=1.1, zorder=3)
    ax.plot(summary["mean"], y, **_MEAN)
    interval = f" ± {summary['half_width']:.2f}" if n > 1 else ""
    text = f"{summary['mean']:.2f}{interval}  n = {n}"
    ax.text(1.012, y, text, transform=ax.get_yaxis_transform(), va="center", fontsize=8)


_POINT = {
    "linestyle": "",
    "marker": "o",
    "markersize": 3.2,
    "markerfacecolor": "white",
    "markeredgecolor": style.INK,
    "markeredgewidth": 0.7,
    "zorder": 5,
}
_MEAN = {
    "linestyle": "",
    "marker": "|",
    "markersize": 11,
    "markeredgewidth": 1.8,
    "color": style.INK,
    "zorder": 4,
}


def _legend() -> list[Line2D]:
    mean = {**_MEAN, "linestyle": "-", "linewidth": 1.1}
    return [
        Line2D([], [], label="one replicate", **_POINT),
        Line2D([], [], label="mean and 95 % t-interval over replicates", **mean),
    ]


def _label_rows(ax: Axes, rows: list[tuple[float, str]], methods: dict[str, float]) -> None:
    """Write T beside each bar and, left of that, the method beside its bars."""
    ax.yaxis.remove_overlapping_locs = False  # a T beside the middle of its method stays
    ax.set_yticks(list(methods.values()), [style.wrap_label(label) for label in methods])
    ax.set_yticks([y for y, _ in rows], [text for _, text in rows], minor=True)
    ax.tick_params(axis="y", which="major", pad=44, length=0)
    ax.tick_params(axis="y", which="minor", labelsize=8, labelcolor=style.GREY, length=0)
    ax.grid(False, axis="y", which="both")
    ax.spines[["top", "right", "left"]].set_visible(False)


FIGURE = StudyFigure(
    title=TITLE,
    caption=(
        "Accuracy on the test set after the last stage, by the predictive mean over "
        "posterior samples (the point estimate for fine-tuning). T = 1 fits all data at once; "
        "otherwise T parts arrive one after another and old parts are gone. A ring is one "
        "replicate, the tick is the mean over replicates and the line its 95 % t-interval, cut "
        "at the edge of the panel where it is wider; the numbers are on the right. Methods are "
        "paired on replicates, so compare two of them by the table of paired differences and "
        "not by the overlap of these intervals. Each panel says where its bars start. After "
        "Figure 1 of Kochurov et al. (2018)."
    ),
    alt="Horizontal bars of test accuracy per method and number of parts, one panel an "
    "experiment. The numbers are in the summary table.",
    numbers=numbers,
    draw=draw,
    module=__name__,
)
