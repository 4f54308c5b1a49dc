"""How wide a text is on paper, and how it is cut into lines.

Knows the font of the figures; knows nothing of studies.
"""

import warnings
from functools import cache

from matplotlib.font_manager import FontProperties, findfont
from matplotlib.ft2font import FT2Font

FONT = "DejaVu Sans"
"""Comes with matplotlib; the other fonts of the figures are no wider."""

FIRST, FURTHER = 1.15, 1.4
"""Height of the first line of a text and of each one below it, in its size."""

POINTS = 72
"""To the inch."""

NAMES_OF_PEOPLE = ("Brier",)
"""First words of names of metrics, which keep their capital within a sentence."""


def in_unit(text: str, unit: object) -> str:
    """Return a text with a unit in parentheses, where there is one: in a table none is NaN."""
    return f"{text} ({unit})" if isinstance(unit, str) and unit else text


def within(name: str) -> str:
    """Return the name of a metric within a sentence: `accuracy`, but `NLL` and `Brier score`."""
    first, blank, rest = name.partition(" ")
    kept = first.isupper() or first in NAMES_OF_PEOPLE
    return f"{first if kept else first.lower()}{blank}{rest}"


def width(text: str, size: float, bold: bool = False) -> float:
    """Return the inches that a line of text takes at `size` points."""
    font = _font(bold)
    font.set_size(size, POINTS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of glyphs that the font lacks, which are boxes
        font.set_text(text, 0.0)
    return font.get_width_height()[0] / 64 / POINTS


def height(lines: int, size: float) -> float:
    """Return the inches that a text of so many lines takes at `size` points."""
    return FIRST * size / POINTS + more(lines, size)


def more(lines: int, size: float) -> float:
    """Return the inches that a text of so many lines takes beyond its first."""
    return FURTHER * (lines - 1) * size / POINTS


def cut(text: str, inches: float, size: float, bold: bool = False) -> list[str]:
    """Return the lines of `text` that fit into `inches` at `size` points.

    Words that are wider by themselves are cut; no-break spaces hold words together.
    """
    lines = [""]
    for word in filter(None, text.split(" ")):
        longer = f"{lines[-1]} {word}".strip()
        if width(longer, size, bold) <= inches:
            lines[-1] = longer
            continue
        if lines[-1]:
            lines.append("")
        while width(word, size, bold) > inches and len(word) > 1:
            fitting = _fitting(word, inches, size, bold)
            lines[-1:] = [word[:fitting], ""]
            word = word[fitting:]
        lines[-1] = word
    return lines


def wrap(text: str, inches: float, size: float, bold: bool = False) -> str:
    """Return `text` with the line breaks that `cut` finds."""
    return "\n".join(cut(text, inches, size, bold))


def _fitting(word: str, inches: float, size: float, bold: bool) -> int:
    """Return how many of a word's first characters fit, at least one."""
    low, high = 1, len(word)
    while low < high:
        middle = (low + high + 1) // 2
        if width(word[:middle], size, bold) <= inches:
            low = middle
        else:
            high = middle - 1
    return low


@cache
def _font(bold: bool) -> FT2Font:
    weight = "bold" if bold else "normal"
    return FT2Font(findfont(FontProperties(family=FONT, weight=weight)))
