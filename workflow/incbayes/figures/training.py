"""The bound and the NLL over the epochs of all stages: was a plateau reached before the next part?

Draws the smallest and the largest T of each experiment; computes the bound per image.
"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import MaxNLocator, MultipleLocator

from incbayes.figures import style, texts
from incbayes.figures.base import StudyFigure
from incbayes.figures.blocks import Block, blocks_page
from incbayes.figures.context import FigureContext
from incbayes.figures.lines import label_log_axis
from incbayes.figures.rows import experiments_in, extreme_parts, in_order, last_epochs, methods_in
from incbayes.figures.scales import choose_scale, view_limits
from incbayes.results.frames import Frames

TITLE = "Training: bound and NLL over the stages"
QUANTITIES = {"negative_elbo": "−ELBO per image", "nll": "training NLL per image"}
CHAIN = ["experiment", "method", "T"]
STAGE = [*CHAIN, "t"]
ROW = 1.75
"""Inches of a row of panels."""

POINTS = 240
"""About as many epochs are kept a chain; longer curves are thinned evenly."""

MEAN = -1
"""In place of the number of a replicate: the mean of all, where theirs were not kept."""

FORMER = ("mean", "low", "high")
"""Columns of numbers that were published before those of each replicate were."""


def numbers(frames: Frames, context: FigureContext) -> pd.DataFrame:
    """Return the curve of every replicate: one row a chain, stage, quantity, replicate and epoch.

    A replicate that stopped early keeps its last value.
    """
    training = frames.training
    chosen = _thinned(_held(training.assign(negative_elbo=-training["elbo"] / training["images"])))
    chosen = in_order(chosen, context, "T", "t", "replicate", "epoch")
    chosen["n"] = chosen.groupby(STAGE)["replicate"].transform("nunique")
    columns = [*STAGE, "replicate", "epoch", "n"]
    return pd.concat(
        [
            chosen[columns].assign(quantity=quantity, value=chosen[quantity])
            for quantity in QUANTITIES
        ],
        ignore_index=True,
    )


def arrange(data: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the smallest and the largest T, with their places on the axis.

    `position` counts stages: a method's own epochs fill each of its stages, however few they are.
    """
    shown = _in_present_form(extreme_parts(data))
    epochs = shown.groupby(STAGE)["epoch"].transform("max")
    return shown.assign(stage_epochs=epochs, position=shown["t"] - 1 + shown["epoch"] / epochs)


def lacking(data: pd.DataFrame, context: FigureContext) -> str:
    """Return why there is nothing to draw, or an empty text."""
    return "" if len(data) else "No training curves have been collected."


def draw(data: pd.DataFrame, context: FigureContext) -> Figure:
    """Return the figure of its numbers."""
    experiments = experiments_in(data, context)
    panels = [data[data["experiment"] == experiment] for experiment in experiments]
    blocks = []
    for experiment, panel in zip(experiments, panels, strict=True):
        methods = methods_in(panel, context)
        legend = [style.method_handle(method, context) for method in methods]
        for handle in legend:
            handle.set_marker("")
            handle.set_linewidth(2.2)
        height = 2 * style.taller(ROW, len(methods)) + 0.2
        blocks.append(Block(context.titles[experiment], height, legend))
    figure, bands = blocks_page(context, TITLE, blocks, notes=_notes(data))
    for band, panel in zip(bands, panels, strict=True):
        _draw_experiment(band, panel, context)
    return figure


def _notes(data: pd.DataFrame) -> list[str]:
    notes = []
    if (data["T"] > 1).any():
        notes.append("Vertical lines: a new part arrives and the optimiser starts afresh.")
    former = (data["replicate"] == MEAN).any()
    if former:
        notes.append(
            "A line without thin ones is a mean over replicates whose own curves were not kept."
        )
    return notes


def _in_present_form(data: pd.DataFrame) -> pd.DataFrame:
    """Return `data` with rows that were published as means over replicates in the present form."""
    if FORMER[0] not in data:
        return data
    data = data.reset_index(drop=True)
    if "value" not in data:
        data = data.assign(value=np.nan, replicate=MEAN)
    data = data.assign(
        value=data["value"].fillna(data["mean"]),
        replicate=data["replicate"].fillna(MEAN).astype(int),
    )
    return data.drop(columns=list(FORMER))


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
    """Return about `POINTS` epochs a chain, with the first and the last of every stage."""
    last = data.groupby(STAGE)["epoch"].transform("max")
    step = (data["T"] * last / POINTS).apply(np.ceil).clip(lower=1)
    return data[((data["epoch"] - 1) % step == 0) | (data["epoch"] == last)]


def _draw_experiment(band: SubFigure, panel: pd.DataFrame, context: FigureContext) -> None:
    """Draw a column a T and a row a quantity; the panels of a row share their axis."""
    counts = sorted(panel["T"].unique())
    grid = band.subplots(len(QUANTITIES), len(counts), squeeze=False, sharey="row")
    for axes, (quantity, label) in zip(grid, QUANTITIES.items(), strict=True):
        rows = panel[panel["quantity"] == quantity]
        medians = _medians(rows)
        scale = choose_scale(medians["value"])
        limits = view_limits(medians["value"], rows["value"], rows["value"], scale=scale)
        axes[0].set_yscale(scale)
        axes[0].set_ylim(limits)
        if scale == "log":
            label_log_axis(axes[0].yaxis, limits)
        words = f"{label} (nats{', log' if scale == 'log' else ''})"
        axes[0].set_ylabel(texts.wrap(words, ROW - 0.4, style.LEGEND_SIZE), fontsize=8.5)
        for ax, parts in zip(axes, counts, strict=True):
            chosen = (found[found["T"] == parts] for found in (rows, medians))
            _draw_panel(ax, *chosen, context)
            _label_stages(ax, int(parts))
    for ax in grid[0]:
        ax.tick_params(labelbottom=False)
        ax.set_xlabel("")


def _medians(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the median over replicates of each epoch."""
    by = [*STAGE, "epoch", "position"]
    return rows.groupby(by, sort=False)["value"].median().reset_index()


def _draw_panel(
    ax: Axes, rows: pd.DataFrame, medians: pd.DataFrame, context: FigureContext
) -> None:
    """Draw each stage by itself, as the jump between two is no training."""
    methods = methods_in(rows, context)
    for method in methods:
        look = style.line_look(method, context)
        of_method = rows[(rows["method"] == method) & (rows["replicate"] != MEAN)]
        for _, line in of_method.groupby(["t", "replicate"]):
            ax.plot(
                line["position"], line["value"], color=look["color"], linewidth=0.5,
                alpha=0.45 * style.paleness(len(methods)), gid="replicate",
            )  # fmt: skip
        for _, line in medians[medians["method"] == method].groupby("t"):
            marker = "o" if len(line) == 1 else ""
            ax.plot(
                line["position"], line["value"], **look, linewidth=1.5, marker=marker, gid="median"
            )


def _label_stages(ax: Axes, parts: int) -> None:
    """Count the stages; of T = 1, shares of the one."""
    ax.grid(False, axis="x")
    for stage in range(1, parts):
        ax.axvline(stage, color="#BBBBBB", linewidth=0.6, zorder=1)
    ax.set_xlim(0, parts)
    if parts == 1:
        ax.xaxis.set_major_locator(MultipleLocator(0.5))
    else:
        ax.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
    ax.set_xlabel(f"stages done, T = {parts}" if parts > 1 else "share of the stage, T = 1")


FIGURE = StudyFigure(
    title=TITLE,
    caption=(
        "Negative ELBO of the part, per image (its KL weighed as the epoch's minibatches weighed "
        "it, by kl_scale, β and the warm-up; without a KL for point estimates and β = 0) and its "
        "data term alone, for the smallest and the largest T. Every stage is equally wide: the "
        "method's own epochs fill it, be they 5 or 30. A curve that still falls when its "
        "stage ends has not reached a plateau: its method is judged before it was done. Thick, "
        "the median over replicates; thin, each replicate. The axis holds the medians, and "
        "replicates as far as these do not hide them. A replicate that stopped "
        "early keeps its last value. Long curves are thinned; every epoch is in the training.csv "
        "beside each posterior."
    ),
    alt="Curves of the negative bound per image and of the training NLL over the share of each "
    "stage, a thick line a method for the median and a thin one a replicate.",
    numbers=numbers,
    arrange=arrange,
    lacking=lacking,
    draw=draw,
    module=__name__,
    of="training",
)
