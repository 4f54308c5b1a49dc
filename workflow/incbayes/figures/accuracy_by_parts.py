"""Figure 1 of Kochurov et al. (2018): accuracy of each method, all at once and in T parts.

A row a method and T, each experiment by itself: the replicates with the interval of their mean,
and beside it the difference to the experiment's first method, paired on replicates. Draws the last
stage's predictive accuracy on the test set.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from incbayes.figures import style, texts
from incbayes.figures.base import StudyFigure
from incbayes.figures.blocks import Block, blocks_page
from incbayes.figures.context import FigureContext
from incbayes.figures.intervals import (
    RING,
    UNBOUNDED,
    counts_of,
    differences_of,
    draw_interval,
    drawn_interval,
    with_differences,
)
from incbayes.figures.rows import experiments_in, final_stage, in_order, methods_in, select_metric
from incbayes.figures.scales import view_limits
from incbayes.kinds import METRICS
from incbayes.results.frames import Frames
from incbayes.results.intervals import mean_interval

TITLE = "Test accuracy, all at once (T = 1) and in T parts"
ACCURACY = METRICS["accuracy"]
BOUNDS = (0.0, 100.0)
BY = ["experiment", "method", "T"]
GAP = 0.5
"""Extra distance between two methods; rows of one method are 1 apart."""

INCHES = 0.2
"""Height of 1, the distance of two rows."""

BELOW = 0.33
"""How far the replicates are below their mean, so that neither hides the other."""

FOOT = 0.75
"""Inches of a panel that its axis and the label below take."""

LABEL_WIDTH, AXIS_LABEL_WIDTH = 1.05, 1.7
"""Inches, of a method's label beside its rows and of the words below an axis."""


def numbers(frames: Frames, context: FigureContext) -> pd.DataFrame:
    """Return accuracies in % of the final stages, each beside the summary of its group."""
    chosen = final_stage(select_metric(frames.records, "accuracy"))
    # A replicate without a value is none: it has no ring and does not count in n.
    chosen = in_order(chosen.dropna(subset="value"), context, "T", "replicate")
    data = chosen[[*BY, "replicate"]].assign(
        metric="accuracy", unit=ACCURACY.unit, value=ACCURACY.factor * chosen["value"]
    )
    return data.merge(mean_interval(data, BY), on=BY, how="left")


def arrange(data: pd.DataFrame) -> pd.DataFrame:
    """Return all rows, with the differences to the first method at the same T."""
    return with_differences(data, ["T"]) if len(data) else data


def lacking(data: pd.DataFrame, context: FigureContext) -> str:
    """Return why there is nothing to draw, or an empty text."""
    if len(data):
        return ""
    return f"No stage has been evaluated on a test set. {context.left_out('accuracy')}".strip()


def draw(data: pd.DataFrame, context: FigureContext) -> Figure:
    """Return the figure of its numbers."""
    experiments = experiments_in(data, context)
    panels = [data[data["experiment"] == experiment] for experiment in experiments]
    rows = [_slots(panel, context) for panel in panels]
    blocks = [
        Block(context.titles[experiment], slots[-1].bottom * INCHES + FOOT)
        for experiment, slots in zip(experiments, rows, strict=True)
    ]
    notes = [context.left_out("accuracy"), context.scored_apart(data)]
    figure, bands = blocks_page(context, TITLE, blocks, legend=_legend(), notes=notes)
    for band, panel, slots in zip(bands, panels, rows, strict=True):
        _draw_experiment(band, panel, slots, context)
    return figure


@dataclass(frozen=True)
class Slot:
    """The place of a method in a panel; downwards, in distances of two rows.

    Attributes:
        method: its name.
        label: beside its rows, on as many lines as it needs.
        rows: by T, where its row is.
        bottom: where the next method begins.
    """

    method: str
    label: str
    rows: dict[int, float]
    bottom: float

    @property
    def centre(self) -> float:
        """The middle of the rows."""
        return sum(self.rows.values()) / len(self.rows)


def _slots(panel: pd.DataFrame, context: FigureContext) -> list[Slot]:
    """Return the place of every method: as high as its rows, or as its label is."""
    slots, top = [], 0.0
    for method in methods_in(panel, context):
        counts = sorted(panel.loc[panel["method"] == method, "T"].unique())
        lines = texts.cut(context.labels[method], LABEL_WIDTH, style.LEGEND_SIZE)
        needed = texts.height(len(lines), style.LEGEND_SIZE) / INCHES
        first = top + max(needed - len(counts), 0) / 2
        rows = {int(count): first + place for place, count in enumerate(counts)}
        top += max(needed, len(counts)) + GAP
        slots.append(Slot(method, "\n".join(lines), rows, top))
    return slots


def _draw_experiment(
    band: SubFigure, panel: pd.DataFrame, slots: Sequence[Slot], context: FigureContext
) -> None:
    differences = differences_of(panel)
    paired = len(differences) > 0
    shape = {"width_ratios": [1.2, 1.0]} if paired else {}
    axes = band.subplots(1, 1 + paired, squeeze=False, **shape)[0]
    _draw_rows(axes[0], panel, slots, context, BOUNDS)
    _label_rows(axes[0], slots)
    _name_axis(axes[0], f"accuracy ({ACCURACY.unit}), {counts_of(panel['n'])}")
    if not paired:
        return
    _draw_rows(axes[1], differences, slots, context, UNBOUNDED)
    axes[1].axvline(0, color="#888888", linestyle="--", linewidth=1, zorder=1)
    axes[1].set_yticks([])
    reference = context.labels[panel["reference"].iloc[0]]
    words = f"minus {reference} at the same T ({ACCURACY.difference_unit}), paired"
    _name_axis(axes[1], f"{words}, {counts_of(differences['n'])}")


def _draw_rows(
    ax: Axes,
    panel: pd.DataFrame,
    slots: Sequence[Slot],
    context: FigureContext,
    bounds: tuple[float, float],
) -> None:
    """Draw the replicates, the mean and its interval of each method and T, with the mean's number.

    Args:
        ax: where to.
        panel: replicates in `value`, with the summary of each row.
        slots: of the methods.
        context: the study.
        bounds: that a value has; differences have none.
    """
    low, high = drawn_interval(panel, bounds)
    panel = panel.assign(drawn_low=low, drawn_high=high)
    centre = () if bounds is BOUNDS else (0.0,)
    ax.set_xlim(view_limits([*panel["value"], *centre], low, high, bounds=bounds))
    ax.set_ylim(slots[-1].bottom - GAP - 0.1, -0.7)
    for slot in slots:
        colour, marker = style.colour(slot.method, context), style.marker(slot.method, context)
        for count, y in slot.rows.items():
            row = panel[(panel["method"] == slot.method) & (panel["T"] == count)]
            if row.empty:
                continue
            summary = row.iloc[0]
            ax.plot(row["value"], [y + BELOW] * len(row), **RING, gid="replicate")
            draw_interval(ax, y, (summary["drawn_low"], summary["drawn_high"]), colour)
            ax.plot(summary["mean"], y, marker, color=colour, markersize=5, zorder=5, gid="mean")
            mean = round(summary["mean"], ACCURACY.decimals) + 0.0
            text = f"{mean:{'+' if bounds is UNBOUNDED else ''}.{ACCURACY.decimals}f}"
            ax.text(
                1.03,
                y,
                text.replace("-", "−"),
                transform=ax.get_yaxis_transform(),
                va="center",
                fontsize=style.LEGEND_SIZE,
            )
    ax.xaxis.set_major_locator(MaxNLocator(nbins=4))
    ax.grid(False, axis="y", which="both")
    ax.spines[["top", "right", "left"]].set_visible(False)


def _name_axis(ax: Axes, words: str) -> None:
    ax.set_xlabel(texts.wrap(words, AXIS_LABEL_WIDTH, style.LEGEND_SIZE), fontsize=8.5)


def _legend() -> list[Line2D]:
    mean = {"marker": "o", "markersize": 5, "color": style.INK, "linewidth": 1.3}
    return [
        Line2D([], [], label="one replicate", **RING),
        Line2D([], [], label="mean, 95 % t-interval of n ≥ 3", **mean),
    ]


def _label_rows(ax: Axes, slots: Sequence[Slot]) -> None:
    """Write T beside each row and, left of that, the method beside its rows."""
    ax.yaxis.remove_overlapping_locs = False  # a T beside the middle of its method stays
    rows = {y: f"T = {count}" for slot in slots for count, y in slot.rows.items()}
    ax.set_yticks([slot.centre for slot in slots], [slot.label for slot in slots])
    ax.set_yticks(list(rows), list(rows.values()), minor=True)
    widest = max(texts.width(text, 8) for text in rows.values())
    ax.tick_params(axis="y", which="major", pad=widest * texts.POINTS + 10, length=0)
    ax.tick_params(axis="y", which="minor", labelsize=8, labelcolor=style.GREY, length=0)


FIGURE = StudyFigure(
    title=TITLE,
    caption=(
        "Accuracy on the test set after the last stage, by the predictive mean over "
        "posterior samples (the point estimate for fine-tuning). T = 1 fits all data at once; "
        "otherwise T parts arrive one after another and old parts are gone. Left: a ring is one "
        "replicate, a filled mark the mean over replicates with its number, and the line its "
        "95 % t-interval. Right: the same for the difference to the experiment's first method at "
        "the same T. Methods are paired on replicates, so compare two of them there and not by "
        "the overlap of the intervals on the left. No interval is drawn of fewer than three "
        "replicates; one that goes on beyond its axis ends in an arrowhead. After Figure 1 of "
        "Kochurov et al. (2018)."
    ),
    alt="Dots of test accuracy per method and number of parts with intervals, and of the paired "
    "differences to the first method. The numbers are in the summary table.",
    numbers=numbers,
    arrange=arrange,
    lacking=lacking,
    draw=draw,
    module=__name__,
)
