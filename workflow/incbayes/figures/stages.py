"""Accuracy and NLL on the test set as parts arrive, beside the fit of all data at once.

Draws the largest T of each experiment; T = 1, where the study has it, at the right edge.
"""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from incbayes.figures import style
from incbayes.figures.figure import FigureContext, Frames, StudyFigure
from incbayes.figures.intervals import mean_interval
from incbayes.figures.lines import draw_methods, fit_axis, stage_axis
from incbayes.figures.selection import (
    experiments_in,
    in_order,
    methods_in,
    most_parts,
    select_metric,
)

TITLE = "Test accuracy and NLL over the stages"
METRICS = {
    "accuracy": ("test accuracy (%)", "%", 100.0, (0.0, 100.0)),
    "nll": ("test NLL (nats per image)", "nats per image", 1.0, (0.0, float("inf"))),
}
"""Metric: axis label, unit, factor, and the bounds of the quantity."""

COLUMNS = 2
"""Experiments beside each other."""


def numbers(frames: Frames, context: FigureContext) -> pd.DataFrame:
    """Return means over replicates: one row an experiment, method, T, stage and metric."""
    summaries = []
    for metric, (_, unit, factor, _) in METRICS.items():
        chosen = in_order(select_metric(frames.records, metric), context, "T", "t", "replicate")
        summary = mean_interval(
            chosen.assign(value=factor * chosen["value"]), ["experiment", "method", "T", "t"]
        )
        summaries.append(summary.assign(metric=metric, unit=unit))
    return pd.concat(summaries, ignore_index=True)


def arrange(data: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the largest T, and of T = 1 as the reference."""
    largest = data["T"] == data.groupby("experiment")["T"].transform("max")
    return data[largest | (data["T"] == 1)]


def draw(data: pd.DataFrame, context: FigureContext) -> Figure:
    """Return the figure of its numbers."""
    if data.empty:
        return style.nothing(context, TITLE, "No stage has been evaluated on a test set.")
    experiments = experiments_in(data, context)
    columns = min(COLUMNS, len(experiments))
    rows = -(-len(experiments) // columns)
    legend = [style.method_handle(method, context) for method in methods_in(data, context)]
    page = style.page(context, TITLE, 4.6 * rows, legend=legend)
    grid = page.body.subplots(len(METRICS) * rows, columns, squeeze=False)
    for ax in grid.flat:
        ax.set_visible(False)
    for place, experiment in enumerate(experiments):
        top, column = len(METRICS) * (place // columns), place % columns
        panel = data[data["experiment"] == experiment]
        for row, metric in enumerate(METRICS):
            ax = grid[top + row, column]
            ax.set_visible(True)
            _draw_panel(ax, panel[panel["metric"] == metric], context, METRICS[metric])
        grid[top, column].set_title(
            style.wrap_label(context.experiments[experiment], 44 if columns > 1 else 90)
        )
    return page.figure


def _draw_panel(
    ax: Axes,
    panel: pd.DataFrame,
    context: FigureContext,
    description: tuple[str, str, float, tuple[float, float]],
) -> None:
    label, _, _, bounds = description
    fit_axis([ax], panel, bounds)
    ax.set_ylabel(label + (" – log scale" if ax.get_yscale() == "log" else ""))
    chain = most_parts(panel)
    stages = int(chain["T"].max())
    draw_methods(ax, chain, context, "t")
    stage_axis(ax, stages)
    ax.set_xlabel(f"stage t of T = {stages}")
    if stages > 1 and (panel["T"] == 1).any():
        _draw_reference(ax, panel[panel["T"] == 1], context, stages)


def _draw_reference(ax: Axes, reference: pd.DataFrame, context: FigureContext, stages: int) -> None:
    """Draw T = 1, methods beside each other, behind a line at the right edge."""
    methods = methods_in(reference, context)
    unit = max(stages, 4) / 10
    start = stages + 0.5 * unit
    step = min(0.4, 1.6 / len(methods)) * unit
    for place, method in enumerate(methods):
        x = start + (place + 0.75) * step
        point = reference[reference["method"] == method].assign(x=x)
        draw_methods(ax, point, context, "x")
    end = start + (len(methods) + 0.5) * step
    ax.axvline(start, color="#888888", linewidth=0.8)
    ax.set_xlim(ax.get_xlim()[0], end)
    ticks = [tick for tick in ax.get_xticks() if 1 <= tick <= stages]
    ax.set_xticks([*ticks, (start + end) / 2], [*(f"{tick:g}" for tick in ticks), "T = 1"])


FIGURE = StudyFigure(
    title=TITLE,
    caption=(
        "After each stage t of the largest T: accuracy and negative log-likelihood of the "
        "predictive mean on the test set. Lines are means over replicates, bands their "
        "95 % t-intervals (cut at the edge of the panel where they are wider; none with one "
        "replicate). Right of the vertical line: the same method fitted to all data at once."
    ),
    alt="Lines of test accuracy and of test NLL over the stages, one line a method, with "
    "interval bands. The numbers at the last stage are in the summary table.",
    numbers=numbers,
    arrange=arrange,
    draw=draw,
    module=__name__,
)
