"""Draws all figures of a study, several at once."""

import multiprocessing
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from incbayes.figures.context import FigureContext, context_of
from incbayes.figures.write import figure_numbers, load_drawing, seal_figures, write_figure
from incbayes.kinds import FIGURES
from incbayes.results.frames import Frames, read_frames
from incbayes.study.model import Study


@dataclass(frozen=True)
class FigureSources:
    """Files that figures are drawn from.

    Attributes:
        records: metrics.parquet.
        training: the training.csv of every stage.
        calibration: the calibration.csv of every stage.
    """

    records: Path
    training: Iterable[Path]
    calibration: Iterable[Path]


def draw_figures(study: Study, sources: FigureSources, seal: Path, processes: int) -> Iterator[str]:
    """Draw every figure beside a seal, yield its name, and seal all once the last is drawn.

    Args:
        study: in normal form.
        sources: files that they are drawn from.
        seal: of the figures, in their folder.
        processes: how many draw at once.

    Raises:
        SealError: a file is damaged or edited, or of other posteriors than the records.
    """
    global _shared
    frames, of_records = read_frames(
        study.study_id, sources.records, sources.training, sources.calibration
    )
    _shared = frames, context_of(study), seal.parent
    load_drawing()
    # Forked, so that what took seconds to import and to read is there already.
    forked = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(processes, mp_context=forked) as pool:
        for name, _ in zip(FIGURES, pool.map(_draw, FIGURES), strict=True):
            yield name
    seal_figures(seal, study.study_id, of_records)


_shared: tuple[Frames, FigureContext, Path]


def _draw(name: str) -> None:
    """Draw one figure, in a forked process."""
    frames, context, folder = _shared
    write_figure(name, figure_numbers(name, frames, context), context, folder)
