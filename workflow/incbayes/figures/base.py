"""What a figure is: numbers made of a study's frames, and a picture drawn from these alone.

Knows names, labels and the files that a figure becomes; knows nothing of colours, of how the
frames were collected, or of the report that shows them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from incbayes.figures.context import FigureContext
from incbayes.results.frames import Frames

if TYPE_CHECKING:  # so that asking for a figure's name or context does not import them
    from matplotlib.figure import Figure
    from pandas import DataFrame

FORMATS = ("svg", "png", "pdf")


def all_numbers(data: "DataFrame") -> "DataFrame":
    """Return the numbers as they are, for a figure that shows every chain."""
    return data


def no_numbers(data: "DataFrame", context: FigureContext) -> str:
    """Return why there is nothing to draw, where there are no numbers; else an empty text."""
    return "" if len(data) else "The study has no such numbers."


@dataclass(frozen=True)
class Said:
    """What is said of a picture.

    Attributes:
        title: its heading.
        caption: how to read it: what is drawn, of which numbers, with what uncertainty.
        alt: what a reader who cannot see it should know.
        module: the module that defines it.
    """

    title: str
    caption: str
    alt: str
    module: str


@dataclass(frozen=True)
class StudyFigure(Said):
    """One figure of a study; its caption is text in so many words.

    Planning reads the caption without importing the module.

    Attributes:
        numbers: returns one row or more a chain, which depend on no other chain; columns
            `experiment`, `method` and `T` name it.
        draw: returns the picture of such numbers; called within `style.theme`.
        of: frame that the numbers are made of.
        arrange: returns which of the numbers are shown, with what depends on several chains.
        lacking: returns in a sentence why such numbers have nothing to show, which leaves the
            figure out of the report; an empty text where they have. `draw` gets no others.
    """

    numbers: "Callable[[Frames, FigureContext], DataFrame]"
    draw: "Callable[[DataFrame, FigureContext], Figure]"
    of: Literal["records", "training", "calibration"] = "records"
    arrange: "Callable[[DataFrame], DataFrame]" = all_numbers
    lacking: "Callable[[DataFrame, FigureContext], str]" = no_numbers


@dataclass(frozen=True)
class FigureFile:
    """A figure as files, for the report.

    Attributes:
        name: its name in the registry.
        title: its heading.
        caption: how to read it.
        alt: text in place of the picture.
        module: the module that made it.
        svg: the picture.
        png: the picture.
        pdf: the picture.
        csv: the numbers in the picture.
        reason: why it shows nothing, in a sentence, where it is left out; else an empty text.
    """

    name: str
    title: str
    caption: str
    alt: str
    module: str
    svg: Path
    png: Path
    pdf: Path
    csv: Path
    reason: str = ""


def figure_file(name: str, folder: Path, said: Said, reason: str = "") -> FigureFile:
    """Return the picture `name` as its files in `folder`, or why it shows nothing."""
    return FigureFile(
        name=name,
        title=said.title,
        caption=said.caption,
        alt=said.alt,
        module=said.module,
        svg=folder / f"{name}.svg",
        png=folder / f"{name}.png",
        pdf=folder / f"{name}.pdf",
        csv=folder / f"{name}.csv",
        reason=reason,
    )
