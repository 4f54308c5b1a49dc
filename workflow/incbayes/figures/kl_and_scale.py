"""KL to the previous posterior and scale of the posterior, per layer, at the end of each stage.

A pair of heat maps a method, layers downwards and stages across. Draws the largest T of each
experiment; methods whose posterior has no scale (point) have none.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, FuncNorm, LogNorm, Normalize
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator

from incbayes.figures import style, texts
from incbayes.figures.base import StudyFigure
from incbayes.figures.blocks import Block, blocks_page
from incbayes.figures.context import FigureContext
from incbayes.figures.rows import experiments_in, in_order, last_epochs, methods_in, most_parts
from incbayes.figures.scales import LOG_RATIO
from incbayes.results.frames import Frames
from incbayes.results.intervals import mean_interval
from incbayes.study.layers import layer_titles

TITLE = "KL and scale of the posterior, per layer"
QUANTITIES = {"kl": "KL (nats)", "sigma_ratio": "scale: σ / σ of the prior"}
WHOLE = "whole network"
BY = ["experiment", "method", "T", "t", "quantity", "layer"]
CELL = 0.19
"""Inches of a row of a heat map."""

HEAD, FOOT = 0.5, 0.9
"""Inches of a method's title and ticks, and of what an experiment has below its last method."""

TICKS = (0.1, 0.5, 0.8, 0.95, 1.0)
"""Of the scale of ratios."""

LABEL = 0.2
"""Inches of the words below the last maps of an experiment, of `FOOT`."""

MAPS = 3.9
"""Inches that the two maps of a method have across."""

NUMBERED = 0.34
"""Inches of a cell from which on its number is written into it."""

GREW = 1.005
"""Ratios above it are marked: the posterior is wider than the prior."""


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


def lacking(data: pd.DataFrame, context: FigureContext) -> str:
    """Return why there is nothing to draw, or an empty text."""
    if len(data):
        return ""
    return "No method of this study has a posterior with a scale: there is no KL to show."


def draw(data: pd.DataFrame, context: FigureContext) -> Figure:
    """Return the figure of its numbers."""
    experiments = experiments_in(data, context)
    panels = [data[data["experiment"] == experiment] for experiment in experiments]
    blocks = [
        Block(context.titles[experiment], sum(_heights(panel, context)))
        for experiment, panel in zip(experiments, panels, strict=True)
    ]
    notes = []
    wider = (data["quantity"] == "sigma_ratio") & (data["mean"] > GREW)
    if wider.any():
        notes.append("+: the posterior is wider than the prior of its stage.")
    figure, bands = blocks_page(context, TITLE, blocks, notes=notes)
    for band, panel in zip(bands, panels, strict=True):
        _draw_experiment(band, panel, context)
    return figure


@dataclass(frozen=True)
class Shade:
    """How the numbers of a quantity become shades of grey, light to dark.

    Attributes:
        colours: of the map.
        norm: from a number to its place in the map.
    """

    colours: Colormap
    norm: Normalize


def _heights(panel: pd.DataFrame, context: FigureContext) -> list[float]:
    """Return the inches of the maps of each method, and of the scales below them."""
    heights = []
    for method in methods_in(panel, context):
        layers = panel.loc[panel["method"] == method, "layer"].nunique()
        lines = len(_label(method, context).split("\n"))
        heights.append(layers * CELL + HEAD + texts.more(lines, style.LEGEND_SIZE))
    heights[-1] += LABEL
    return [*heights, FOOT - LABEL]


def _label(method: str, context: FigureContext) -> str:
    return texts.wrap(context.labels[method], style.WIDTH - 1.2, style.LEGEND_SIZE)


def _in_order(names: Iterable[str]) -> list[str]:
    """Return each name once: the whole network, then the layers, by the numbers in their names."""

    def key(name: str) -> tuple:
        pieces = re.split(r"(\d+)", name)
        return name != WHOLE, [(0, int(p)) if p.isdigit() else (1, p) for p in pieces if p]

    return sorted(set(names), key=key)


def _draw_experiment(band: SubFigure, panel: pd.DataFrame, context: FigureContext) -> None:
    """Draw two maps a method, and below all the scale of each quantity."""
    heights = _heights(panel, context)
    methods = methods_in(panel, context)
    types = context.layer_types.get(panel.iloc[0]["experiment"], ())
    titles = layer_titles(types, list(panel["layer"].unique()))
    shades = {name: _shade(panel[panel["quantity"] == name]["mean"], name) for name in QUANTITIES}
    bands = band.subfigures(len(heights), 1, squeeze=False, height_ratios=heights)[:, 0]
    for of_method, method in zip(bands, methods, strict=False):
        rows = panel[panel["method"] == method]
        axes = of_method.subplots(1, 2)
        axes[0].set_title(_label(method, context), fontsize=8.5, fontweight="normal")
        for ax, (name, shade) in zip(axes, shades.items(), strict=True):
            _draw_map(ax, rows, (name, titles), shade)
        axes[1].tick_params(labelleft=False)
        if method == methods[-1]:
            for ax in axes:
                ax.set_xlabel("stage t")
    _draw_scales(bands[-1], shades)


def _shade(values: pd.Series, name: str) -> Shade:
    """Return light for what did not move: a KL near its least, a ratio of 1."""
    values = values[np.isfinite(values)]
    low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
    if name == "kl":
        colours = matplotlib.colormaps["Greys"]
        if low > 0 and high / low > LOG_RATIO:
            return Shade(colours, LogNorm(low, high))
        return Shade(colours, Normalize(min(low, 0.0), max(high, 1e-9)))
    least = min(low, 0.95)
    norm = FuncNorm((_spread, _narrow), vmin=least, vmax=1.0, clip=True)
    return Shade(matplotlib.colormaps["Greys_r"], norm)


def _spread(ratio: np.ndarray) -> np.ndarray:
    """Return ratios on a scale that tells those near 1 apart, as most are."""
    return np.sign(ratio - 1) * np.sqrt(np.abs(ratio - 1))


def _narrow(place: np.ndarray) -> np.ndarray:
    """Return the ratios of what `_spread` returns."""
    return 1 + np.sign(place) * np.square(place)


def _draw_map(
    ax: Axes, rows: pd.DataFrame, what: tuple[str, Mapping[str, str]], shade: Shade
) -> None:
    """Draw layers downwards and stages across, with numbers where the cells have room.

    Args:
        ax: of the map.
        rows: of a method.
        what: the quantity, and what layers are shown as.
        shade: of the quantity.
    """
    name, titles = what
    layers, stages = _in_order(rows["layer"]), int(rows["T"].max())
    chosen = rows[rows["quantity"] == name]
    cells = chosen.pivot_table(index="layer", columns="t", values="mean")
    cells = cells.reindex(index=layers, columns=range(1, stages + 1))
    values = cells.to_numpy(dtype=float)
    ax.pcolormesh(
        np.arange(0.5, stages + 1), np.arange(len(layers) + 1), values, cmap=shade.colours,
        norm=shade.norm, edgecolors="white", linewidth=0.5, gid=name,
    )  # fmt: skip
    ax.invert_yaxis()
    names = [titles[layer] for layer in layers]
    ax.set_yticks(np.arange(len(layers)) + 0.5, [texts.cut(n, 1.0, 8)[0] for n in names])
    ax.tick_params(axis="y", length=0, labelsize=8)
    ax.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True, min_n_ticks=1))
    ax.grid(False)
    ax.spines[:].set_visible(False)
    written = MAPS / 2 / stages >= NUMBERED
    for (row, column), value in np.ndenumerate(values):
        if np.isnan(value):
            continue
        text = _number(value, name) if written else ""
        text += "+" if name == "sigma_ratio" and value > GREW else ""
        dark = float(np.mean(shade.colours(shade.norm(value))[:3])) < 0.5
        colour = "white" if dark else style.INK
        if text:
            ax.text(
                column + 1, row + 0.5, text, color=colour, fontsize=8, ha="center", va="center",
                gid="cell",
            )  # fmt: skip


def _number(value: float, name: str) -> str:
    """Return a KL in three digits, a ratio in two decimals."""
    if name != "kl":
        return f"{value:.2f}"
    if abs(value) >= 999_500:
        return f"{value / 1e6:.3g}M"
    if abs(value) >= 9_995 or value == 1000:
        return f"{value / 1e3:.0f}k"
    return f"{value:.0f}" if abs(value) >= 99.5 else f"{value:.2g}"


def _draw_scales(band: SubFigure, shades: dict[str, Shade]) -> None:
    axes = band.subplots(1, 2)
    for ax, (name, shade) in zip(axes, shades.items(), strict=True):
        bar = band.colorbar(
            ScalarMappable(shade.norm, shade.colours), cax=ax, orientation="horizontal"
        )
        if isinstance(shade.norm, LogNorm):
            bar.ax.xaxis.set_major_locator(LogLocator(numticks=5))
            bar.ax.xaxis.set_major_formatter(FuncFormatter(lambda kl, _: _number(kl, "kl")))
            bar.ax.minorticks_off()
        elif name == "kl":
            bar.ax.xaxis.set_major_locator(MaxNLocator(nbins=4))
        else:
            ticks = [tick for tick in TICKS if tick >= shade.norm.vmin]
            bar.set_ticks(ticks, labels=[f"{tick:g}" for tick in ticks])
        bar.ax.tick_params(labelsize=8)
        bar.outline.set_linewidth(0.5)
        log = ", log" if isinstance(shade.norm, LogNorm) else ""
        bar.set_label(QUANTITIES[name] + log, fontsize=style.LEGEND_SIZE)


FIGURE = StudyFigure(
    title=TITLE,
    caption=(
        "At the last epoch of each stage of the largest T, a pair of maps a method: left, the KL "
        "divergence (nats, not scaled) of the posterior to the prior of the stage, which is the "
        "posterior of the stage before (with inference: cumulative, which fits all parts so far "
        "anew, the first prior at every stage); right, the scale of the posterior, as the median "
        "over weights of σ over σ of that prior. The lightest cells did not move: a ratio of 1 "
        "says that the images did not narrow the posterior, a small KL that they did not move it. "
        "Means over replicates; their 95 % t-intervals are in the CSV. All maps of an experiment "
        "share one shading, which its bar shows; that of ratios is finer towards 1."
    ),
    alt="Heat maps of KL and of relative posterior scale, layers downwards and stages across, a "
    "pair a method.",
    numbers=numbers,
    arrange=most_parts,
    lacking=lacking,
    draw=draw,
    module=__name__,
    of="training",
)
