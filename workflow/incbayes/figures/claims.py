"""The ledger as a picture: each claim's effect and interval against the region that it claims.

One row a claim, grouped by the figure of the paper that it is of; exploratory claims apart. It
knows the entries of a ledger; it judges nothing.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from incbayes.claims.ledger import EXPLORATORY, NOT_RUN, VERDICTS
from incbayes.figures import style, texts
from incbayes.figures.base import FORMATS, FigureFile, Said, figure_file
from incbayes.figures.context import FigureContext
from incbayes.figures.effects import (
    BY_FACTORS,
    EDGE,
    MARGIN,
    REGION,
    SIZE,
    axis_width,
    by_factors,
    draw_effect,
    effect_words,
    scale_axis,
    write,
    write_beside,
)
from incbayes.figures.number_files import read_numbers, save_numbers
from incbayes.metrics.named import metric_of
from incbayes.results.intervals import FEWEST

NAME = "claims"
TITLE = "Claims: the effect of each, and where it is claimed to lie"
FIGURE_OF_PAPER = re.compile(r"Fig(?:ure|\.) ?\d+(?: ?\([a-z]\))?")

LINE = 0.17
"""Inches of a line of text, and of a comparison."""

GAP, HEAD, FOOT = 0.2, 0.3, 0.42
"""Inches between two rows, above the rows of a panel, and below them for the axis."""

LOOKS = {
    "supported": {"color": "#0173B2", "marker": "o", "markerfacecolor": "#0173B2"},
    "contradicted": {"color": "#CC3311", "marker": "X", "markerfacecolor": "#CC3311"},
    "inconclusive": {"color": "#5A5A5A", "marker": "o", "markerfacecolor": "white"},
    "not run": {"color": "#5A5A5A", "marker": "", "markerfacecolor": "white"},
    EXPLORATORY: {"color": "#7A4B00", "marker": "D", "markerfacecolor": "white"},
}
TEXT_COLUMNS = ("group", "status", "claim", "sentence", "verdict", "metric", "unit")


def claim_numbers(entries: Sequence[Mapping[str, Any]], context: FigureContext) -> pd.DataFrame:
    """Return one row a comparison of each claim; of a claim that was not run, one without effect.

    Effects, intervals and ends of regions are in the unit that `unit` names; an open end is NaN.
    """
    rows = []
    for entry in entries:
        name = entry["metric"]
        metric = metric_of(name)
        low, high = (np.nan if end is None else metric.factor * end for end in entry["region"])
        claim = {
            "group": _group(entry, context),
            "status": entry["status"],
            "claim": entry["claim"],
            "sentence": entry["sentence"],
            "verdict": entry["verdict"],
            "metric": metric.heading.partition(" (")[0],
            "unit": metric.difference_unit,
            "decimals": metric.decimals,
            "region_low": low,
            "region_high": high,
        }
        for comparison in entry["comparisons"] or [None]:
            found = comparison["evidence"] if comparison else {}
            numbers = {key: found.get(key) for key in ("effect", "low", "high")}
            scaled = {k: np.nan if v is None else metric.factor * v for k, v in numbers.items()}
            rows.append({**claim, **scaled, "n": found.get("n", 0)})
    return pd.DataFrame(rows)


def _group(entry: Mapping[str, Any], context: FigureContext) -> str:
    """Return the figure of the paper that a claim is of, or else its place or its experiments."""
    place = entry["place"] or ""
    found = FIGURE_OF_PAPER.search(place)
    experiments = [group["experiment"] for group in entry["groups"] if "constant" not in group]
    titles = ", ".join(dict.fromkeys(context.titles[name] for name in experiments))
    if found is None:
        return place or titles
    return titles if titles.startswith(found[0]) else f"{found[0]}: {titles}"


def write_claims_figure(
    entries: Sequence[Mapping[str, Any]],
    context: FigureContext,
    folder: Path,
    formats: Sequence[str] = FORMATS,
) -> FigureFile:
    """Write the numbers of a ledger's picture as csv into `folder`, and the picture of that file.

    Args:
        entries: of the ledger, one or more.
        context: labels and order.
        folder: where the files go.
        formats: of the picture, any of `FORMATS`.
    """
    file = claims_file(folder)
    save_numbers(claim_numbers(entries, context), file.csv)
    data = read_numbers(file.csv, TEXT_COLUMNS)
    with style.theme():
        style.save_figure(draw(data, context), folder / NAME, formats)
    return file


def claims_file(folder: Path) -> FigureFile:
    """Return the picture of a ledger as the files that `write_claims_figure` makes in `folder`."""
    return figure_file(NAME, folder, SAID)


@dataclass(frozen=True)
class Row:
    """The place of a claim in a panel; downwards, in inches.

    Attributes:
        comparisons: of the claim.
        sentence: on as many lines as it needs.
        top: where it begins.
        bottom: where it ends.
    """

    comparisons: pd.DataFrame
    sentence: Sequence[str]
    top: float
    bottom: float

    @property
    def shade(self) -> tuple[float, float]:
        """Where the claimed region begins and ends: below the sentence."""
        return self.top + GAP / 4 + LINE * len(self.sentence), self.bottom - GAP / 2

    @property
    def places(self) -> list[float]:
        """The middle of the line of each comparison, below that of the verdict."""
        first = self.shade[0] + 1.5 * LINE
        return [first + place * LINE for place in range(len(self.comparisons))]

    @property
    def verdict(self) -> str:
        """The verdict with the number of replicates, e.g. `supported, n = 5–10`."""
        verdict = self.comparisons.iloc[0]["verdict"]
        counts = "–".join(map(str, sorted(set(self.comparisons["n"]))))
        return f"{verdict}, n = {counts}" if verdict != NOT_RUN else verdict

    @property
    def beside(self) -> list[str]:
        """What is written at the right of the axis."""
        drawn = self.comparisons.dropna(subset="effect")
        return [self.verdict, *(effect_words(row) for _, row in drawn.iterrows())]


def draw(data: pd.DataFrame, context: FigureContext) -> Figure:
    """Return the picture of the numbers of a ledger."""
    few = data["n"] < FEWEST
    data = data.assign(low=data["low"].mask(few), high=data["high"].mask(few))
    # What is measured alike is drawn on one axis; a claim without a verdict on none of theirs.
    exploratory = data["status"] == EXPLORATORY
    keys = [exploratory, data["group"], data["metric"]]
    ordered = data.groupby(keys, sort=False)
    panels = [panel for _, panel in sorted(ordered, key=lambda item: item[0][0])]
    rows = [_rows(panel) for panel in panels]
    titles = [_titles(panel) for panel in panels]
    width = axis_width([line for panel in rows for row in panel for line in row.beside])
    heads = [HEAD + LINE * (len(lines) - 1) for lines in titles]
    heights = [h + r[-1].bottom + FOOT for h, r in zip(heads, rows, strict=True)]
    notes = [BY_FACTORS] if any(by_factors(panel) for panel in panels) else []
    page = style.page(context, TITLE, sum(heights), legend=_legend(data), notes=notes)
    whole, top = sum(heights), 0.0
    for panel_rows, lines, head, height in zip(rows, titles, heads, heights, strict=True):
        below = top + height - FOOT
        box = (
            MARGIN / style.WIDTH,
            1 - below / whole,
            width / style.WIDTH,
            (height - head - FOOT) / whole,
        )
        _draw_panel(page.body, box, panel_rows)
        for place, line in enumerate(lines):
            y = 1 - (top + 0.1 + place * LINE) / whole
            x = MARGIN / style.WIDTH
            page.body.text(x, y, line, fontsize=9, fontweight="bold", va="center")
        top += height
    return page.figure


def _titles(panel: pd.DataFrame) -> list[str]:
    """Return the lines of a panel's title."""
    first = panel.iloc[0]
    lead = "Exploratory, no verdict – " if first["status"] == EXPLORATORY else ""
    text = f"{lead}{first['group']} – difference in {texts.within(first['metric'])}"
    return texts.cut(texts.in_unit(text, first["unit"]), style.WIDTH - 4 * MARGIN, 9, bold=True)


def _rows(panel: pd.DataFrame) -> list[Row]:
    """Return the place of every claim: its sentence, its verdict, and its comparisons."""
    rows, top = [], 0.0
    for _, comparisons in panel.groupby("claim", sort=False):
        lines = texts.cut(comparisons.iloc[0]["sentence"], style.WIDTH - 3 * MARGIN, SIZE)
        height = LINE * (len(lines) + 1 + len(comparisons)) + GAP
        rows.append(Row(comparisons, lines, top, top + height))
        top += height
    return rows


def _draw_panel(band: SubFigure, box: tuple[float, float, float, float], rows: list[Row]) -> None:
    ax = band.add_axes(box)
    scale_axis(ax, pd.concat([row.comparisons for row in rows]))
    ax.set_ylim(rows[-1].bottom, 0)
    ax.set_yticks([])
    ax.grid(False)  # as sentences stand on it
    ax.spines[["top", "right", "left"]].set_visible(False)
    for row in rows:
        _draw_row(ax, row)


def _draw_row(ax: Axes, row: Row) -> None:
    claim = row.comparisons.iloc[0]
    left, right = ax.get_xlim()
    low = left if np.isnan(claim["region_low"]) else claim["region_low"]
    high = right if np.isnan(claim["region_high"]) else claim["region_high"]
    shade = row.shade
    ax.fill_betweenx(shade, low, high, color=REGION, linewidth=0, zorder=1)
    for end in (claim["region_low"], claim["region_high"]):
        ax.plot([end, end], shade, color=EDGE, linewidth=1.0, zorder=1.2)
    ax.plot([0, 0], shade, color="#888888", linewidth=0.8, zorder=1.5)
    look = LOOKS[claim["verdict"]]
    for place, line in enumerate(row.sentence):
        write(ax, 0, row.top + GAP / 4 + (place + 0.5) * LINE, line)
    words = {"color": look["color"], "fontweight": "bold"}
    write_beside(ax, row.places[0] - LINE, row.verdict, **words)
    for y, (_, comparison) in zip(row.places, row.comparisons.iterrows(), strict=True):
        if np.isnan(comparison["effect"]):
            continue
        draw_effect(ax, y, comparison, look, (left, right))
        write_beside(ax, y, effect_words(comparison))


def _legend(data: pd.DataFrame) -> list[Any]:
    """Return the entries of the legend, of the verdicts that occur."""
    found = set(data["verdict"])
    handles: list[Any] = [
        Patch(facecolor=REGION, edgecolor=EDGE, label="claimed region"),
    ]
    for verdict in (*VERDICTS, EXPLORATORY):
        look = LOOKS[verdict]
        if verdict in found and look["marker"]:
            handles.append(Line2D([], [], markersize=6, label=verdict, **look))
    return handles


SAID = Said(
    title=TITLE,
    module=__name__,
    caption="One row a claim: the mean difference of its two groups, paired on replicates, with "
    "its 95 % Student-t interval (of three replicates or more), one line a comparison where all of "
    "several must hold. Shaded is where the claim says that the difference lies. Colour and shape "
    "are the verdict, which is corrected for the number of primary claims: an interval that lies "
    "within the shade, or outside, may still be inconclusive. Exploratory claims, added once "
    "results were seen, have no verdict.",
    alt="One row a claim: effect and interval, claimed region, verdict.",
)
