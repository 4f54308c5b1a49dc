"""Accuracy and NLL on the test set as parts arrive, beside the fit of all data at once.

Of a target that is a number, RMSE and NLPD. Each metric twice: as it is, and as the difference to
the experiment's first method, paired on replicates. Draws the largest T of each experiment; T = 1,
where the study has it, at the right edge.
"""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from incbayes.figures import style
from incbayes.figures.base import StudyFigure
from incbayes.figures.blocks import Block, blocks_page, method_handles
from incbayes.figures.context import FigureContext
from incbayes.figures.curves import ROW, SPREAD, draw_few, draw_intervals, name_axis, ranged
from incbayes.figures.intervals import (
    UNBOUNDED,
    differences_of,
    drawn_interval,
    with_differences,
)
from incbayes.figures.lines import fit_axis, stage_axis
from incbayes.figures.rows import experiments_in, in_order, methods_in, select_metric
from incbayes.figures.scales import view_limits
from incbayes.kinds import METRICS
from incbayes.metrics.base import Metric
from incbayes.results.frames import Frames
from incbayes.results.intervals import mean_interval

TITLE = "Test accuracy and NLL over the stages"
DRAWN = {name: METRICS[name] for name in ("accuracy", "nll", "rmse", "nlpd")}
"""The metrics, from top to bottom: two of classes, and two of a number."""

STAGE = ["T", "t", "metric"]
BY = ["experiment", "method", *STAGE]


def numbers(frames: Frames, context: FigureContext) -> pd.DataFrame:
    """Return the value of every stage and replicate, each beside the summary of its stage.

    One row an experiment, method, T, metric, stage and replicate.
    """
    found = []
    for name, metric in DRAWN.items():
        chosen = select_metric(frames.records, name).dropna(subset="value")
        chosen = in_order(chosen, context, "T", "t", "replicate")
        found.append(
            chosen[["experiment", "method", "T", "t", "replicate"]].assign(
                metric=name, unit=metric.unit, value=metric.factor * chosen["value"]
            )
        )
    data = pd.concat(found, ignore_index=True)
    return data.merge(mean_interval(data, BY), on=BY, how="left")


def arrange(data: pd.DataFrame) -> pd.DataFrame:
    """Return the largest T and, as the reference, T = 1, with differences to the first method."""
    if data.empty:
        return data
    largest = data["T"] == data.groupby("experiment")["T"].transform("max")
    return with_differences(data[largest | (data["T"] == 1)], STAGE)


def lacking(data: pd.DataFrame, context: FigureContext) -> str:
    """Return why there is nothing to draw, or an empty text."""
    if data.empty:
        return "No stage has been evaluated on a test set."
    if (data["T"] == 1).all():
        return "Every experiment has one stage: its numbers are in the tables of results."
    return ""


def draw(data: pd.DataFrame, context: FigureContext) -> Figure:
    """Return the figure of its numbers."""
    experiments, single = [], []
    for experiment in experiments_in(data, context):
        of_one = (data.loc[data["experiment"] == experiment, "T"] == 1).all()
        (single if of_one else experiments).append(experiment)
    panels = [data[data["experiment"] == experiment] for experiment in experiments]
    blocks = []
    for experiment, panel in zip(experiments, panels, strict=True):
        methods = methods_in(panel, context)
        height = style.taller(ROW, len(methods)) * panel["metric"].nunique()
        blocks.append(Block(context.titles[experiment], height, method_handles(methods, context)))
    notes = [context.draws_apart]
    if single:
        names = ", ".join(context.titles[experiment] for experiment in single)
        notes.append(f"Left out, as there is one stage: {names}.")
    figure, bands = blocks_page(context, _title(data), blocks, notes=notes)
    for band, panel in zip(bands, panels, strict=True):
        _draw_experiment(band, panel, context)
    return figure


def _title(data: pd.DataFrame) -> str:
    """Return the heading, with the metrics that are drawn."""
    *titles, last = [metric.title for name, metric in DRAWN.items() if name in set(data["metric"])]
    return f"Test {', '.join(titles)} and {last} over the stages"


def _draw_experiment(band: SubFigure, panel: pd.DataFrame, context: FigureContext) -> None:
    """Draw a row a metric: as it is, and beside it the differences where there are some."""
    drawn = [name for name in DRAWN if name in set(panel["metric"])]
    paired = len(differences_of(panel)) > 0
    grid = band.subplots(len(drawn), 1 + paired, squeeze=False)
    for axes, name in zip(grid, drawn, strict=True):
        rows = panel[panel["metric"] == name]
        _draw_values(axes[0], rows, context, DRAWN[name], alone=not paired)
        if paired:
            _draw_differences(axes[1], rows, context, DRAWN[name])
    for ax in grid[-1]:
        ax.set_xlabel(f"stage t of T = {int(panel['T'].max())}")
    for ax in grid[:-1].flat:
        ax.tick_params(labelbottom=False)


def _draw_values(
    ax: Axes, rows: pd.DataFrame, context: FigureContext, metric: Metric, *, alone: bool
) -> None:
    """Draw the mean of each method over the stages, with its interval where there are no others."""
    means = _placed(rows, context, 0.0)
    bounds = (metric.factor * metric.bounds[0], metric.factor * metric.bounds[1])
    means["low"], means["high"] = drawn_interval(means, bounds)
    fit_axis([ax], ranged(rows, bounds, alone), bounds)
    log = ", log" if ax.get_yscale() == "log" else ""
    name_axis(ax, f"test {metric.title} ({metric.unit}{log})")
    if alone:
        draw_intervals(ax, means, context)
    _draw_means(ax, means, context, joined=1.3)
    draw_few(ax, means, rows, context, ["method", "T", "t"])
    _stage_axis(ax, rows, context)


def _draw_differences(ax: Axes, rows: pd.DataFrame, context: FigureContext, metric: Metric) -> None:
    """Draw each method minus the first, with its interval; of few replicates, each of them."""
    differences = differences_of(rows)
    if differences.empty:  # of this metric: those of the other may have pairs
        ax.set_axis_off()
        return
    means = _placed(differences, context, SPREAD)
    means["low"], means["high"] = drawn_interval(means)
    held = ranged(differences, UNBOUNDED, True)
    ax.set_ylim(view_limits([*held["mean"], 0.0], held["low"], held["high"]))
    ax.axhline(0, color="#888888", linestyle="--", linewidth=1, zorder=1)
    reference = context.labels[rows["reference"].iloc[0]]
    name_axis(ax, f"minus {reference} ({metric.difference_unit or metric.unit})")
    draw_intervals(ax, means, context)
    _draw_means(ax, means, context, joined=0.6)
    draw_few(ax, means, differences, context, ["method", "T", "t"])
    _stage_axis(ax, rows, context)


def _placed(rows: pd.DataFrame, context: FigureContext, spread: float) -> pd.DataFrame:
    """Return one row a method and stage with its place `x`; T = 1 behind the last stage.

    Args:
        rows: of one metric.
        context: the study.
        spread: of a stage's width, what the methods take beside each other.
    """
    means = rows.drop_duplicates(["method", "T", "t"])
    methods = methods_in(rows, context)
    place = means["method"].map(methods.index)
    beside = spread * ((place + 0.5) / len(methods) - 0.5)
    stages = int(rows["T"].max())
    start, step = _reference_place(stages, len(methods))
    at_once = start + (place + 0.75) * step
    return means.assign(x=(means["t"] + beside).where(means["T"] > 1, at_once))


def _draw_means(ax: Axes, means: pd.DataFrame, context: FigureContext, joined: float) -> None:
    """Draw a mark a stage, the stages of a chain joined by a line so wide."""
    for method in methods_in(means, context):
        look, mark = style.line_look(method, context), style.marker(method, context)
        of_method = means[means["method"] == method]
        chain = of_method[of_method["T"] > 1]
        size = 4 if len(chain) <= 12 else 2.6
        ax.plot(
            chain["x"], chain["mean"], **look, linewidth=joined, marker=mark, markersize=size,
            zorder=4, gid="mean",
        )  # fmt: skip
        once = of_method[of_method["T"] == 1]
        ax.plot(once["x"], once["mean"], mark, color=look["color"], markersize=4, zorder=4)


def _reference_place(stages: int, methods: int) -> tuple[float, float]:
    """Return where the methods at T = 1 begin, and the distance of two of them."""
    unit = max(stages, 4) / 10
    return stages + 0.6 * unit + 0.3, min(0.5, 2.0 / methods) * unit


def _stage_axis(ax: Axes, rows: pd.DataFrame, context: FigureContext) -> None:
    """Give the axis its stages and, behind a line at the right edge, T = 1."""
    stages, methods = int(rows["T"].max()), len(methods_in(rows, context))
    stage_axis(ax, stages)
    left = 0.5 if stages > 1 else ax.get_xlim()[0]
    if not (rows["T"] == 1).any():
        ax.set_xlim(left, stages + 0.5)
        return
    start, step = _reference_place(stages, methods)
    end = start + (methods + 0.5) * step
    ax.axvline(start, color="#888888", linewidth=0.8)
    ax.set_xlim(left, end)
    ticks = [tick for tick in ax.get_xticks() if 1 <= tick <= stages]
    # The last stage gives way where the words would touch it.
    while len(ticks) > 1 and (start + end) / 2 - ticks[-1] < 0.24 * (end - left):
        ticks.pop()
    ax.set_xticks([*ticks, (start + end) / 2], [*(f"{tick:g}" for tick in ticks), "T = 1"])


FIGURE = StudyFigure(
    title=TITLE,
    caption=(
        "After each stage t of the largest T: accuracy and negative log-likelihood of the "
        "predictive mean on the test set; of a target that is a number, root mean squared error "
        "and negative log predictive density. Left: means over replicates, with 95 % t-intervals "
        "where there is one method. Right: the difference to the experiment's first method at "
        "the same stage, paired on replicates: its mean and, pale, its 95 % t-interval, methods "
        "beside each other. Off the dashed line at 0 a method differs from the first; a "
        "difference that grows is a gain, or a loss, as parts arrive. Behind the vertical line: "
        "the same methods fitted to all data at once. Of fewer than three replicates each is "
        "drawn, hollow, without an interval; an interval that goes on beyond its axis ends in "
        "an arrowhead."
    ),
    alt="Lines of test accuracy and of test NLL over the stages, one line a method, and of the "
    "paired differences to the first method with intervals. The numbers at the last stage are in "
    "the tables of results.",
    numbers=numbers,
    arrange=arrange,
    lacking=lacking,
    draw=draw,
    module=__name__,
)
