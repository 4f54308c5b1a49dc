"""KL to the previous posterior and width of the posterior, per layer, at the end of each stage.

Draws the largest T of each experiment; methods without a width (point) have no line.
"""

import re
from collections.abc import Iterable

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from incbayes.figures import style, texts
from incbayes.figures.base import StudyFigure
from incbayes.figures.context import FigureContext
from incbayes.figures.lines import draw_methods, fit_axis, stage_axis
from incbayes.figures.rows import experiments_in, in_order, last_epochs, methods_in, most_parts
from incbayes.results.frames import Frames
from incbayes.results.intervals import mean_interval

TITLE = "KL and width of the posterior, per layer"
QUANTITIES = {"kl": "KL (nats)", "sigma_ratio": "median σ / σ of prior"}
WHOLE = "whole network"
COLUMNS = 5
"""At most so many layers beside each other."""

BY = ["experiment", "method", "T", "t", "quantity", "layer"]


def numbers(frames: Frames, context: FigureContext) -> pd.DataFrame:
    """Return the last epoch of each stage in long form, means over replicates.

    One row an experiment, method, T, stage, quantity and layer.
    """
    training = frames.training
    columns = [c for c in training if re.fullmatch(r"(kl|sigma_ratio)(/.+)?", c)]
    stage = ["experiment", "method", "T", "t", "replicate"]
    long = last_epochs(training).melt(stage, columns, "column").dropna(subset="value")
    if long.empty:
        return pd.DataFrame(columns=BY)
    names = long["column"].str.partition("/")
    long = long.assign(quantity=names[0], layer=names[2].where(names[2] != "", WHOLE))
    place = {column: index for index, column in enumerate(columns)}
    long = in_order(
        long.assign(place=long["column"].map(place)), context, "place", "t", "replicate"
    )
    return mean_interval(long, BY)


def draw(data: pd.DataFrame, context: FigureContext) -> Figure:
    """Return the figure of its numbers."""
    if data.empty:
        reason = "No method of this study has a posterior with a width: there is no KL to show."
        return style.nothing(context, TITLE, reason)
    experiments = experiments_in(data, context)
    layers = {e: _in_order(data[data["experiment"] == e]["layer"]) for e in experiments}
    legend = [style.method_handle(method, context) for method in methods_in(data, context)]
    titles, more = style.panel_titles((context.titles[e] for e in experiments), style.WIDTH - 0.3)
    block = style.taller(3.5, len(legend))
    heights = [
        style.even_grid(len(layers[e]), COLUMNS)[0] * block + 0.4 + more for e in experiments
    ]
    page = style.page(context, TITLE, sum(heights), legend=legend)
    bands = page.body.subfigures(len(experiments), 1, squeeze=False, height_ratios=heights)
    for band, experiment, title in zip(bands[:, 0], experiments, titles, strict=True):
        _draw_experiment(band, data[data["experiment"] == experiment], layers[experiment], context)
        style.head_band(band, title)
    return page.figure


def _in_order(names: Iterable[str]) -> list[str]:
    """Return each name once: the whole network, then the layers, by the numbers in their names."""

    def key(name: str) -> tuple:
        pieces = re.split(r"(\d+)", name)
        return name != WHOLE, [(0, int(p)) if p.isdigit() else (1, p) for p in pieces if p]

    return sorted(set(names), key=key)


def _draw_experiment(
    band: SubFigure, panel: pd.DataFrame, layers: list[str], context: FigureContext
) -> None:
    """Draw rows of KL above rows of widths, wrapped; one scale a quantity, so layers compare."""
    stages = int(panel["T"].max())
    blocks, columns = style.even_grid(len(layers), COLUMNS)
    axes = band.subplots(2 * blocks, columns, squeeze=False)
    for ax in axes.flat:
        ax.set_visible(False)
    for offset, (quantity, label) in enumerate(QUANTITIES.items()):
        rows = panel[panel["quantity"] == quantity]
        places = [(2 * (i // columns) + offset, i % columns) for i in range(len(layers))]
        fit_axis([axes[place] for place in places], rows)
        for place, layer in zip(places, layers, strict=True):
            ax = axes[place]
            ax.set_visible(True)
            _draw_panel(ax, rows[rows["layer"] == layer], context, stages)
            if quantity == "kl":
                name = f"layer {layer}" if layer.isdigit() else layer
                name = texts.wrap(name, (style.WIDTH - 1.0) / columns - 0.1, 8.5)
                ax.set_title(name, fontsize=8.5, fontweight="normal")
            else:
                ax.axhline(1, color="#888888", linestyle="--", linewidth=1, zorder=1)
                ax.set_xlabel("stage t")
            _label_left(ax, label, place[1] == 0)


def _draw_panel(ax: Axes, rows: pd.DataFrame, context: FigureContext, stages: int) -> None:
    draw_methods(ax, rows, context, "t")
    stage_axis(ax, stages)


def _label_left(ax: Axes, label: str, leftmost: bool) -> None:
    log = "\nlog scale" if ax.get_yscale() == "log" else ""
    ax.set_ylabel(label + log if leftmost else "")
    ax.tick_params(axis="y", which="both", labelleft=leftmost)


FIGURE = StudyFigure(
    title=TITLE,
    caption=(
        "At the last epoch of each stage of the largest T: KL divergence (nats, not scaled) of "
        "the posterior to the prior of the stage, which is the posterior of the stage before, "
        "and the median over weights of σ over σ of that prior. A ratio of 1 (dashed) says that "
        "the part did not narrow the posterior; a KL near 0 says that the stage did not move "
        "it. Mean over replicates with 95 % t-interval. All layers of an experiment share "
        "one scale."
    ),
    alt="Lines of KL and of relative posterior width over the stages, one panel a layer, one "
    "line a method.",
    numbers=numbers,
    arrange=most_parts,
    draw=draw,
    module=__name__,
    of="training",
)
