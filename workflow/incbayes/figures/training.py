"""The bound and the NLL over the epochs of all stages: was a plateau reached before the next part?

Draws the smallest and the largest T of each experiment; computes the bound per image.
"""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from incbayes.figures import style
from incbayes.figures.base import StudyFigure
from incbayes.figures.context import FigureContext
from incbayes.figures.grids import panels_by_parts
from incbayes.figures.lines import draw_band, fit_axis
from incbayes.figures.rows import experiments_in, extreme_parts, in_order, last_epochs, methods_in
from incbayes.results.frames import Frames

TITLE = "Training: bound and NLL over the epochs"
QUANTITIES = {
    "negative_elbo": "−ELBO per image\n(nats)",
    "nll": "training NLL\n(nats per image)",
}
STAGE = ["experiment", "method", "T", "t"]
NOTES = ["Vertical lines: a new part arrives and the optimiser starts afresh."]
POINTS = 240
"""About as many points are drawn a line; longer curves are thinned evenly."""


def numbers(frames: Frames, context: FigureContext) -> pd.DataFrame:
    """Return mean and range over replicates: one row a chain, stage, quantity and epoch.

    A replicate that stopped early keeps its last value.
    """
    training = frames.training
    chosen = _held(training.assign(negative_elbo=-training["elbo"] / training["images"]))
    chosen = in_order(chosen, context, "T", "t", "replicate", "epoch")
    summaries = [
        chosen.groupby([*STAGE, "epoch"], sort=False)[quantity]
        .agg(n="count", mean="mean", low="min", high="max")
        .reset_index()
        .assign(quantity=quantity)
        for quantity in QUANTITIES
    ]
    return pd.concat(summaries, ignore_index=True)


def arrange(data: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the smallest and the largest T, with their places on the axis."""
    shown = extreme_parts(data)
    length = shown.groupby(["experiment", "T"])["epoch"].transform("max")
    return shown.assign(stage_epochs=length, position=(shown["t"] - 1) * length + shown["epoch"])


def draw(data: pd.DataFrame, context: FigureContext) -> Figure:
    """Return the figure of its numbers."""
    if data.empty:
        return style.nothing(context, TITLE, "No training curves have been collected.")
    data = _thinned(data)
    experiments = experiments_in(data, context)
    columns = int(data.groupby("experiment")["T"].nunique().max())
    legend = [style.method_handle(m, context) for m in methods_in(data, context)]
    for handle in legend:
        handle.set_marker("")
        handle.set_linewidth(2.2)
    panels, more = panels_by_parts(data, context, style.WIDTH)
    page = style.page(
        context,
        TITLE,
        (style.taller(4.2, len(legend)) + more) * len(experiments),
        legend=legend,
        notes=NOTES if (data["T"] > 1).any() else [],
    )
    grid = page.body.subplots(2 * len(experiments), columns, squeeze=False)
    for ax in grid.flat:
        ax.set_visible(False)
    for panel in panels:
        axes = grid[2 * panel.row : 2 * panel.row + 2, panel.column]
        axes[0].set_title(panel.title)
        _draw_panel(axes, panel.data, context)
    return page.figure


def _held(training: pd.DataFrame) -> pd.DataFrame:
    """Return `training` with the last row of replicates that stopped early repeated."""
    columns = [*STAGE, "replicate", "epoch", *QUANTITIES]
    rows = training[columns]
    ends = last_epochs(rows)
    longest = ends.groupby(STAGE)["epoch"].transform("max")
    early = ends[ends["epoch"] < longest]
    copies = early.loc[early.index.repeat((longest - ends["epoch"])[early.index])]
    steps = copies.groupby([*STAGE, "replicate"]).cumcount() + 1
    return pd.concat([rows, copies.assign(epoch=copies["epoch"] + steps)], ignore_index=True)


def _thinned(data: pd.DataFrame) -> pd.DataFrame:
    """Return about `POINTS` epochs a curve, with the first and the last of every stage."""
    step = (data["T"] * data["stage_epochs"] / POINTS).apply(np.ceil).clip(lower=1)
    last = data.groupby([*STAGE, "quantity"])["epoch"].transform("max")
    keep = ((data["epoch"] - 1) % step == 0) | (data["epoch"] == last)
    return data[keep]


def _draw_panel(axes: np.ndarray, panel: pd.DataFrame, context: FigureContext) -> None:
    length, parts = int(panel["stage_epochs"].iloc[0]), int(panel["T"].iloc[0])
    for ax, (quantity, label) in zip(axes, QUANTITIES.items(), strict=True):
        ax.set_visible(True)
        rows = panel[panel["quantity"] == quantity]
        fit_axis([ax], rows)
        for stage in range(1, parts):
            ax.axvline(stage * length + 0.5, color="#999999", linewidth=0.7, zorder=1)
        methods = methods_in(rows, context)
        for method in methods:
            look, paleness = style.line_look(method, context), style.paleness(len(methods))
            _draw_curve(ax, rows[rows["method"] == method], look, paleness)
        ax.set_xlim(0, parts * length + 1)
        ax.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
        ax.grid(False, axis="x")
        ax.set_ylabel(label + (", log scale" if ax.get_yscale() == "log" else ""))
    axes[-1].set_xlabel(f"epoch ({length} a stage)" if parts > 1 else "epoch")
    axes[0].tick_params(labelbottom=False)


def _draw_curve(ax: Axes, curve: pd.DataFrame, look: dict[str, Any], paleness: float) -> None:
    """Draw each stage by itself: the jump between two stages is no training."""
    for _, stage in curve.groupby("t"):
        single = len(stage) == 1
        if not single:
            draw_band(ax, stage, "position", look["color"], paleness)
        ax.plot(
            stage["position"],
            stage["mean"],
            **look,
            linewidth=1.1,
            marker="o" if single else "",
        )


FIGURE = StudyFigure(
    title=TITLE,
    caption=(
        "Negative ELBO of the part, per image (its KL weighed as the epoch's minibatches weighed "
        "it, by kl_scale, β and the warm-up; without a KL for point estimates and β = 0) and its "
        "data term alone, for the smallest and the largest T. A curve that still falls when its "
        "stage ends has not reached a plateau: its method is judged before it was done. Mean over "
        "replicates; the band reaches from the smallest to the largest. A replicate that stopped "
        "early keeps its last value. Long curves are thinned; every epoch is in the training.csv "
        "beside each posterior."
    ),
    alt="Curves of the negative bound per image and of the training NLL over epochs, one line a "
    "method, stage after stage.",
    numbers=numbers,
    arrange=arrange,
    draw=draw,
    module=__name__,
    of="training",
)
