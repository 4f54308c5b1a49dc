"""Writes figures: their numbers as csv, the pictures of these files, and the seal of both."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from incbayes.core.seal import Seal, read_seal, seal_path, write_seal
from incbayes.figures import number_files
from incbayes.figures.context import FigureContext
from incbayes.kinds import FIGURES

if TYPE_CHECKING:  # so that asking for a figure's name or context does not import them
    from matplotlib.figure import Figure
    from pandas import DataFrame
from incbayes.figures.base import FORMATS, FigureFile, StudyFigure, figure_file
from incbayes.results.frames import Frames

ARTIFACT = "figures"


TEXT_COLUMNS = (
    *("experiment", "method", "label", "split", "metric", "unit"),
    *("quantity", "layer", "reference", "measure", "shift"),
)
"""Of a figure's numbers; all others hold numbers."""


def describe_figure(name: str, folder: Path) -> FigureFile:
    """Return the figure `name` as the files that `write_figure` makes in `folder`."""
    figure: StudyFigure = FIGURES[name]
    return figure_file(name, folder, figure)


def written_figure(name: str, folder: Path, context: FigureContext) -> FigureFile:
    """Return the figure `name` that `write_figure` made in `folder`, with why it is left out."""
    file = describe_figure(name, folder)
    return replace(file, reason=FIGURES[name].lacking(read_numbers(file.csv), context))


def draw_figure(name: str, numbers: "DataFrame", context: FigureContext) -> "Figure":
    """Return the picture of numbers that `figure_numbers` returned, or why there is none."""
    from incbayes.figures import style

    figure: StudyFigure = FIGURES[name]
    reason = figure.lacking(numbers, context)
    if reason:
        return style.nothing(context, figure.title, reason)
    return figure.draw(numbers, context)


def load_drawing() -> None:
    """Import all that `write_figure` will, for processes forked from this one."""
    from incbayes.figures import style  # noqa: F401

    for name in FIGURES:
        FIGURES[name]


def figure_numbers(name: str, frames: Frames, context: FigureContext) -> "DataFrame":
    """Return the numbers of the figure `name`.

    Raises:
        ValueError: the frames name a method or an experiment that the study does not.
    """
    from incbayes.figures.rows import check_names

    for frame in (frames.records, frames.training, frames.calibration):
        check_names(frame, context)
    return arranged(name, FIGURES[name].numbers(frames, context), context)


def arranged(name: str, numbers: "DataFrame", context: FigureContext) -> "DataFrame":
    """Return the numbers of chains, perhaps of several runs, as the figure `name` shows them.

    Chain after chain in the study's order, and within a chain as they come.
    """
    from incbayes.figures.rows import in_order

    shown = FIGURES[name].arrange(in_order(numbers, context, "T"))
    shown = shown.drop(columns="label", errors="ignore").reset_index(drop=True)
    shown.insert(2, "label", shown["method"].map(context.methods))
    return shown


def read_numbers(path: Path) -> "DataFrame":
    """Return the numbers of a figure that `write_figure` wrote."""
    return number_files.read_numbers(path, TEXT_COLUMNS)


def seal_figures(path: Path, study: str, records: Seal) -> Seal:
    """Seal all figures of a study.

    Args:
        path: of the seal, in the folder of the figures.
        study: its id.
        records: the seal of the records that they are drawn from.
    """
    files = [path.with_name(f"{name}.{suffix}") for name in FIGURES for suffix in (*FORMATS, "csv")]
    return write_seal(path, ARTIFACT, {"study": study}, files, {"records": records})


def sealed_figures(folder: Path, study: str, records: Seal) -> Seal:
    """Return the seal of the figures in a folder, verified with all of its files.

    Raises:
        SealError: one is damaged or edited, or they are of other records.
    """
    path = seal_path(folder / f"{ARTIFACT}.svg")
    seal = read_seal(path, ARTIFACT, {"study": study}, {"records": records})
    for name in seal.files:
        seal.verified(folder / name)
    return seal


def write_figure(
    name: str,
    numbers: "DataFrame",
    context: FigureContext,
    folder: Path,
    formats: Sequence[str] = FORMATS,
) -> FigureFile:
    """Write the numbers of the figure `name` as csv into `folder`, and the picture of that file.

    Args:
        name: of the figure.
        numbers: as `figure_numbers` returns them.
        context: labels and order.
        folder: where the files go.
        formats: of the picture, any of `FORMATS`.
    """
    from incbayes.figures import style

    csv = describe_figure(name, folder).csv
    number_files.save_numbers(numbers, csv)
    with style.theme():
        style.save_figure(draw_figure(name, read_numbers(csv), context), folder / name, formats)
    return written_figure(name, folder, context)
