"""Figure 1 of Kochurov et al. (2018): accuracy of each method, all at once and in T parts.

One panel an experiment, one bar a method and T, with the replicates and the interval of
their mean. Draws the last stage's predictive accuracy on the test set.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from incbayes.figures import style, texts
from incbayes.figures.base import StudyFigure
from incbayes.figures.context import FigureContext
from incbayes.figures.rows import experiments_in, final_stage, in_order, methods_in, select_metric
from incbayes.figures.scales import bar_floor, view_limits
from incbayes.kinds import METRICS
from incbayes.results.frames import Frames
from incbayes.results.intervals import mean_interval

TITLE = "Test accuracy, all at once (T = 1) and in T parts"
ACCURACY = METRICS["accuracy"]
BY = ["experiment", "method", "T"]
BAR = 0.8
"""Thickness of a bar; bars of one method are 1 apart."""

GAP = 0.7
"""Extra distance between two methods."""

INCHES = 0.22
"""Height of 1, the distance of two bars."""

LABEL_WIDTH, TITLE_WIDTH = 1.6, 5.0
"""Inches, of a method's label beside its bars and of the title above them."""


def numbers(frames: Frames, context: FigureContext) -> pd.DataFrame:
    """Return accuracies in % of the final stages, each beside the summary of its group."""
    chosen = final_stage(select_metric(frames.records, "accuracy"))
    # A replicate without a value is none: it has no ring and does not count in n.
    chosen = in_order(chosen.dropna(subset="value"), context, "T", "replicate")
    data = chosen[[*BY, "replicate"]].assign(
        metric="accuracy", unit=ACCURACY.unit, value=ACCURACY.factor * chosen["value"]
    )
    return data.merge(mean_interval(data, BY), on=BY, how="left")


def draw(data: pd.DataFrame, context: FigureContext) -> Figure:
    """Return the figure of its numbers."""
    if data.empty:
        reason = "No stage has been evaluated on a test set."
        return style.nothing(context, TITLE, f"{reason} {context.left_out('accuracy')}".strip())
    experiments = experiments_in(data, context)
    panels = [data[data["experiment"] == experiment] for experiment in experiments]
    rows = [_slots(panel, context) for panel in panels]
    titles, more = style.panel_titles((context.titles[e] for e in experiments), TITLE_WIDTH)
    heights = [(slots[-1].bottom - GAP) * INCHES + 0.75 + more for slots in rows]
    notes = [context.left_out("accuracy")]
    page = style.page(context, TITLE, sum(heights), legend=_legend(), notes=notes)
    axes = page.body.subplots(len(panels), 1, squeeze=False, height_ratios=heights)[:, 0]
    for ax, title, panel, slots in zip(axes, titles, panels, rows, strict=True):
        _draw_panel(ax, panel, slots, context)
        ax.set_title(title)
    return page.figure


@dataclass(frozen=True)
class Slot:
    """The place of a method in a panel; downwards, in distances of two bars.

    Attributes:
        method: its name.
        label: beside its bars, on as many lines as it needs.
        bars: by T, the middle of its bar.
        bottom: where the next method begins.
    """

    method: str
    label: str
    bars: dict[int, float]
    bottom: float

    @property
    def centre(self) -> float:
        """The middle of the bars."""
        return sum(self.bars.values()) / len(self.bars)


def _slots(panel: pd.DataFrame, context: FigureContext) -> list[Slot]:
    """Return the place of every method: as high as its bars, or as its label is."""
    slots, top = [], 0.0
    for method in methods_in(panel, context):
        counts = sorted(panel.loc[panel["method"] == method, "T"].unique())
        lines = texts.cut(context.labels[method], LABEL_WIDTH, style.LEGEND_SIZE)
        needed = texts.height(len(lines), style.LEGEND_SIZE) / INCHES
        first = top + max(needed - len(counts), 0) / 2
        bars = {int(count): first + place for place, count in enumerate(counts)}
        top += max(needed, len(counts)) + GAP
        slots.append(Slot(method, "\n".join(lines), bars, top))
    return slots


def _draw_panel(
    ax: Axes, panel: pd.DataFrame, slots: Sequence[Slot], context: FigureContext
) -> None:
    floor = bar_floor(panel["value"].min(), panel["value"].max())
    low, high = view_limits(panel["value"], panel["low"], panel["high"], bounds=(0.0, 100.0))
    floor = min(floor, bar_floor(max(low, 0.0), panel["value"].max()))
    parts = sorted(panel["T"].unique())
    for slot in slots:
        look = {"color": style.colour(slot.method, context)}
        look["hatch"] = style.hatch(slot.method, context)
        for count, y in slot.bars.items():
            bar = panel[(panel["method"] == slot.method) & (panel["T"] == count)]
            emphasis = (parts.index(count) + 1) / len(parts)
            _draw_bar(ax, bar, y, floor, look, emphasis)
    ax.set_xlim(floor, max(high, floor + 1e-3))
    ax.set_ylim(slots[-1].bottom - GAP - 0.35, -0.65)
    _label_rows(ax, slots)
    start = "bars start at 0" if floor == 0 else f"bars start at {floor:g} %, not at 0"
    ax.set_xlabel(f"test accuracy (%) – {start}")
    ax.text(1.012, 1.0, "mean ± 95 %", transform=ax.transAxes, va="bottom", fontsize=8)


def _draw_bar(
    ax: Axes, bar: pd.DataFrame, y: float, floor: float, look: dict[str, str], emphasis: float
) -> None:
    """Draw one bar: a pale body, the replicates, the mean with its interval, the numbers."""
    summary = bar.iloc[0]
    ax.barh(
        y,
        summary["mean"] - floor,
        left=floor,
        height=BAR,
        facecolor=to_rgba(look["color"], 0.15 + 0.4 * emphasis),
        edgecolor=to_rgba(look["color"], 0.35 + 0.4 * emphasis),
        hatch=look["hatch"],
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


def _label_rows(ax: Axes, slots: Sequence[Slot]) -> None:
    """Write T beside each bar and, left of that, the method beside its bars."""
    ax.yaxis.remove_overlapping_locs = False  # a T beside the middle of its method stays
    rows = {y: f"T = {count}" for slot in slots for count, y in slot.bars.items()}
    ax.set_yticks([slot.centre for slot in slots], [slot.label for slot in slots])
    ax.set_yticks(list(rows), list(rows.values()), minor=True)
    widest = max(texts.width(text, 8) for text in rows.values())
    ax.tick_params(axis="y", which="major", pad=widest * texts.POINTS + 14, length=0)
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
