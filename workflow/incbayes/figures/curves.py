"""Values of methods over a quantity, and beside them the differences to the first, paired.

A row of panels a metric, a block an experiment. Knows summaries as `mean_interval` and
`with_differences` return them; knows nothing of what x stands for.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import MaxNLocator

from incbayes.figures import style, texts
from incbayes.figures.blocks import Block, blocks_page, method_handles
from incbayes.figures.context import FigureContext
from incbayes.figures.intervals import (
    RING,
    UNBOUNDED,
    differences_of,
    draw_interval,
    drawn_interval,
)
from incbayes.figures.lines import fit_axis
from incbayes.figures.rows import methods_in
from incbayes.figures.scales import view_limits
from incbayes.metrics.base import Metric
from incbayes.results.intervals import FEWEST

ROW = 1.95
"""Inches of a row of panels."""

OPACITY = 0.4
"""Of intervals: those of three replicates are long, and many stand beside each other."""

SPREAD = 0.7
"""Of the distance of two places, what the methods' intervals take side by side."""

PLACE = ("method", "at")
"""What a mean is the mean at."""

EMPTY_WIDTH = 1.8
"""Inches of the words in a panel without values."""

TICK = 0.55
"""Inches of a label of a place that is a name."""


@dataclass(frozen=True)
class Quantity:
    """What a row of panels shows, in written units.

    Attributes:
        words: for its axis.
        unit: of a value.
        difference_unit: of a difference.
        bounds: that a value has.
        scale: a word that rows with one range of values share; empty for a range of its own.
    """

    words: str
    unit: str = ""
    difference_unit: str = ""
    bounds: tuple[float, float] = UNBOUNDED
    scale: str = ""

    @classmethod
    def of(cls, metric: Metric, words: str, scale: str = "") -> "Quantity":
        """Return a metric as what is shown, under words of one's own."""
        low, high = (metric.factor * end for end in metric.bounds)
        unit = metric.unit
        return cls(words, unit, metric.difference_unit or unit, (low, high), scale)


@dataclass(frozen=True)
class Across:
    """What lies along x.

    Attributes:
        words: below the axis.
        ticks: places with their labels; None for numbers, as they come.
        joined: whether values at two places are joined by a line.
    """

    words: str
    ticks: Mapping[float, str] | None = None
    joined: bool = True


@dataclass(frozen=True)
class Band:
    """A block of such a figure.

    Attributes:
        title: of the block.
        rows: numbers with the columns `method`, `row`, `x` and `value`, their summary and, where
            they are to be shown, that of their differences.
        shown: by the name of a row, from top to bottom.
        across: what lies along x.
        columns: of panels, where there are no differences.
    """

    title: str
    rows: pd.DataFrame
    shown: Mapping[str, Quantity]
    across: Across
    columns: int = 1

    @property
    def is_paired(self) -> bool:
        """Whether there are differences to show."""
        return "difference" in self.rows and len(differences_of(self.rows)) > 0

    @property
    def height(self) -> int:
        """Rows of panels."""
        return len(self.shown) if self.is_paired else -(-len(self.shown) // self.columns)

    def of(self, name: str) -> pd.DataFrame:
        """Return the numbers of one panel."""
        return self.rows[self.rows["row"] == name]

    def alike(self, name: str) -> pd.DataFrame:
        """Return the numbers of all panels that have the range of one."""
        scale = self.shown[name].scale
        names = [row for row, of in self.shown.items() if scale and of.scale == scale]
        return self.rows[self.rows["row"].isin(names or [name])]


def curves_page(
    context: FigureContext, title: str, bands: Sequence[Band], notes: Sequence[str] = ()
) -> Figure:
    """Return the figure of blocks, each with a row of panels a quantity."""
    blocks = []
    for band in bands:
        methods = methods_in(band.rows, context)
        height = style.taller(ROW, len(methods)) * band.height
        blocks.append(Block(band.title, height, method_handles(methods, context)))
    figure, places = blocks_page(context, title, blocks, notes=notes)
    for place, band in zip(places, bands, strict=True):
        _draw_band(place, band, context)
    return figure


def _draw_band(place: SubFigure, band: Band, context: FigureContext) -> None:
    paired = band.is_paired
    grid = place.subplots(band.height, 2 if paired else band.columns, squeeze=False)
    axes = grid[:, 0] if paired else grid.flat
    for ax, name in zip(axes, band.shown, strict=False):
        _draw_values(ax, band, name, context)
    if paired:
        for ax, name in zip(grid[:, 1], band.shown, strict=True):
            _draw_differences(ax, band, name, context)
    for ax in grid[-1]:
        ax.set_xlabel(band.across.words, fontsize=style.LEGEND_SIZE)
    for ax in grid[:-1].flat:
        ax.tick_params(labelbottom=False)


def _draw_values(ax: Axes, band: Band, name: str, context: FigureContext) -> None:
    """Draw the mean of each method, with its interval where there are no differences."""
    rows, quantity = band.of(name), band.shown[name]
    if rows.empty:  # as it was scored before the metric was there, and the other rows were too
        said = texts.wrap(f"{quantity.words}: not scored", EMPTY_WIDTH, style.LEGEND_SIZE)
        words = {"ha": "center", "va": "center", "fontsize": style.LEGEND_SIZE}
        ax.text(0.5, 0.5, said, transform=ax.transAxes, **words)
        ax.set_axis_off()
        return
    alone = not band.is_paired
    means = _placed(rows, context, SPREAD if alone or not band.across.joined else 0.0)
    means["low"], means["high"] = drawn_interval(means, quantity.bounds)
    fit_axis([ax], ranged(band.alike(name), quantity.bounds, alone), quantity.bounds)
    log = ", log" if ax.get_yscale() == "log" else ""
    unit = f" ({quantity.unit}{log})" if quantity.unit or log else ""
    name_axis(ax, f"{quantity.words}{unit}")
    if alone:
        draw_intervals(ax, means, context)
    draw_means(ax, means, context, 1.3 if band.across.joined else 0.0)
    draw_few(ax, means, rows.assign(at=rows["x"]), context, PLACE)
    _x_axis(ax, band)


def _draw_differences(ax: Axes, band: Band, name: str, context: FigureContext) -> None:
    """Draw each method minus the first, with its interval; of few replicates, each of them."""
    rows, quantity = band.of(name), band.shown[name]
    differences = differences_of(rows)
    if differences.empty:
        ax.set_axis_off()
        return
    means = _placed(differences, context, SPREAD)
    means["low"], means["high"] = drawn_interval(means)
    held = ranged(differences, UNBOUNDED, True)
    ax.set_ylim(view_limits([*held["mean"], 0.0], held["low"], held["high"]))
    ax.axhline(0, color="#888888", linestyle="--", linewidth=1, zorder=1)
    reference = context.labels[rows["reference"].iloc[0]]
    unit = f" ({quantity.difference_unit})" if quantity.difference_unit else ""
    name_axis(ax, f"minus {reference}{unit}")
    draw_intervals(ax, means, context)
    draw_means(ax, means, context, 0.6 if band.across.joined else 0.0)
    draw_few(ax, means, differences.assign(at=differences["x"]), context, PLACE)
    _x_axis(ax, band)


def ranged(rows: pd.DataFrame, bounds: tuple[float, float], with_intervals: bool) -> pd.DataFrame:
    """Return rows of replicates as an axis is to hold them: `mean`, and `low` and `high` beside it.

    Where an interval is drawn these are its ends. Of replicates too few for one, which are drawn
    each, every value stands among the means, as what must be seen.

    Args:
        rows: one a replicate, with the summary of its mean.
        bounds: that a value has.
        with_intervals: whether intervals are drawn.
    """
    low, high = drawn_interval(rows, bounds)
    if not with_intervals:
        low = high = pd.Series(np.nan, rows.index)
    held = rows.assign(low=low, high=high)
    few = held[rows["n"] < FEWEST]
    return pd.concat([held, few.assign(mean=few["value"])])


def _placed(rows: pd.DataFrame, context: FigureContext, spread: float) -> pd.DataFrame:
    """Return one row a method and place, methods beside each other by `spread` of a distance."""
    means = rows.drop_duplicates(["method", "x"])
    methods = methods_in(rows, context)
    beside = (means["method"].map(methods.index) + 0.5) / len(methods) - 0.5
    return means.assign(at=means["x"], x=means["x"] + spread * _distance(rows) * beside)


def _distance(rows: pd.DataFrame) -> float:
    """Return the least distance of two places; 1 where there is one place."""
    places = np.unique(rows["x"])
    return float(np.diff(places).min()) if len(places) > 1 else 1.0


def draw_intervals(ax: Axes, means: pd.DataFrame, context: FigureContext) -> None:
    """Draw the interval of each mean, upright at its `x`, pale in its method's colour."""
    columns = [means[name] for name in ("x", "low", "high", "method")]
    for x, low, high, method in zip(*columns, strict=True):
        colour = style.colour(method, context), OPACITY
        draw_interval(ax, x, (low, high), colour, across=False)


def draw_means(ax: Axes, means: pd.DataFrame, context: FigureContext, width: float) -> None:
    """Draw a mark a mean, those of a method joined by a line so wide; 0 for none."""
    for method in methods_in(means, context):
        look, mark = style.line_look(method, context), style.marker(method, context)
        of_method = means[means["method"] == method].sort_values("x")
        if not width:
            look = look | {"linestyle": ""}
        size = 4 if len(of_method) <= 12 else 2.6
        ax.plot(
            of_method["x"], of_method["mean"], **look, linewidth=width, marker=mark,
            markersize=size, zorder=4, gid="mean",
        )  # fmt: skip


def draw_few(
    ax: Axes, means: pd.DataFrame, rows: pd.DataFrame, context: FigureContext, on: Sequence[str]
) -> None:
    """Draw each replicate, hollow, where they are too few for an interval.

    Args:
        ax: where to.
        means: with the place `x` and the number `n` of replicates.
        rows: one a replicate, of which they are the means.
        context: the study.
        on: columns, the method first, that tell to which mean a replicate belongs.
    """
    few = means.loc[means["n"] < FEWEST, [*on, "x"]]
    single = few.merge(rows.drop(columns="x", errors="ignore"), on=list(on))
    for method, of_method in single.groupby("method", sort=False):
        look = {"markeredgecolor": style.colour(method, context)}
        look["marker"] = style.marker(method, context)
        ax.plot(of_method["x"], of_method["value"], **(RING | look), gid="replicate")


def _x_axis(ax: Axes, band: Band) -> None:
    places = band.rows["x"]
    half = 0.5 * _distance(band.rows)
    ax.set_xlim(places.min() - half, places.max() + half)
    ticks = band.across.ticks
    if ticks is None:
        ax.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True, min_n_ticks=1))
        return
    wrapped = [texts.wrap(text, TICK, style.LEGEND_SIZE) for text in ticks.values()]
    ax.set_xticks(list(ticks), wrapped)
    ax.grid(False, axis="x")


def name_axis(ax: Axes, words: str) -> None:
    """Name the upright axis of a panel."""
    ax.set_ylabel(texts.wrap(words, ROW - 0.55, style.LEGEND_SIZE), fontsize=style.LEGEND_SIZE)
