"""Accuracy and NLL on the test set as parts arrive, beside the fit of all data at once.

Of a target that is a number, RMSE and NLPD. Draws the largest T of each experiment; T = 1, where
the study has it, at the right edge.
"""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from incbayes.figures import style
from incbayes.figures.base import StudyFigure
from incbayes.figures.context import FigureContext
from incbayes.figures.lines import draw_methods, fit_axis, stage_axis
from incbayes.figures.rows import experiments_in, in_order, methods_in, most_parts, select_metric
from incbayes.kinds import METRICS
from incbayes.metrics.base import Metric
from incbayes.results.frames import Frames
from incbayes.results.intervals import mean_interval

TITLE = "Test accuracy and NLL over the stages"
DRAWN = {name: METRICS[name] for name in ("accuracy", "nll", "rmse", "nlpd")}
"""The metrics, from top to bottom: two of classes, and two of a number."""

ROWS = 2
"""Metrics of an experiment."""

COLUMNS = 2
"""Experiments beside each other."""


def numbers(frames: Frames, context: FigureContext) -> pd.DataFrame:
    """Return means over replicates: one row an experiment, method, T, stage and metric."""
    summaries = []
    for name, metric in DRAWN.items():
        chosen = in_order(select_metric(frames.records, name), context, "T", "t", "replicate")
        summary = mean_interval(
            chosen.assign(value=metric.factor * chosen["value"]), ["experiment", "method", "T", "t"]
        )
        summaries.append(summary.assign(metric=name, unit=metric.unit))
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
    titles, more = style.panel_titles(
        (context.titles[experiment] for experiment in experiments), style.WIDTH / columns - 0.9
    )
    height = style.taller(4.6, len(legend)) + more
    page = style.page(context, _title(data), height * rows, legend=legend)
    grid = page.body.subplots(ROWS * rows, columns, squeeze=False)
    for ax in grid.flat:
        ax.set_visible(False)
    for place, experiment in enumerate(experiments):
        top, column = ROWS * (place // columns), place % columns
        panel = data[data["experiment"] == experiment]
        drawn = [name for name in DRAWN if name in set(panel["metric"])]
        for row, name in enumerate(drawn):
            ax = grid[top + row, column]
            ax.set_visible(True)
            _draw_panel(ax, panel[panel["metric"] == name], context, DRAWN[name])
        grid[top, column].set_title(titles[place])
    return page.figure


def _title(data: pd.DataFrame) -> str:
    """Return the heading, with the metrics that are drawn."""
    *titles, last = [metric.title for name, metric in DRAWN.items() if name in set(data["metric"])]
    return f"Test {', '.join(titles)} and {last} over the stages"


def _draw_panel(ax: Axes, panel: pd.DataFrame, context: FigureContext, metric: Metric) -> None:
    low, high = metric.bounds
    fit_axis([ax], panel, (metric.factor * low, metric.factor * high))
    ax.set_ylabel(
        f"test {metric.title} ({metric.unit})"
        + (" – log scale" if ax.get_yscale() == "log" else "")
    )
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
        "predictive mean on the test set; of a target that is a number, root mean squared error "
        "and negative log predictive density. Lines are means over replicates, bands their "
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
