"""Accuracy on each part after each stage since it arrived: what a method forgets.

Draws the largest T of each experiment, one panel a method, one line a part.
"""

import matplotlib
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from incbayes.figures import style, texts
from incbayes.figures.base import StudyFigure
from incbayes.figures.blocks import Block, blocks_page
from incbayes.figures.context import FigureContext
from incbayes.figures.lines import fit_axis, stage_axis
from incbayes.figures.rows import experiments_in, in_order, methods_in, most_parts
from incbayes.kinds import METRICS
from incbayes.results.frames import Frames
from incbayes.results.intervals import mean_interval

TITLE = "Accuracy on each part after each stage"
ACCURACY = METRICS["accuracy"]
COLUMNS = 3
"""At most so many methods beside each other."""

LABEL_SIZE = 8.5
"""Points, of a method's label above its panel."""


def numbers(frames: Frames, context: FigureContext) -> pd.DataFrame:
    """Return accuracies in %, means over replicates, of every part seen and of the test set.

    One row an experiment, method, T, stage and part; the test set is part 0 of split `test`.
    """
    records = frames.records
    chosen = records[
        (records["metric"] == "accuracy")
        & (records["predictor"] == "predictive")
        & (records["T"] > 1)
        & (records["split"].eq("test") | records["split"].str.startswith("part_"))
    ]
    part = chosen["split"].str.removeprefix("part_").where(chosen["split"] != "test", "0")
    chosen = chosen.assign(value=ACCURACY.factor * chosen["value"], part=part.astype(int))
    chosen = in_order(chosen, context, "part", "t", "replicate")
    data = mean_interval(chosen, ["experiment", "method", "T", "split", "part", "t"])
    return data.assign(metric="accuracy", unit=ACCURACY.unit)


def lacking(data: pd.DataFrame, context: FigureContext) -> str:
    """Return why there is nothing to draw, or an empty text."""
    if len(data):
        return ""
    reason = "No experiment has data in more than one part."
    return f"{reason} {context.left_out('accuracy')}".strip()


def draw(data: pd.DataFrame, context: FigureContext) -> Figure:
    """Return the figure of its numbers."""
    experiments = experiments_in(data, context)
    methods = data.groupby("experiment")["method"].nunique()
    shapes = [style.even_grid(methods[experiment], COLUMNS) for experiment in experiments]
    labels = {
        experiment: _labels(data[data["experiment"] == experiment], context, columns)
        for experiment, (_, columns) in zip(experiments, shapes, strict=True)
    }
    blocks = [
        Block(
            context.titles[experiment],
            (2.0 + texts.height(_most_lines(labels[experiment]), LABEL_SIZE)) * rows + 0.2,
        )
        for experiment, (rows, _) in zip(experiments, shapes, strict=True)
    ]
    test = Line2D([], [], color=style.INK, linestyle=(0, (3, 2)), label="test set")
    notes = [context.left_out("accuracy"), context.draws_apart]
    figure, bands = blocks_page(context, TITLE, blocks, legend=[test], notes=notes)
    for band, experiment, shape in zip(bands, experiments, shapes, strict=True):
        panel = data[data["experiment"] == experiment]
        _draw_experiment(band, panel, labels[experiment], shape)
    return figure


def _labels(panel: pd.DataFrame, context: FigureContext, columns: int) -> dict[str, str]:
    """Return the title of each method's panel, in the study's order."""
    inches = (style.WIDTH - 1.1) / columns - 0.15
    methods = methods_in(panel, context)
    return {m: texts.wrap(context.labels[m], inches, LABEL_SIZE) for m in methods}


def _most_lines(labels: dict[str, str]) -> int:
    return 1 + max(label.count("\n") for label in labels.values())


def _draw_experiment(
    band: SubFigure, panel: pd.DataFrame, labels: dict[str, str], shape: tuple[int, int]
) -> None:
    parts = int(panel["T"].max())
    colours = _part_colours(parts)
    axes = band.subplots(*shape, squeeze=False)
    used = list(axes.flat)[: len(labels)]
    for ax in list(axes.flat)[len(labels) :]:
        ax.set_axis_off()
    fit_axis(used, panel, (0.0, 100.0), with_bands=False)
    for place, (ax, method) in enumerate(zip(used, labels, strict=True)):
        _draw_method(ax, panel[panel["method"] == method], colours)
        stage_axis(ax, parts)
        ax.set_title(labels[method], fontsize=LABEL_SIZE, fontweight="normal")
        ax.set_xlabel("stage t")
        ax.set_ylabel("accuracy (%)" if place % shape[1] == 0 else "")
        ax.tick_params(labelleft=place % shape[1] == 0)
    _draw_part_scale(band, axes, colours, parts)


def _draw_method(ax: Axes, panel: pd.DataFrame, colours: ListedColormap) -> None:
    for part, line in panel.groupby("part"):
        if part == 0:
            ax.plot(line["t"], line["mean"], color=style.INK, linestyle=(0, (3, 2)), zorder=4)
            continue
        colour = colours(int(part) - 1)
        ax.plot(line["t"], line["mean"], color=colour, linewidth=1.1)
        # The dot is the stage that fitted this part.
        ax.plot(line["t"].iloc[0], line["mean"].iloc[0], "o", color=colour, markersize=3.6)


def _part_colours(parts: int) -> ListedColormap:
    """Return a colour for each part, early to late, without the palest of the map."""
    cmap = matplotlib.colormaps["viridis"]
    return ListedColormap([cmap(0.92 * part / max(parts - 1, 1)) for part in range(parts)])


def _draw_part_scale(band: SubFigure, axes, colours: ListedColormap, parts: int) -> None:
    norm = BoundaryNorm([part + 0.5 for part in range(parts + 1)], parts)
    bar = band.colorbar(
        ScalarMappable(norm, colours), ax=axes, label="part", aspect=18, pad=0.01, fraction=0.03
    )
    bar.ax.yaxis.set_major_locator(MaxNLocator(nbins=8, integer=True))
    bar.ax.minorticks_off()
    bar.outline.set_visible(False)


FIGURE = StudyFigure(
    title=TITLE,
    caption=(
        "One line a part, from the stage that fitted it (dot) to the last stage; dashed, the "
        "test set. A part is training data, so its line usually starts above the test set's. A "
        "line that sinks to the dashed one has lost what was special to its part, which by itself "
        "costs no test accuracy; a dashed line that falls is the task being forgotten. Accuracy "
        "of the predictive mean on images of the part, at most evaluation.part_images, mean "
        "over replicates; the 95 % intervals are in the CSV."
    ),
    alt="Lines of accuracy on each part over the stages after it arrived, one panel a method, "
    "with the test set for comparison.",
    numbers=numbers,
    arrange=most_parts,
    lacking=lacking,
    draw=draw,
    module=__name__,
)
