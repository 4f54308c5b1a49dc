"""The numbers of a published study's figures, of replicates that several runs made.

A figure's numbers are means over the replicates of a chain. Where replicates were added to a chain
they are made anew: of the records, of the training curves and of the bins of calibration, which
are published of each replicate.
"""

from collections.abc import Collection, Mapping
from pathlib import Path

import pandas as pd

from incbayes.figures.base import FigureFile
from incbayes.figures.context import FigureContext
from incbayes.figures.write import arranged
from incbayes.kinds import FIGURES
from incbayes.publication.kept import CHAIN, replicates_by_chain, rows_where
from incbayes.results.frames import Frames
from incbayes.study.chains import Chain, chain_name

ORDER = [*CHAIN, "t", "replicate"]

FORMER = {"kl_and_scale": "kl_and_width"}
"""Names under which figures were once published, whose numbers are the same."""


def joined_numbers(
    parts: Collection[Mapping[str, pd.DataFrame]],
    frames: Frames,
    added: Collection[Chain],
    context: FigureContext,
) -> dict[str, pd.DataFrame]:
    """Return the numbers of every figure.

    Those of records are made anew, as every record is published.

    Args:
        parts: numbers of every figure, of runs that have no chain in common but those added to.
        frames: of all that is published.
        added: chains to which replicates were added; their numbers are made of the frames.
        context: of the study.
    """
    of_added = Frames(*(_of(frame, added) for frame in vars(frames).values()))
    found = {}
    for name, figure in FIGURES.items():
        if figure.of == "records":
            found[name] = arranged(name, figure.numbers(frames, context), context)
            continue
        rest = [_without(numbers[name], added) for numbers in parts]
        if added:
            rest.append(figure.numbers(of_added, context))
        found[name] = arranged(name, together(*rest), context)
    return found


def numbers_file(folder: Path, name: str) -> Path:
    """Return the numbers of a figure in a published folder, under its former name if need be."""
    files = [folder / "figures" / f"{known}.csv" for known in (name, FORMER.get(name, name))]
    return next((file for file in files if file.exists()), files[0])


def with_gaps(figure: FigureFile, frames: Frames) -> FigureFile:
    """Return a figure whose caption names the replicates that it lacks, and of which chains.

    Those are such as were published before numbers of each replicate were, and others added since.
    """
    frame = vars(frames)[FIGURES[figure.name].of]
    shown, all_there = replicates_by_chain(frame), replicates_by_chain(frames.records)
    gaps = {
        chain: sorted(there - shown[chain])
        for chain, there in all_there.items()
        if chain in shown and there - shown[chain]
    }
    if not gaps:
        return figure
    named = "; ".join(f"{chain_name(c)}: {', '.join(map(str, r))}" for c, r in gaps.items())
    caption = f"{figure.caption} Without these replicates, published before it had them: {named}."
    return FigureFile(**{**vars(figure), "caption": caption})


def ordered(frame: pd.DataFrame, *then: str) -> pd.DataFrame:
    """Return rows of chains, and columns, in an order that depends on them alone."""
    first = [*ORDER, *then]
    columns = [*first, *sorted(column for column in frame if column not in first)]
    return frame[columns].sort_values(first, kind="stable", ignore_index=True)


def together(*frames: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of all; columns without rows have no types that should count."""
    with_rows = [frame for frame in frames if len(frame)]
    return pd.concat(with_rows, ignore_index=True) if with_rows else frames[-1]


def _of(frame: pd.DataFrame, chains: Collection[Chain]) -> pd.DataFrame:
    wanted = set(chains)
    keys = frame[CHAIN].itertuples(index=False, name=None)
    return rows_where(frame, (key in wanted for key in keys))


def _without(frame: pd.DataFrame, chains: Collection[Chain]) -> pd.DataFrame:
    unwanted = set(chains)
    keys = frame[CHAIN].itertuples(index=False, name=None)
    return rows_where(frame, (key not in unwanted for key in keys))
