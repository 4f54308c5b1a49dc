"""How well a method's uncertainty tells outliers from test images, after the last stage."""

import pandas as pd
from matplotlib.figure import Figure

from incbayes.figures.base import StudyFigure
from incbayes.figures.context import FigureContext
from incbayes.figures.curves import Across, Band, Quantity, curves_page
from incbayes.figures.intervals import with_differences
from incbayes.figures.rows import experiments_in, final_stage, in_order, most_parts
from incbayes.kinds import METRICS
from incbayes.results.frames import Frames
from incbayes.results.intervals import mean_interval
from incbayes.study.outliers import PREFIX

TITLE = "Outliers told from test images by uncertainty"
DRAWN = {
    name: Quantity.of(METRICS[f"auroc_{name}"], words)
    for name, words in (
        ("entropy", "AUROC by entropy"),
        ("information", "AUROC by mutual information"),
    )
}
BY = ["experiment", "method", "T", "measure", "split"]
ALL = "Chance is 0.5."


def numbers(frames: Frames, context: FigureContext) -> pd.DataFrame:
    """Return the AUROC of the final stages for each outlier set, beside its summary."""
    records = final_stage(frames.records[frames.records["predictor"] == "predictive"])
    found = []
    for measure in DRAWN:
        chosen = records[records["metric"] == f"auroc_{measure}"].dropna(subset="value")
        chosen = in_order(chosen, context, "T", "split", "replicate")
        kept = chosen[["experiment", "method", "T", "split", "replicate", "value"]]
        found.append(kept.assign(measure=measure))
    data = pd.concat(found, ignore_index=True)
    return data.merge(mean_interval(data, BY), on=BY, how="left")


def arrange(data: pd.DataFrame) -> pd.DataFrame:
    """Return the largest T of each experiment, with differences to its first method."""
    if data.empty:
        return data
    first_of = ["experiment", "measure"]  # as one network has no mutual information
    return with_differences(most_parts(data), ["T", "measure", "split"], first_of)


def lacking(data: pd.DataFrame, context: FigureContext) -> str:
    """Return why there is nothing to draw, or an empty text."""
    return "" if len(data) else "No experiment has outliers; see the key `outliers`."


def draw(data: pd.DataFrame, context: FigureContext) -> Figure:
    """Return the figure of its numbers."""
    bands = []
    for experiment in experiments_in(data, context):
        rows = data[data["experiment"] == experiment]
        splits = list(dict.fromkeys(rows["split"]))
        ticks = {float(place): set_name(split) for place, split in enumerate(splits)}
        rows = rows.assign(row=rows["measure"], x=rows["split"].map(splits.index).astype(float))
        title = f"{context.titles[experiment]}, T = {int(rows['T'].max())}"
        shown = {name: of for name, of in DRAWN.items() if name in set(rows["measure"])}
        bands.append(Band(title, rows, shown, Across("outliers", ticks, joined=False)))
    return curves_page(context, TITLE, bands, [ALL])


def set_name(split: str) -> str:
    """Return the name of an outlier set as pictures show it, of the split that it is scored as."""
    return split.removeprefix(PREFIX).replace("_", " ")


FIGURE = StudyFigure(
    title=TITLE,
    caption=(
        "Whether a method is less certain of images that are none of its task: the area under the "
        "ROC curve that tells outliers from test images, i.e. the chance that an outlier is the "
        "more uncertain of a pair; 0.5 is chance, 1 is perfect, and below 0.5 outliers look more "
        "familiar than the task. By the entropy of the predictive mean, and by the mutual "
        "information of label and weights, which one network does not have. After the last stage "
        "of the largest T. Left: means over replicates. Right: the difference to the experiment's "
        "first method that has the number, paired on replicates, with its 95 % t-interval. Of "
        "fewer than three replicates each is drawn, hollow, without an interval; an interval that "
        "goes on beyond its axis ends in an arrowhead. The records also have the false positive "
        "rate at which 95 % of the test images are kept, FPR95."
    ),
    alt="Marks of the AUROC of each method on each set of outliers, by entropy and by mutual "
    "information, and of the paired differences to the first method with intervals. The records "
    "have all numbers.",
    numbers=numbers,
    arrange=arrange,
    lacking=lacking,
    draw=draw,
    module=__name__,
)
