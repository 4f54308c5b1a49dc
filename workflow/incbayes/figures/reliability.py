"""Reliability diagram: does confidence p come true in a share p of the cases?

Draws the calibration bins of the last stage, pooled over replicates, for the smallest and the
largest T; computes the ECE from the same bins, per replicate.
"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

from incbayes.figures import style, texts
from incbayes.figures.base import StudyFigure
from incbayes.figures.context import FigureContext
from incbayes.figures.grids import panels_by_parts
from incbayes.figures.lines import label_log_axis
from incbayes.figures.rows import experiments_in, extreme_parts, final_stage, in_order, methods_in
from incbayes.results.frames import Frames
from incbayes.results.intervals import mean_interval

TITLE = "Reliability of the predictive probabilities"
GROUP = ["experiment", "method", "T"]
FEW = 20
"""Below so many images the accuracy in a bin is noise."""

BESIDES = 0.95
"""Inches of an experiment's panels that its title, ticks and axis labels take."""

SPACING = 0.4
"""Between two entries of the legend, in the size of its text."""

LABEL = 2.3
"""Inches of a label on one line of the legend."""


def numbers(frames: Frames, context: FigureContext) -> pd.DataFrame:
    """Return the bins pooled over replicates, each beside the ECE of its method.

    One row an experiment, method, T and bin.
    """
    calibration = frames.calibration
    chosen = calibration[
        (calibration["split"] == "test") & (calibration["predictor"] == "predictive")
    ]
    chosen = in_order(final_stage(chosen), context, "T", "replicate", "bin")
    weights = chosen["count"]
    sums = chosen.assign(
        confidence=weights * chosen["confidence"].fillna(0.0),
        accuracy=weights * chosen["accuracy"].fillna(0.0),
    )
    bins = (
        sums.groupby([*GROUP, "bin", "lower", "upper"], sort=False, observed=True)[
            ["count", "confidence", "accuracy"]
        ]
        .sum()
        .reset_index()
    )
    counts = bins["count"].where(bins["count"] > 0)
    bins["confidence"] /= counts
    bins["accuracy"] /= counts
    bins["share"] = bins["count"] / bins.groupby(GROUP)["count"].transform("sum")
    return bins.merge(_calibration_error(chosen), on=GROUP, how="left")


def draw(data: pd.DataFrame, context: FigureContext) -> Figure:
    """Return the figure of its numbers."""
    if data.empty:
        reason = "No calibration bins have been collected."
        return style.nothing(context, TITLE, f"{reason} {context.left_out('confidence')}".strip())
    experiments = experiments_in(data, context)
    heights = [
        height
        for experiment in experiments
        for height in (3.1, 0.9, _legend_height(data[data["experiment"] == experiment], context))
    ]
    columns = int(data.groupby("experiment")["T"].nunique().max())
    width = style.WIDTH if columns > 1 else 0.62 * style.WIDTH
    panels, more = panels_by_parts(data, context, width)
    page = style.page(
        context,
        TITLE,
        sum(heights) + (BESIDES + more) * len(experiments),
        width=width,
        notes=[
            "Area of a marker: share of the images in the bin. Hollow and not joined: fewer than "
            f"{FEW} images in the bin, over all replicates.",
            context.left_out("confidence"),
        ],
    )
    grid = page.body.subplots(3 * len(experiments), columns, squeeze=False, height_ratios=heights)
    for ax in grid.flat:
        ax.set_axis_off()
    for panel in panels:
        axes = grid[3 * panel.row : 3 * panel.row + 3, panel.column]
        axes[0].set_title(panel.title)
        _draw_panel(axes, panel.data, context)
    return page.figure


def _calibration_error(bins: pd.DataFrame) -> pd.DataFrame:
    """Return the ECE per method: mean over replicates of Σ share · |accuracy - confidence|."""
    gaps = bins.assign(
        gap=bins["count"] * (bins["accuracy"] - bins["confidence"]).abs().fillna(0.0)
    )
    sums = gaps.groupby([*GROUP, "replicate"], sort=False)[["gap", "count"]].sum().reset_index()
    sums["ece"] = sums["gap"] / sums["count"]
    images = sums.groupby(GROUP, sort=False)["count"].max().rename("images").reset_index()
    summary = mean_interval(sums, GROUP, "ece").rename(
        columns={"mean": "ece", "half_width": "ece_half_width", "n": "replicates"}
    )
    return summary.drop(columns=["low", "high"]).merge(images, on=GROUP)


def _draw_panel(axes: np.ndarray, panel: pd.DataFrame, context: FigureContext) -> None:
    diagram, histogram, legend = axes
    for ax in (diagram, histogram):
        ax.set_axis_on()
        ax.set_xlim(-0.02, 1.02)
    diagram.plot([0, 1], [0, 1], color="#888888", linestyle="--", linewidth=1)
    handles = []
    for method in methods_in(panel, context):
        rows = panel[panel["method"] == method]
        handles.append(_draw_method(diagram, histogram, rows, method, context))
    diagram.set_ylim(-0.02, 1.02)
    diagram.set_ylabel("accuracy in the bin")
    diagram.tick_params(labelbottom=False)
    limits = (panel.loc[panel["count"] > 0, "share"].min() / 2, 1.5)
    histogram.set_yscale("log")
    histogram.set_ylim(limits)
    label_log_axis(histogram.yaxis, limits)
    histogram.set_xlabel("confidence (largest predicted probability)")
    histogram.set_ylabel("share\n(log)")
    entries = legend.legend(
        handles=handles,
        title=_counts(panel),
        title_fontsize=8.5,
        alignment="left",
        loc="upper left",
        borderpad=0,
        borderaxespad=0,
        labelspacing=SPACING,
    )
    entries.set_in_layout(False)  # its height is reserved, its width must not shrink the axes


def _legend_height(panel: pd.DataFrame, context: FigureContext) -> float:
    """Return the inches that a legend of the methods in `panel` takes."""
    labels = [_label(method, context) for method in methods_in(panel, context)]
    size = style.LEGEND_SIZE
    heights = [texts.height(label.count("\n") + 1, size) for label in ("title", *labels)]
    return sum(heights) + len(heights) * SPACING * size / texts.POINTS + 0.15


def _label(method: str, context: FigureContext) -> str:
    return texts.wrap(context.labels[method], LABEL, style.LEGEND_SIZE)


def _counts(panel: pd.DataFrame) -> str:
    """Return the legend's title: what the numbers are means of."""
    images, replicates = f"{panel['images'].max():,}", panel["replicates"].max()
    images = images.replace(",", "\u2009")
    if replicates == 1:
        return f"ECE in % ({images} images, one replicate)"
    return f"ECE in %, mean ± 95 % ({images} images × {replicates})"


def _draw_method(
    diagram: Axes, histogram: Axes, rows: pd.DataFrame, method: str, context: FigureContext
):
    """Draw a method's bins and return its legend entry, with ECE and number of images."""
    filled = rows[rows["count"] > 0]
    colour, look = style.colour(method, context), style.line_look(method, context)
    sure = filled["count"] >= FEW
    joined = filled[["confidence", "accuracy"]].where(sure)
    diagram.plot(joined["confidence"], joined["accuracy"], **look, linewidth=1.1)
    diagram.scatter(
        filled["confidence"],
        filled["accuracy"],
        s=10 + 80 * filled["share"],
        facecolors=[to_rgba(colour, 0.85) if enough else "white" for enough in sure],
        edgecolors=colour,
        marker=style.marker(method, context),
        linewidth=0.7,
        zorder=3,
    )
    edges = np.append(rows["lower"].to_numpy(), rows["upper"].iloc[-1])
    histogram.stairs(rows["share"], edges, **look, linewidth=1.1, baseline=None)
    first = rows.iloc[0]
    interval = f" ± {100 * first['ece_half_width']:.2f}" if first["replicates"] > 1 else ""
    handle = style.method_handle(method, context)
    handle.set_label(f"{_label(method, context)}: {100 * first['ece']:.2f}{interval}")
    return handle


FIGURE = StudyFigure(
    title=TITLE,
    caption=(
        "Test images after the last stage, binned by the largest probability of the predictive "
        "mean, each bin from its lower edge up to but without its upper one, the last with 1; bins "
        "are pooled over replicates. On the dashed diagonal confidence equals "
        "accuracy; below it the method is overconfident. The strip shows the share of images in "
        "each bin: where they are few, accuracy is noise. The legend gives the expected "
        "calibration error from these bins: mean over replicates ± 95 % half-width."
    ),
    alt="Accuracy against confidence per method, with the share of images in each bin below. "
    "Calibration errors are in the summary table.",
    numbers=numbers,
    arrange=extreme_parts,
    draw=draw,
    module=__name__,
    of="calibration",
)
