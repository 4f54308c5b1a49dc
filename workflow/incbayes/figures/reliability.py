"""Reliability diagram: does confidence p come true in a share p of the cases?

Draws the calibration bins of the last stage, pooled over replicates, for the smallest and the
largest T; computes the ECE from the same bins, per replicate.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from incbayes.figures import style, texts
from incbayes.figures.base import StudyFigure
from incbayes.figures.blocks import Block, blocks_page
from incbayes.figures.context import FigureContext
from incbayes.figures.intervals import span
from incbayes.figures.lines import label_log_axis
from incbayes.figures.rows import experiments_in, extreme_parts, final_stage, in_order, methods_in
from incbayes.results.frames import Frames
from incbayes.results.intervals import FEWEST, mean_interval

TITLE = "Reliability of the predictive probabilities"
GROUP = ["experiment", "method", "T"]
FEW = 50
"""Below so many images the accuracy in a bin is noise: its standard error may be 7 points."""

FADED = 0.3
"""Opacity of such bins."""

HEIGHTS = (2.35, 1.35)
"""Inches of a diagram and of the counts below it, with their labels."""

SPACING = 0.4
"""Between two entries of the legend, in the size of its text."""

LABEL, LEGEND = 1.35, 1.7
"""Inches of a label on one line of the legend, and of the legend."""


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


def lacking(data: pd.DataFrame, context: FigureContext) -> str:
    """Return why there is nothing to draw, or an empty text."""
    if len(data):
        return ""
    return f"No calibration bins have been collected. {context.left_out('confidence')}".strip()


def draw(data: pd.DataFrame, context: FigureContext) -> Figure:
    """Return the figure of its numbers."""
    experiments = experiments_in(data, context)
    panels = [data[data["experiment"] == experiment] for experiment in experiments]
    blocks = [
        Block(context.titles[experiment], _height(panel, context))
        for experiment, panel in zip(experiments, panels, strict=True)
    ]
    notes = [
        f"Faded, hollow and not joined: fewer than {FEW} images in the bin, over all replicates "
        "(dotted below).",
        context.left_out("confidence"),
        context.scored_apart(data),
    ]
    figure, bands = blocks_page(context, TITLE, blocks, notes=notes)
    for band, panel in zip(bands, panels, strict=True):
        _draw_experiment(band, panel, context)
    return figure


def _height(panel: pd.DataFrame, context: FigureContext) -> float:
    """Return the inches of an experiment, whose legends are beside one T and below two."""
    legend = _legend_height(panel, context)
    return sum(HEIGHTS) + legend if panel["T"].nunique() > 1 else max(sum(HEIGHTS), legend)


def _draw_experiment(band: SubFigure, panel: pd.DataFrame, context: FigureContext) -> None:
    """Draw a column a T: the diagram, the counts below it, and the legend below both or beside."""
    counts = sorted(panel["T"].unique())
    below = len(counts) > 1
    heights = [*HEIGHTS, *([_legend_height(panel, context)] if below else [])]
    grid = band.add_gridspec(len(heights), 2, height_ratios=heights)
    for column, parts in enumerate(counts):
        legend = grid[2, column] if below else grid[:, 1]
        places = (grid[0, column], grid[1, column], legend)
        axes = [band.add_subplot(place) for place in places]
        axes[0].set_title(f"T = {parts}", fontsize=8.5, fontweight="normal")
        axes[2].set_axis_off()
        _draw_panel(axes, panel[panel["T"] == parts], context)


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


def _draw_panel(axes: Sequence[Axes], panel: pd.DataFrame, context: FigureContext) -> None:
    diagram, histogram, legend = axes
    for ax in (diagram, histogram):
        ax.set_xlim(-0.02, 1.02)
    diagram.plot([0, 1], [0, 1], color="#888888", linestyle="--", linewidth=1)
    handles = []
    for method in methods_in(panel, context):
        rows = panel[panel["method"] == method]
        handles.append(_draw_method(diagram, histogram, rows, method, context))
    diagram.set_ylim(-0.02, 1.02)
    diagram.set_ylabel("accuracy in the bin")
    diagram.tick_params(labelbottom=False)
    limits = (0.7, 1.5 * panel["count"].max())
    histogram.set_yscale("log")
    histogram.set_ylim(limits)
    label_log_axis(histogram.yaxis, limits)
    histogram.axhline(FEW, color="#888888", linestyle=":", linewidth=1)
    histogram.set_xlabel("confidence")
    histogram.set_ylabel("images\n(log)")
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
    labels = [_label(method, context) + "\n" for method in methods_in(panel, context)]
    size = style.LEGEND_SIZE
    heights = [
        texts.height(label.count("\n") + 1, size) for label in ("at most\nthree\nlines", *labels)
    ]
    return sum(heights) + len(heights) * SPACING * size / texts.POINTS + 0.15


def _label(method: str, context: FigureContext) -> str:
    return texts.wrap(context.labels[method], LABEL, style.LEGEND_SIZE)


def _counts(panel: pd.DataFrame) -> str:
    """Return the legend's title: what the numbers are means of."""
    images, replicates = span(panel["images"]), panel["replicates"]
    if replicates.max() == 1:
        return f"ECE in %\n({images} images,\none replicate)"
    interval = " and 95 % interval" if replicates.max() >= FEWEST else ""
    words = f"ECE in %: mean{interval} ({images} images × {span(replicates)})"
    return texts.wrap(words, LEGEND, style.LEGEND_SIZE)


def _draw_method(
    diagram: Axes, histogram: Axes, rows: pd.DataFrame, method: str, context: FigureContext
):
    """Draw a method's bins and return its legend entry, with ECE and number of images."""
    filled = rows[rows["count"] > 0]
    colour, look = style.colour(method, context), style.line_look(method, context)
    sure = filled["count"] >= FEW
    joined = filled[["confidence", "accuracy"]].where(sure)
    diagram.plot(joined["confidence"], joined["accuracy"], **look, linewidth=1.1)
    for bins, face, opacity in (
        (filled[sure], colour, 0.85),
        (filled[~sure], "white", FADED),
    ):
        diagram.scatter(
            bins["confidence"],
            bins["accuracy"],
            s=18,
            facecolors=face,
            edgecolors=colour,
            alpha=opacity,
            marker=style.marker(method, context),
            linewidth=0.8,
            zorder=3,
        )
    edges = np.append(rows["lower"].to_numpy(), rows["upper"].iloc[-1])
    histogram.stairs(rows["count"], edges, **look, linewidth=1.1, baseline=None)
    first = rows.iloc[0]
    handle = style.method_handle(method, context)
    handle.set_label(f"{_label(method, context)}\n{_error(first)}")
    return handle


def _error(row: pd.Series) -> str:
    """Return the ECE in %, with the part of its interval that an ECE can be in."""
    text = f"{100 * row['ece']:.2f}"
    if row["replicates"] < FEWEST:
        return text
    low, high = (
        100 * min(max(row["ece"] + sign * row["ece_half_width"], 0.0), 1.0) for sign in (-1, 1)
    )
    return f"{text} [{low:.2f}, {high:.2f}]"


FIGURE = StudyFigure(
    title=TITLE,
    caption=(
        "Test images after the last stage, binned by the largest probability of the predictive "
        "mean, each bin from its lower edge up to but without its upper one, the last with 1; bins "
        "are pooled over replicates. On the dashed diagonal confidence equals accuracy; below it "
        "the method is overconfident. The strip counts the images in each bin, of all "
        "replicates: where they are fewer than 50, accuracy is noise, and its mark is faded. "
        "The legend gives the expected calibration error from these bins: mean over replicates "
        "and, of three or more, 95 % t-interval as far as an error can reach."
    ),
    alt="Accuracy against confidence per method, with the number of images in each bin below. "
    "Calibration errors are in the summary table.",
    numbers=numbers,
    arrange=extreme_parts,
    lacking=lacking,
    draw=draw,
    module=__name__,
    of="calibration",
)
