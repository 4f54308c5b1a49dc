"""Does uncertainty fall as parts arrive? Of test images, and of outliers, after every stage."""

import pandas as pd
from matplotlib.figure import Figure

from incbayes.figures.base import StudyFigure
from incbayes.figures.context import FigureContext
from incbayes.figures.curves import Across, Band, Quantity, curves_page
from incbayes.figures.outliers import set_name
from incbayes.figures.rows import experiments_in, in_order, most_parts
from incbayes.kinds import METRICS
from incbayes.results.frames import Frames
from incbayes.results.intervals import mean_interval
from incbayes.study.outliers import PREFIX

TITLE = "Uncertainty over the stages"
DRAWN = {name: METRICS[name] for name in ("entropy", "mutual_information")}
BY = ["experiment", "method", "T", "t", "metric", "split"]


def numbers(frames: Frames, context: FigureContext) -> pd.DataFrame:
    """Return the mean uncertainty of every stage, of test images and outliers, with its summary."""
    records = frames.records[frames.records["predictor"] == "predictive"]
    inside = (records["split"] == "test") | records["split"].str.startswith(PREFIX)
    chosen = records[inside & records["metric"].isin(DRAWN)].dropna(subset="value")
    chosen = in_order(chosen, context, "T", "t", "split", "metric", "replicate")
    data = chosen[[*BY, "replicate", "value"]].assign(unit="nats")
    return data.merge(mean_interval(data, BY), on=BY, how="left")


def arrange(data: pd.DataFrame) -> pd.DataFrame:
    """Return the largest T of each experiment."""
    return most_parts(data) if len(data) else data


def lacking(data: pd.DataFrame, context: FigureContext) -> str:
    """Return why there is nothing to draw, or an empty text."""
    if data.empty:
        return "No uncertainty has been evaluated on a test set."
    if (data["T"] == 1).all():
        return "Every experiment has one stage."
    return ""


def draw(data: pd.DataFrame, context: FigureContext) -> Figure:
    """Return the figure of its numbers."""
    data = data[data["T"] > 1]
    bands = []
    for experiment in experiments_in(data, context):
        rows = data[data["experiment"] == experiment]
        rows = rows.assign(row=rows["split"] + " " + rows["metric"], x=rows["t"].astype(float))
        drawn = {name: metric for name, metric in DRAWN.items() if name in set(rows["metric"])}
        splits = sorted(set(rows["split"]), key=lambda split: (split != "test", split))
        shown = {
            f"{split} {name}": Quantity.of(metric, f"{metric.title}, {set_name(split)}", name)
            for split in splits
            for name, metric in drawn.items()
        }
        across = Across(f"stage t of T = {int(rows['T'].max())}")
        bands.append(Band(context.titles[experiment], rows, shown, across, len(drawn)))
    return curves_page(context, TITLE, bands)


FIGURE = StudyFigure(
    title=TITLE,
    caption=(
        "Whether uncertainty falls as parts arrive: the mean over the images of the entropy of "
        "the predictive mean (left) and of the mutual information of label and weights (right), "
        "which is the part of the entropy that more data can take away and which one network does "
        "not have. First row: test images; below, where the experiment has them, outliers, on the "
        "same scale. Marks are means over replicates, lines their 95 % t-intervals, methods beside "
        "each other; of fewer than three replicates each is drawn, hollow, without an interval. "
        "Uncertainty is to fall on the test images and to stay high on outliers. Few draws make "
        "the mutual information smaller: where a study has fewer for earlier stages "
        "(evaluation.earlier_samples), the last stage cannot be compared with them."
    ),
    alt="Lines of entropy and of mutual information over the stages, one line a method, for test "
    "images and for each set of outliers. The records have all numbers.",
    numbers=numbers,
    arrange=arrange,
    lacking=lacking,
    draw=draw,
    module=__name__,
)
