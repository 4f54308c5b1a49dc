"""How figures look and how they become files: theme, colours, page bands, byte-stable output.

Knows matplotlib and the labels of a study; knows nothing of metrics.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import matplotlib
import seaborn as sns
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D
from matplotlib.transforms import Bbox

from incbayes.core.files import atomic_write
from incbayes.figures import texts
from incbayes.figures.base import FORMATS
from incbayes.figures.context import LONGEST_TITLE, FigureContext, shortened

# Chosen so that any two differ by at least 13 (CIE76), of the first dozen by 15, also under
# simulated protanopia, deuteranopia and tritanopia, and each by 2.4:1 from white.
PALETTE = (
    "#0173B2",
    "#DE8F05",
    "#029E73",
    "#CC3311",
    "#481830",
    "#90A8C0",
    "#300090",
    "#A8A860",
    "#780000",
    "#606078",
    "#A70DFF",
    "#F561F6",
    "#24003C",
    "#843C3C",
    "#54306C",
    "#783CCC",
    "#B4543C",
    "#000C00",
    "#D800B4",
    "#FC6C84",
    "#0000FC",
    "#00A8FC",
    "#FC603C",
    "#A854FC",
    "#900C54",
    "#6C0084",
)
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "h", "p", "*")
LINE_STYLES = ("-", "--", ":", "-.", (0, (6, 1.5)), (0, (1, 2.5)), (0, (5, 1.5, 1, 1.5, 1, 1.5)))
"""Of lines, so that colour is never the only difference."""

MANY = 8
"""Methods from which on bands are paler, as so many lie on top of each other."""

INK = "#222222"
GREY = "#5A5A5A"
WARNING = "#8A1C00"
WARNING_GROUND = "#FDECE4"
WIDTH = 5.4
"""Width of a figure in inches: its text is still read where a page is 400 pixels wide."""

LINE_HEIGHT = 0.19
"""Height of one line of small text in inches."""

TITLE_SIZE, LEGEND_SIZE = 9.5, 8.5
"""Points, of the titles of panels and of legends and ticks."""

SETTINGS = {
    "svg.fonttype": "none",  # text stays text: searchable, and small
    "svg.hashsalt": "incbayes",
    "pdf.fonttype": 42,
    "text.parse_math": False,  # a label with dollar signs is text, not a formula with an error
    "font.family": "sans-serif",
    # DejaVu comes with matplotlib, which measures with it; the others are no wider.
    "font.sans-serif": ["DejaVu Sans", "Verdana", "Helvetica", "Arial"],
    "font.size": 9,
    "axes.titlesize": TITLE_SIZE,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titley": 1.0,  # found once, not anew at each drawing
    "axes.labelsize": 9,
    "xtick.labelsize": LEGEND_SIZE,
    "ytick.labelsize": LEGEND_SIZE,
    "legend.fontsize": LEGEND_SIZE,
    "legend.frameon": False,
    "lines.linewidth": 1.4,
    "lines.markersize": 4,
    "grid.linewidth": 0.6,
    "grid.color": "#DDDDDD",
    "axes.edgecolor": "#888888",
    "text.color": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "savefig.dpi": 160,
    "axes.unicode_minus": True,
}


@contextmanager
def theme() -> Iterator[None]:
    """Hold seaborn's `whitegrid` with this project's settings; leaves no trace afterwards."""
    settings = {**sns.axes_style("whitegrid"), **sns.plotting_context("paper"), **SETTINGS}
    with matplotlib.rc_context(settings):
        yield


def colour(method: str, context: FigureContext) -> str:
    """Return the method's colour: by its place in the study, so equal in every figure."""
    return PALETTE[_place(method, context) % len(PALETTE)]


def marker(method: str, context: FigureContext) -> str:
    """Return the method's marker, so that colour is never the only difference."""
    return MARKERS[_place(method, context) % len(MARKERS)]


def line_look(method: str, context: FigureContext) -> dict[str, Any]:
    """Return colour and style of the method's lines."""
    style = LINE_STYLES[_place(method, context) % len(LINE_STYLES)]
    return {"color": colour(method, context), "linestyle": style}


def paleness(methods: int) -> float:
    """Return the factor of a band's opacity where so many methods are drawn."""
    return min(1.0, MANY / methods)


def taller(inches: float, methods: int) -> float:
    """Return the height of panels of lines: more, where there are many methods."""
    return inches * (1 + 0.03 * max(0, methods - MANY))


def _place(method: str, context: FigureContext) -> int:
    return list(context.methods).index(method)


def method_handle(method: str, context: FigureContext) -> Line2D:
    """Return the legend entry of a method drawn as a line with markers."""
    return Line2D(
        [],
        [],
        **line_look(method, context),
        marker=marker(method, context),
        label=context.labels[method],
    )


@dataclass(frozen=True)
class Page:
    """A figure whose bands have their own space, so that nothing covers the data.

    Attributes:
        figure: the whole.
        body: the band for the axes.
    """

    figure: Figure
    body: SubFigure


def page(
    context: FigureContext,
    title: str,
    height: float,
    *,
    width: float = WIDTH,
    legend: Sequence[Artist] = (),
    notes: Sequence[str] = (),
) -> Page:
    """Return an empty page: head, legend, body, notes.

    The head names the study and, where the budget is reduced, says so; the notes always
    name the methods with a tempered objective.

    Args:
        context: the study.
        title: heading of the figure.
        height: of the body, in inches.
        width: of the whole, in inches.
        legend: artists with labels, shown above the body.
        notes: sentences to show below the body.
    """
    name = "" if context.title == context.study else f" (study {context.study})"
    whole = shortened({"": context.title}, LONGEST_TITLE)[""] + name
    head = texts.cut(whole, width - 0.2, 9)
    short = replace(context, methods=context.labels, experiments=context.titles)
    sentences = filter(None, (*notes, short.tempering, context.shortening))
    foot = [line for note in sentences for line in texts.cut(note, width - 0.2, 8)]
    columns, rows = legend_shape(legend, width)
    heights = [
        0.33 + len(head) * LINE_HEIGHT + context.reduced * 0.3,
        rows * LINE_HEIGHT + 0.14 if rows else 0.01,
        height,
        len(foot) * LINE_HEIGHT + 0.1 if foot else 0.01,
    ]
    figure = Figure(figsize=(width, sum(heights)), layout="constrained")
    # Padding in inches only: `hspace` is a share of the figure, which would grow with it.
    figure.get_layout_engine().set(hspace=0, wspace=0, h_pad=0.05, w_pad=0.06)
    bands = figure.subfigures(4, 1, height_ratios=heights, hspace=0)
    _draw_head(bands[0], (width, heights[0]), context, title, head)
    if rows:
        draw_legend(bands[1], legend, columns)
    _draw_foot(bands[3], heights[3], width, foot)
    return Page(figure, bands[2])


def even_grid(panels: int, most: int) -> tuple[int, int]:
    """Return rows and columns, at most `most`, that hold `panels` evenly."""
    rows = -(-panels // most)
    return rows, -(-panels // rows)


def nothing(context: FigureContext, title: str, reason: str) -> Figure:
    """Return a page that says why there is nothing to draw."""
    lines = texts.cut(reason, WIDTH - 0.2, 10)
    empty = page(context, title, 0.4 + len(lines) * LINE_HEIGHT)
    empty.body.text(0.5, 0.5, "\n".join(lines), ha="center", va="center", color=GREY, fontsize=10)
    return empty.figure


def save_figure(figure: Figure, stem: Path, formats: Sequence[str] = FORMATS) -> None:
    """Write a figure as `stem`.svg, .png and .pdf.

    Equal figures give equal bytes: no dates, no versions, fixed element names.
    """
    metadata = {
        "svg": {"Date": None, "Creator": None},
        "png": {"Software": None},
        "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
    }
    with theme():
        fix_layout(figure)
        for extension in formats:
            with atomic_write(stem.with_suffix(f".{extension}")) as partial:
                figure.savefig(partial, format=extension, metadata=metadata[extension])


def fix_layout(figure: Figure) -> None:
    """Lay the figure out, once for all formats, and round what the layout's solver found.

    Its last digits differ between runs, and names of clip paths in an svg hold every digit.
    """
    figure.draw_without_rendering()
    figure.set_layout_engine(None)  # else every format lays it out anew
    bands = list(figure.subfigs)
    for band in bands:
        bands += band.subfigs
        band.bbox_relative.p0 = band.bbox_relative.p0.round(5)
        band.bbox_relative.p1 = band.bbox_relative.p1.round(5)
    for ax in figure.findobj(Axes):
        ax.set_position(Bbox(ax.get_position().get_points().round(5)))


def legend_shape(legend: Sequence[Artist], width: float) -> tuple[int, int]:
    """Return columns and rows such that the longest label fits in every column."""
    if not legend:
        return 1, 0
    longest = max(texts.width(artist.get_label(), LEGEND_SIZE) for artist in legend)
    columns = max(1, int((width - 0.1) / (longest + 0.6)))
    return columns, -(-len(legend) // columns)


def draw_legend(
    band: SubFigure, legend: Sequence[Artist], columns: int, at: tuple[float, float] = (0, 0.5)
) -> None:
    """Draw a legend on a band, so many columns wide, its left middle `at` a share of the band."""
    band.legend(
        handles=list(legend),
        loc="center left",
        bbox_to_anchor=at,
        ncols=columns,
        borderpad=0,
        labelspacing=LINE_HEIGHT * texts.POINTS / LEGEND_SIZE - 1,
    )


def _draw_foot(band: SubFigure, height: float, width: float, lines: Sequence[str]) -> None:
    for line, text in enumerate(lines):
        y = 1 - (line + 0.5) * LINE_HEIGHT / height
        band.text(0.06 / width, y, text, fontsize=8, color=GREY, va="center")


def _draw_head(
    band: SubFigure,
    size: tuple[float, float],
    context: FigureContext,
    title: str,
    lines: Sequence[str],
) -> None:
    """Draw title and lines on a band of so much width and height, in inches."""
    width, height = size
    left = 0.06 / width
    band.text(left, 1 - 0.14 / height, title, fontsize=11.5, fontweight="bold", va="center")
    top = 0.14 + LINE_HEIGHT + 0.03
    for line, text in enumerate(lines):
        y = 1 - (top + line * LINE_HEIGHT) / height
        band.text(left, y, text, fontsize=9, color=GREY, va="center")
    if context.reduced:
        y = 1 - (top + len(lines) * LINE_HEIGHT + 0.07) / height
        band.text(
            left + 0.05 / width,
            y,
            f"reduced budget: {context.budget} – not the numbers of the full study",
            fontsize=8.5,
            fontweight="bold",
            color=WARNING,
            va="center",
            bbox={"facecolor": WARNING_GROUND, "edgecolor": WARNING, "linewidth": 0.8, "pad": 2.5},
        )
