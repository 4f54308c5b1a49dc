"""What a paper says beside what was found: its differences, and ours paired on replicates.

One line a comparison of the ledger's claims. Where the paper prints both values their difference
is drawn, and else the region that its sentence claims. It judges nothing.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from incbayes.claims.ledger import EXPLORATORY
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

NAME = "against_paper"
TITLE = "The paper’s differences and ours"
NOTHING = "No claim compares two methods that were both run."

LINE, GAP, FOOT, HEAD = 0.17, 0.1, 0.42, 0.3
"""Inches of a line of text, between two rows, of an axis, and of a panel's title."""

OURS = {"color": "#0173B2", "marker": "o", "markerfacecolor": "#0173B2"}
PAPER = {"color": "#B35900", "marker": "D", "markerfacecolor": "white"}
CLAIMED = "#3F658A"
TEXT_COLUMNS = ("claim", "experiment", "difference", "metric", "unit")
COLUMNS = [
    *TEXT_COLUMNS,
    *("decimals", "paper", "region_low", "region_high", "effect", "low", "high", "n"),
]


def paper_numbers(entries: Sequence[Mapping[str, Any]], context: FigureContext) -> pd.DataFrame:
    """Return one row a comparison of two groups that were both run, in the unit that `unit` names.

    `paper` is the difference of the paper's values; where it does not print both it is NaN, and
    `region_low` and `region_high` are where the claim says that the difference lies, an open end
    NaN. An exploratory claim, which no paper makes, counts where it has the paper's values.
    """
    rows = []
    for entry in entries:
        metric, groups = metric_of(entry["metric"]), entry["groups"]
        low, high = (np.nan if end is None else metric.factor * end for end in entry["region"])
        for comparison in entry["comparisons"]:
            pair = [groups[comparison[side]] for side in ("first", "second")]
            if any("constant" in group for group in pair):
                continue
            printed = [group.get("reported") for group in pair]
            paper = np.nan
            if None not in printed:
                paper = metric.factor * (printed[0] - printed[1])
            elif entry["status"] == EXPLORATORY or not entry["paper"]:
                continue
            claimed = (low, high) if np.isnan(paper) else (np.nan, np.nan)
            found = comparison["evidence"]
            ours = [
                np.nan if found[key] is None else metric.factor * found[key]
                for key in ("effect", "low", "high")
            ]
            words = _experiment(pair, context), _difference(pair, context)
            heading = metric.heading.partition(" (")[0], metric.difference_unit, metric.decimals
            rows.append([entry["claim"], *words, *heading, paper, *claimed, *ours, found["n"]])
    return pd.DataFrame(rows, columns=COLUMNS)


def _experiment(pair: Sequence[Mapping[str, Any]], context: FigureContext) -> str:
    names = dict.fromkeys(group["experiment"] for group in pair)
    return " and ".join(context.titles[name] for name in names)


def _difference(pair: Sequence[Mapping[str, Any]], context: FigureContext) -> str:
    """Return e.g. `FT minus FFG, T = 10`: what both sides share is said once."""
    sides = [_words(group, context) for group in pair]
    shared = [word for word in sides[0][1:] if word in sides[1]]
    first, second = (", ".join(word for word in side if word not in shared) for side in sides)
    if pair[0]["experiment"] != pair[1]["experiment"]:
        titles = [context.titles[group["experiment"]] for group in pair]
        first, second = f"{first} ({titles[0]})", f"{second} ({titles[1]})"
    return ", ".join([f"{first} minus {second}", *shared])


def _words(group: Mapping[str, Any], context: FigureContext) -> list[str]:
    """Return what a group is: its method first, and what is not as usual."""
    words = [context.labels[group["method"]], f"T\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}{group['T']}"]
    words += [f"after part {group['t']}"] if group["t"] != group["T"] else []
    words += [f"on {group['split'].replace('_', ' ')}"] if group["split"] != "test" else []
    return words + (["at the posterior mean"] if group["predictor"] != "predictive" else [])


def write_against_paper(
    entries: Sequence[Mapping[str, Any]],
    context: FigureContext,
    folder: Path,
    formats: Sequence[str] = FORMATS,
) -> FigureFile:
    """Write the numbers as csv into `folder`, and the picture of that file; return both.

    Args:
        entries: of the ledger.
        context: labels.
        folder: where the files go.
        formats: of the picture, any of `FORMATS`.
    """
    path = folder / f"{NAME}.csv"
    save_numbers(paper_numbers(entries, context), path)
    data = read_numbers(path, TEXT_COLUMNS)
    with style.theme():
        empty = data.empty
        figure = style.nothing(context, TITLE, NOTHING) if empty else draw(data, context)
        style.save_figure(figure, folder / NAME, formats)
    return against_paper_file(folder)


def against_paper_file(folder: Path) -> FigureFile:
    """Return the picture as the files that `write_against_paper` made in `folder`."""
    numbers = read_numbers(folder / f"{NAME}.csv", TEXT_COLUMNS)
    return figure_file(NAME, folder, SAID, NOTHING if numbers.empty else "")


def draw(data: pd.DataFrame, context: FigureContext) -> Figure:
    """Return the picture of numbers of `paper_numbers`, of which there are some."""
    few = data["n"] < FEWEST
    data = data.assign(low=data["low"].mask(few), high=data["high"].mask(few))
    panels = [panel for _, panel in data.groupby("metric", sort=False)]
    heights = [HEAD + _lines(panel)[-1][0] + FOOT for panel in panels]
    notes = [BY_FACTORS] if any(by_factors(panel) for panel in panels) else []
    page = style.page(context, TITLE, sum(heights), legend=_legend(data), notes=notes)
    width = axis_width([line for _, row in data.iterrows() for line in _beside(row)])
    whole, top = sum(heights), 0.0
    for panel, height in zip(panels, heights, strict=True):
        first = panel.iloc[0]
        page.body.text(
            MARGIN / style.WIDTH, 1 - (top + 0.1) / whole,
            texts.in_unit(f"Difference in {texts.within(first['metric'])}", first["unit"]),
            fontsize=9, fontweight="bold", va="center",
        )  # fmt: skip
        bottom = 1 - (top + height - FOOT) / whole
        place = MARGIN / style.WIDTH, bottom, width / style.WIDTH, (height - HEAD - FOOT) / whole
        _draw_panel(page.body.add_axes(place), panel)
        top += height
    return page.figure


def _lines(panel: pd.DataFrame) -> list[tuple[float, str, pd.Series | None]]:
    """Return where each line of a panel begins, in inches downwards: its text, or its comparison.

    An experiment's title stands above its comparisons, and its words above each of these. The
    last line has neither, and begins where the panel ends.
    """
    lines: list[tuple[float, str, pd.Series | None]] = []
    top = 0.0
    for experiment, rows in panel.groupby("experiment", sort=False):
        for line in texts.cut(str(experiment), style.WIDTH - 3 * MARGIN, SIZE, bold=True):
            lines.append((top, f"\N{BULLET} {line}", None))
            top += LINE
        for _, row in rows.iterrows():
            for line in texts.cut(row["difference"], style.WIDTH - 3 * MARGIN, SIZE):
                lines.append((top, line, None))
                top += LINE
            lines.append((top, "", row))
            top += 2 * LINE + GAP
        top += GAP
    return [*lines, (top, "", None)]


def _draw_panel(ax: Axes, panel: pd.DataFrame) -> None:
    lines = _lines(panel)
    scale_axis(ax, panel)
    ax.set_ylim(lines[-1][0], 0)
    ax.set_yticks([])
    ax.grid(False)  # as words stand on it
    ax.spines[["top", "right", "left"]].set_visible(False)
    for top, text, row in lines[:-1]:
        if row is None:
            bold = text.startswith("\N{BULLET}")
            weight = "bold" if bold else "normal"
            write(ax, 0, top + LINE / 2, text.removeprefix("\N{BULLET} "), fontweight=weight)
        else:
            _draw_row(ax, top, row)


def _draw_row(ax: Axes, top: float, row: pd.Series) -> None:
    """Draw what the paper says on one line, and ours below it."""
    view = ax.get_xlim()
    above, below = top + LINE / 2, top + 1.5 * LINE
    paper, ours = _beside(row)
    write_beside(ax, above, paper, color=CLAIMED if np.isnan(row["paper"]) else PAPER["color"])
    write_beside(ax, below, ours, color=OURS["color"])
    ax.plot([0, 0], [top, top + 2 * LINE], color="#888888", linewidth=0.8, zorder=1.5)
    if np.isnan(row["paper"]):
        low = view[0] if np.isnan(row["region_low"]) else row["region_low"]
        high = view[1] if np.isnan(row["region_high"]) else row["region_high"]
        ax.fill_betweenx([top, top + 2 * LINE], low, high, color=REGION, linewidth=0, zorder=1)
        for end in (row["region_low"], row["region_high"]):
            ax.plot([end, end], [top, top + 2 * LINE], color=EDGE, linewidth=1.0, zorder=1.2)
    else:
        ax.plot(
            [row["paper"], row["effect"]], [above, below], color="#999999", linewidth=0.8,
            linestyle=":", zorder=2,
        )  # fmt: skip
        draw_effect(ax, above, _of_paper(row), PAPER, view)
    draw_effect(ax, below, row, OURS, view)


def _beside(row: pd.Series) -> tuple[str, str]:
    """Return what is written at the right of the paper's line, and of ours."""
    if np.isnan(row["paper"]):
        above = f"claimed: {_region(row)}"
    else:
        above = f"paper: {effect_words(_of_paper(row))}"
    return above, f"here: {effect_words(row)}"


def _of_paper(row: pd.Series) -> pd.Series:
    """Return the paper's difference as an effect, which has no interval."""
    effect = row.copy()
    effect["effect"], effect["low"], effect["high"] = row["paper"], np.nan, np.nan
    return effect


def _region(row: pd.Series) -> str:
    """Return e.g. `below −0.20`: where a claim says that a difference lies."""
    ends = [
        "" if np.isnan(row[key]) else f"{row[key]:+.{int(row['decimals'])}f}".replace("-", "−")
        for key in ("region_low", "region_high")
    ]
    low, high = ("0" if end and not float(end.replace("−", "-")) else end for end in ends)
    if low and high:
        return f"{low} to {high}"
    return f"above {low}" if low else f"below {high}"


def _legend(data: pd.DataFrame) -> list[Any]:
    handles: list[Any] = []
    if data["paper"].notna().any():
        handles.append(Line2D([], [], linewidth=0, markersize=6, label="paper", **PAPER))
    if data["paper"].isna().any():
        label = "claimed region, where the paper prints no numbers"
        handles.append(Patch(facecolor=REGION, edgecolor=EDGE, label=label))
    return [*handles, Line2D([], [], markersize=6, label="here, with 95 % interval", **OURS)]


SAID = Said(
    title=TITLE,
    module=__name__,
    caption="One line a comparison of the claims: above, the difference of the two values that the "
    "paper prints, a hollow diamond; or, where it prints none, the region that the study states "
    "for its sentence, shaded. Below, ours: the mean difference, paired on "
    "replicates, with its 95 % Student-t interval (of three replicates or more). Claims about a "
    "single value are left out. Verdicts are in the picture of the claims.",
    alt="One line a comparison: the paper’s difference, or the region that its sentence claims, "
    "above ours with its interval. The numbers are in the table of the paper’s differences and in "
    "that of claims.",
)
