"""What pictures of effects share: an axis of differences, an effect with its interval, its words.

Knows numbers in the unit of reports; knows nothing of claims.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.transforms import ScaledTranslation, Transform

from incbayes.figures import style, texts
from incbayes.figures.scales import view_limits

SIZE = 8.5
"""Points of all text in a row."""

SPREAD = 8.0
"""Beyond so many times the smallest margin an axis grows by factors, not by differences."""

AXIS_WIDTH, MARGIN = 3.35, 0.06
"""Inches of the widest axis, and of what is left free beside it and beside what is written."""

REGION, EDGE = "#DCE8F3", "#7FA3C4"

BY_FACTORS = (
    "An axis marked by powers of ten grows by factors beyond the smallest margin on it, or the "
    "smallest difference of the paper, and up to there in proportion."
)
"""What is said below an axis that does so."""


def _range(data: pd.DataFrame) -> tuple[float, float, float]:
    """Return the ends of an axis and the smallest margin, or value of a paper, on it."""
    ends = data[["region_low", "region_high"]].to_numpy().ravel()
    values = [0.0, *data["effect"], *ends, *data.get("paper", ())]
    low, high = view_limits(values, data["low"], data["high"])
    stated = np.concatenate([ends, np.asarray(data.get("paper", ()), dtype=float)])
    sizes = np.abs(stated[np.isfinite(stated) & (stated != 0)])
    unit = float(sizes.min()) if len(sizes) else (high - low) / 5
    # A claimed region is to be seen as one, also where it is open.
    return min(low, -1.6 * unit), max(high, 1.6 * unit), unit


def by_factors(data: pd.DataFrame) -> bool:
    """Return whether an axis grows by factors and not by differences.

    Args:
        data: `effect`, `low`, `high`, `region_low` and `region_high` of each row and perhaps
            `paper`, NaN for none.
    """
    low, high, unit = _range(data)
    return max(-low, high) > SPREAD * unit


def scale_axis(ax: Axes, data: pd.DataFrame) -> None:
    """Set the range and the scale of an axis; data as for `by_factors`."""
    low, high, unit = _range(data)
    if by_factors(data):
        ax.set_xscale("symlog", linthresh=unit, linscale=0.7)
        low, high = min(1.4 * low, -2.5 * unit), max(1.4 * high, 2.5 * unit)
        ticks = [0.0]
        for power in range(-6, 7):
            ticks += [s * 10.0**power for s in (-1, 1) if unit <= 10.0**power]
        ticks += [-unit, unit] if not any(abs(t) < 4 * unit for t in ticks if t) else []
        ax.set_xticks(sorted(ticks))
        ax.minorticks_off()
    else:
        ax.locator_params(axis="x", nbins=5)  # as four decimals are long
    ax.set_xlim(low, high)
    shown = _with_room(ax)
    ax.set_xticks(shown, [_tick(tick) for tick in shown])
    ax.tick_params(axis="x", labelsize=SIZE, pad=1)


def _with_room(ax: Axes) -> list[float]:
    """Return the ticks in sight of which the label does not leave the picture at the left."""
    low, high = ax.get_xlim()
    ticks = [tick for tick in ax.get_xticks() if low <= tick <= high]
    inches = ax.get_window_extent().width / ax.get_figure(root=True).dpi
    to_axis = ax.transData - ax.transAxes
    places = [to_axis.transform((tick, 0))[0] * inches + MARGIN for tick in ticks]
    widths = [texts.width(_tick(tick), SIZE) for tick in ticks]
    return [t for t, x, width in zip(ticks, places, widths, strict=True) if x >= width / 2]


def _tick(value: float) -> str:
    return f"{value:+g}".replace("-", "−") if value else "0"


def draw_effect(
    ax: Axes, y: float, comparison: pd.Series, look: dict[str, str], view: tuple[float, float]
) -> None:
    """Draw an effect with its interval, which ends in an arrow where it leaves the picture.

    Args:
        ax: of the panel.
        y: of the row.
        comparison: `effect`, `low` and `high`.
        look: `color`, `marker` and `markerfacecolor`.
        view: ends of the axis.
    """
    low, high = comparison["low"], comparison["high"]
    if not np.isnan(low):
        ends = [max(low, view[0]), min(high, view[1])]
        ax.plot(ends, [y, y], color=look["color"], linewidth=1.6, zorder=3)
        for end, edge, arrow in ((low, view[0], "<"), (high, view[1], ">")):
            if (end - edge) * (1 if arrow == ">" else -1) > 0:
                ax.plot(edge, y, marker=arrow, markersize=4.5, color=look["color"], zorder=4)
    ax.plot(
        comparison["effect"],
        y,
        marker=look["marker"],
        markersize=6,
        markerfacecolor=look["markerfacecolor"],
        markeredgecolor=look["color"],
        markeredgewidth=1.2,
        zorder=5,
    )


def axis_width(words: Sequence[str]) -> float:
    """Return the inches of an axis that leaves room for the longest line that stands beside it."""
    longest = max((texts.width(line, SIZE, bold=True) for line in words), default=0.0)
    return min(AXIS_WIDTH, style.WIDTH - 3.5 * MARGIN - longest)


def write_beside(ax: Axes, y: float, text: str, **keywords: Any) -> None:
    """Write a line at the right of the axis; y in inches."""
    place = ScaledTranslation(1.5 * MARGIN, 0, ax.figure.dpi_scale_trans)
    _write(ax, 1, y, text, ax.get_yaxis_transform() + place, **keywords)


def write(ax: Axes, x: float, y: float, text: str, **keywords: Any) -> None:
    """Write a line beside the axis; x is in its widths, y in inches."""
    _write(ax, x, y, text, ax.get_yaxis_transform(), **keywords)


def _write(ax: Axes, x: float, y: float, text: str, place: Transform, **keywords: Any) -> None:
    ax.text(x, y, text, transform=place, fontsize=SIZE, va="center", ha="left", **keywords)


def effect_words(comparison: pd.Series) -> str:
    """Return e.g. `+0.10 [+0.08, +0.11]`."""
    decimals = int(comparison["decimals"])
    effect, low, high = (
        f"{round(comparison[key], decimals) + 0.0:+.{decimals}f}".replace("-", "−")
        for key in ("effect", "low", "high")
    )
    return effect if np.isnan(comparison["low"]) else f"{effect} [{low}, {high}]"
