"""A page of one block an experiment: its title, the legend of its methods, and its panels.

Knows labels and sizes; knows nothing of metrics.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.artist import Artist
from matplotlib.figure import Figure, SubFigure

from incbayes.figures import style, texts
from incbayes.figures.context import FigureContext

SIDE, TOP, LEGEND_PAD = 0.06, 0.12, 0.14
"""Inches left free beside a title, above it, and around a legend."""


@dataclass(frozen=True)
class Block:
    """What an experiment takes of a page.

    Attributes:
        title: of the experiment.
        height: of its panels, in inches.
        legend: artists with labels, shown above the panels.
    """

    title: str
    height: float
    legend: Sequence[Artist] = ()


def blocks_page(
    context: FigureContext,
    title: str,
    blocks: Sequence[Block],
    *,
    legend: Sequence[Artist] = (),
    notes: Sequence[str] = (),
) -> tuple[Figure, list[SubFigure]]:
    """Return a page and, for each block, the band of its panels.

    Args:
        context: the study.
        title: heading of the figure.
        blocks: from top to bottom.
        legend: of the whole page.
        notes: sentences to show below.
    """
    titles = [
        texts.cut(block.title, style.WIDTH - 2 * SIDE, style.TITLE_SIZE, bold=True)
        for block in blocks
    ]
    shapes = [style.legend_shape(block.legend, style.WIDTH) for block in blocks]
    heads = [
        TOP + (len(lines) + rows) * style.LINE_HEIGHT + (LEGEND_PAD if rows else 0)
        for lines, (_, rows) in zip(titles, shapes, strict=True)
    ]
    heights = [h for block, head in zip(blocks, heads, strict=True) for h in (head, block.height)]
    page = style.page(context, title, sum(heights), legend=legend, notes=notes)
    bands = page.body.subfigures(len(heights), 1, squeeze=False, height_ratios=heights)[:, 0]
    for place, block in enumerate(blocks):
        band, head = bands[2 * place], heads[place]
        for line, text in enumerate(titles[place]):
            band.text(
                SIDE / style.WIDTH,
                1 - (TOP + (line + 0.5) * style.LINE_HEIGHT) / head,
                text,
                fontsize=style.TITLE_SIZE,
                fontweight="bold",
                va="center",
            )
        if block.legend:
            columns, rows = shapes[place]
            middle = (LEGEND_PAD + rows * style.LINE_HEIGHT) / 2 / head
            style.draw_legend(band, block.legend, columns, (0, middle))
    return page.figure, list(bands[1::2])


def method_handles(methods: Sequence[str], context: FigureContext) -> list[Artist]:
    """Return the legend entries of methods drawn as lines with markers."""
    return [style.method_handle(method, context) for method in methods]
