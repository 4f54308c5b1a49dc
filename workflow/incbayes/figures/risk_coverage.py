"""Selective prediction: the error among the images that a method is most certain of.

The risk-coverage curve at the coverages that records have, after the last stage of each
experiment's largest T.
"""

import re

import pandas as pd
from matplotlib.figure import Figure

from incbayes.figures.base import StudyFigure
from incbayes.figures.context import FigureContext
from incbayes.figures.curves import Across, Band, Quantity, curves_page
from incbayes.figures.intervals import with_differences
from incbayes.figures.rows import (
    experiments_in,
    final_stage,
    in_order,
    most_parts,
    select_metric,
)
from incbayes.kinds import METRICS
from incbayes.results.frames import Frames
from incbayes.results.intervals import mean_interval

TITLE = "Risk and coverage"
COVERAGES = {
    **{name: int(name.rpartition("_")[2]) for name in METRICS if re.match(r"accuracy_at_", name)},
    "accuracy": 100,
}
"""Per cent of the images, by the metric that is the accuracy on them."""

BY = ["experiment", "method", "T", "coverage"]
ERROR = Quantity("test error on the most certain", "%", "points", (0.0, 100.0))


def numbers(frames: Frames, context: FigureContext) -> pd.DataFrame:
    """Return the error in % of the final stages at each coverage, beside its summary."""
    found = []
    for name, coverage in COVERAGES.items():
        chosen = final_stage(select_metric(frames.records, name)).dropna(subset="value")
        chosen = in_order(chosen, context, "T", "replicate")
        kept = chosen[["experiment", "method", "T", "replicate"]]
        found.append(
            kept.assign(coverage=coverage, unit="%", value=100.0 * (1.0 - chosen["value"]))
        )
    data = pd.concat(found, ignore_index=True)
    data = data[_have_all(data)].reset_index(drop=True)
    return data.merge(mean_interval(data, BY), on=BY, how="left")


def _have_all(data: pd.DataFrame) -> pd.Series:
    """Return which rows are of replicates that have every coverage of their chain.

    Those of before have the accuracy alone: a line is not to join means over different replicates.
    """
    chain = BY[:3]
    coverages = data.groupby([*chain, "replicate"])["coverage"].transform("nunique")
    most = data.groupby(chain)["coverage"].transform("nunique")
    return (coverages == most) & (most > 1)


def arrange(data: pd.DataFrame) -> pd.DataFrame:
    """Return the largest T of each experiment, with differences to its first method."""
    return with_differences(most_parts(data), ["T", "coverage"]) if len(data) else data


def lacking(data: pd.DataFrame, context: FigureContext) -> str:
    """Return why there is nothing to draw, or an empty text."""
    if len(data):
        return ""
    return f"No coverage has been evaluated. {context.left_out('accuracy')}".strip()


def draw(data: pd.DataFrame, context: FigureContext) -> Figure:
    """Return the figure of its numbers."""
    data = data.assign(row="error", x=data["coverage"])
    ticks = {float(coverage): str(coverage) for coverage in sorted(COVERAGES.values())}
    across = Across("coverage, % of the test images", ticks)
    bands = []
    for experiment in experiments_in(data, context):
        rows = data[data["experiment"] == experiment]
        title = f"{context.titles[experiment]}, T = {int(rows['T'].max())}"
        bands.append(Band(title, rows, {"error": ERROR}, across))
    return curves_page(context, TITLE, bands, [context.left_out("accuracy")])


FIGURE = StudyFigure(
    title=TITLE,
    caption=(
        "How wrong a method is where it is most certain: the error of the predictive mean on the "
        "given share of the test images, those whose largest probability is highest; at 100 % it "
        "is the error on all. Images of equal certainty count by the mean over their orders. "
        "After the last stage of the largest T that has the numbers, of the replicates that have "
        "all of them. Left: means over replicates. Right: the difference to the experiment's first "
        "method that has them, at the same coverage, paired on replicates, with its 95 % "
        "t-interval, methods beside each other. A line that falls to 0 on the left "
        "belongs to a method that knows when it does not know. Of fewer than three replicates "
        "each is drawn, hollow, without an interval; an interval that goes on beyond its axis "
        "ends in an arrowhead."
    ),
    alt="Lines of the test error against the share of images that are kept, one line a method, and "
    "of the paired differences to the first method with intervals. The area under them, AURC, is "
    "in the tables of results.",
    numbers=numbers,
    arrange=arrange,
    lacking=lacking,
    draw=draw,
    module=__name__,
)
