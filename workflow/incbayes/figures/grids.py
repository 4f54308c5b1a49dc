"""The grid of figures that draw each experiment in a row and its T's beside each other."""

from dataclasses import dataclass

import pandas as pd

from incbayes.figures import style
from incbayes.figures.context import FigureContext
from incbayes.figures.rows import experiments_in

BESIDE = 0.9
"""Inches of a column that its axis labels take."""


@dataclass(frozen=True, eq=False)
class Panel:
    """What one place of the grid shows.

    Attributes:
        row: of the experiment, from 0.
        column: of the T, from 0.
        title: experiment and T, on as many lines as it needs.
        data: the numbers.
    """

    row: int
    column: int
    title: str
    data: pd.DataFrame


def panels_by_parts(
    data: pd.DataFrame, context: FigureContext, width: float
) -> tuple[list[Panel], float]:
    """Return the panels of a grid, and the height that the longest title takes beyond a line.

    Args:
        data: numbers with the columns `experiment` and `T`.
        context: the study.
        width: of the grid, in inches.
    """
    columns = int(data.groupby("experiment")["T"].nunique().max())
    places, names = [], []
    for row, experiment in enumerate(experiments_in(data, context)):
        chosen = data[data["experiment"] == experiment]
        for column, parts in enumerate(sorted(chosen["T"].unique())):
            places.append((row, column, chosen[chosen["T"] == parts]))
            names.append(f"{context.titles[experiment]}, T\u00a0=\u00a0{parts}")
    titles, more = style.panel_titles(names, width / columns - BESIDE)
    panels = [
        Panel(row, column, title, chosen)
        for (row, column, chosen), title in zip(places, titles, strict=True)
    ]
    return panels, more
