"""Intervals as pictures show them: within the metric's range, within the axis, of three or more.

Knows summaries as `mean_interval` returns them; knows nothing of methods.
"""

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes

from incbayes.figures import style
from incbayes.results.intervals import FEWEST, mean_interval
from incbayes.results.paired import paired_differences

UNBOUNDED = (float("-inf"), float("inf"))
DIFFERENCES = {
    "n": "pairs",
    "mean": "mean_difference",
    "half_width": "difference_half_width",
    "low": "difference_low",
    "high": "difference_high",
}
"""Columns of the summary of paired differences, by those of `mean_interval`."""

DERIVED = ("reference", "difference", *DIFFERENCES.values())


def drawn_interval(
    summary: pd.DataFrame, bounds: tuple[float, float] = UNBOUNDED
) -> tuple[pd.Series, pd.Series]:
    """Return the ends of the intervals of `summary` within `bounds`; NaN where none is drawn."""
    enough = summary["n"] >= FEWEST
    low, high = (summary[end].where(enough).clip(*bounds) for end in ("low", "high"))
    return low, high


def with_differences(
    data: pd.DataFrame, within: Sequence[str], first_of: Sequence[str] = ("experiment",)
) -> pd.DataFrame:
    """Return `data` with differences to the first method of each experiment, paired on replicates.

    Args:
        data: one row a replicate, methods in the study's order, with the column `value`.
        within: columns in which both of a pair agree, beside the experiment.
        first_of: columns, the experiment first, within which the first method is the reference.

    Returns:
        The rows with `reference`, `difference` and the summary of the differences, `DIFFERENCES`;
        NaN where the reference has no such row.
    """
    data = data.drop(columns=list(DERIVED), errors="ignore")
    reference = data.groupby(list(first_of), sort=False)["method"].transform("first")
    data = data.assign(reference=reference)
    on = ["experiment", *within, "replicate"]
    pairs = paired_differences(data, data[data["method"] == reference], on)
    by = ["experiment", "method", *within]
    summary = mean_interval(pairs, by).rename(columns=DIFFERENCES)
    single = pairs[[*by, "replicate", "value"]].rename(columns={"value": "difference"})
    whole = data.merge(single, on=[*by, "replicate"], how="left")
    return whole.merge(summary, on=by, how="left")


def differences_of(data: pd.DataFrame) -> pd.DataFrame:
    """Return the differences of all methods but the reference, with the columns of values."""
    kept = data[data["method"] != data["reference"]].dropna(subset="difference")
    values = ["value", *DIFFERENCES]
    names = {new: old for old, new in DIFFERENCES.items()} | {"difference": "value"}
    return kept.drop(columns=values).rename(columns=names)


def draw_interval(
    ax: Axes,
    at: float,
    ends: tuple[float, float],
    colour: str | tuple[str, float],
    *,
    across: bool = True,
) -> None:
    """Draw an interval, cut at the limits of the axis, where an arrowhead says that it goes on.

    Args:
        ax: with its final limits.
        at: where it lies on the other axis.
        ends: of the interval; NaN for none.
        colour: of the line, perhaps with its opacity.
        across: whether it lies along x.
    """
    low, high = ends
    if pd.isna(low):
        return
    bottom, top = sorted(ax.get_xlim() if across else ax.get_ylim())
    shown = [max(low, bottom), min(high, top)]
    if shown[0] > shown[1]:
        return
    here = [at, at]
    line = (shown, here) if across else (here, shown)
    ax.plot(*line, color=colour, linewidth=1.3, zorder=3, gid="interval")
    for beyond, edge, head in ((low < bottom, bottom, 0), (high > top, top, 1)):
        if beyond:
            point = (edge, at) if across else (at, edge)
            marker = ("<>" if across else "v^")[head]
            ax.plot(*point, marker=marker, markersize=4, color=colour, clip_on=False, zorder=4)


def counts_of(n: pd.Series) -> str:
    """Return e.g. `n = 5`, or `n = 3–5` where they differ, in one word."""
    return f"n\u00a0=\u00a0{span(n)}"


def span(numbers: pd.Series) -> str:
    """Return e.g. `10 000`, or `2–3` where whole numbers differ, in one word."""
    ends = dict.fromkeys([int(numbers.min()), int(numbers.max())])
    return "\u2013".join(f"{end:,}".replace(",", "\u2009") for end in ends)


RING = {
    "linestyle": "",
    "marker": "o",
    "markersize": 3.2,
    "markerfacecolor": "none",
    "markeredgecolor": style.GREY,
    "markeredgewidth": 0.7,
    "zorder": 5.5,
}
"""How one replicate is drawn."""
