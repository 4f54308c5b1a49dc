"""Where the words of a drawn figure lie, and that none covers another or leaves the picture."""

import itertools
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from incbayes.figures import style


@dataclass(frozen=True)
class Boxes:
    """Of what is seen of a figure, in pixels.

    Attributes:
        texts: the box of each text.
        axes: those that are seen.
        ticks: the boxes of the tick labels of each side of each of them.
    """

    texts: dict[Text, Bbox]
    axes: list[Axes]
    ticks: list[list[Bbox]]


def boxes_of(figure: Figure) -> Boxes:
    """Return where the words of a figure lie."""
    with style.theme():  # else ticks are found anew, for other sizes of text
        texts = {text: text.get_window_extent() for text in shown_texts(figure)}
        axes = [ax for ax in figure.findobj(Axes) if ax.get_visible()]
        ticks = [_tick_boxes(ax, axis, side) for ax in axes for axis, side in _sides(ax)]
    return Boxes(texts, axes, ticks)


def assert_words_are_apart(figure: Figure, boxes: Boxes) -> None:
    """Refuse a text that leaves the figure or lies on another."""
    canvas = figure.bbox
    for text, box in boxes.texts.items():
        inside = (box.x0, canvas.x1 - box.x1, box.y0, canvas.y1 - box.y1)
        assert min(inside) > -2, f"{text.get_text()!r} leaves the figure"
    for (one, first), (other, second) in itertools.combinations(boxes.texts.items(), 2):
        covered = overlap(first, second)
        assert not covered, f"{one.get_text()!r} and {other.get_text()!r} overlap"
    for side in boxes.ticks:
        for first, second in itertools.pairwise(side):
            assert not overlap(first, second), "tick labels overlap"


def _sides(ax):
    """Return the axes of a plot, each with its name."""
    return (ax.xaxis, "x"), (ax.yaxis, "y")


def _tick_boxes(ax, axis, side: str) -> list:
    """Return the boxes of the tick labels that are seen."""
    shown = [label for label in axis.get_ticklabels() if label.get_text()]
    return [label.get_window_extent() for label in shown if _within(label, ax, side)]


def shown_texts(figure) -> list[Text]:
    """Return the texts that are drawn: none of hidden axes, none of ticks beyond the limits."""
    hidden = set()
    for ax in figure.findobj(Axes):
        if not ax.get_visible():
            hidden |= set(ax.findobj(Text))
        for axis, side in _sides(ax):
            hidden |= set(axis.findobj(Text))
            if ax.axison:
                labels = axis.get_ticklabels(which="both")
                hidden -= {axis.label, *(label for label in labels if _within(label, ax, side))}
    return [
        text
        for text in figure.findobj(Text)
        if text not in hidden and text.get_visible() and text.get_text().strip()
    ]


def _within(label: Text, ax, side: str) -> bool:
    place = label.get_position()[side == "y"]
    low, high = sorted(ax.get_xlim() if side == "x" else ax.get_ylim())
    return low <= place <= high


def overlap(first, second) -> bool:
    """Return whether two boxes share more than half a pixel in both directions."""
    width = min(first.x1, second.x1) - max(first.x0, second.x0)
    height = min(first.y1, second.y1) - max(first.y0, second.y0)
    return width > 0.5 and height > 0.5
