"""Accuracy and NLL as the test images are changed step by step, after the last stage."""

import pandas as pd
from matplotlib.figure import Figure

from incbayes.figures.base import StudyFigure
from incbayes.figures.context import FigureContext
from incbayes.figures.curves import Across, Band, Quantity, curves_page
from incbayes.figures.intervals import with_differences
from incbayes.figures.rows import experiments_in, final_stage, in_order, most_parts, select_metric
from incbayes.kinds import METRICS
from incbayes.results.frames import Frames
from incbayes.results.intervals import mean_interval
from incbayes.study.shifts import CORRUPTED, SHIFTED

TITLE = "Test images that are changed step by step"
DRAWN = {name: Quantity.of(METRICS[name], METRICS[name].title) for name in ("accuracy", "nll")}
CHAIN = ["experiment", "method", "T"]
BY = [*CHAIN, "metric", "shift", "level"]


def numbers(frames: Frames, context: FigureContext) -> pd.DataFrame:
    """Return accuracy and NLL of the final stages at each level, beside the summary; 0 is none."""
    records = final_stage(frames.records[frames.records["predictor"] == "predictive"])
    found = []
    for name in DRAWN:
        of_metric = records[records["metric"] == name].dropna(subset="value")
        parsed = of_metric["split"].str.extract(f"^{SHIFTED.pattern}$")
        shifted = of_metric.assign(shift=parsed[0], level=pd.to_numeric(parsed[1]))
        shifted = shifted.dropna(subset="shift")
        shifted = pd.concat([shifted, _means_over_corruptions(shifted)], ignore_index=True)
        plain = select_metric(of_metric, name).drop(columns="split")
        sets = shifted[[*CHAIN, "shift"]].drop_duplicates()
        plain = plain.merge(sets, on=CHAIN).assign(level=0)
        both = pd.concat([plain, shifted], ignore_index=True) if len(shifted) else shifted
        chosen = in_order(both, context, "T", "shift", "level", "replicate")
        kept = chosen[[*CHAIN, "shift", "level", "replicate"]]
        value = METRICS[name].factor * chosen["value"]
        found.append(kept.assign(metric=name, unit=METRICS[name].unit, value=value))
    data = pd.concat(found, ignore_index=True).astype({"level": "int64"})
    return data.merge(mean_interval(data, BY), on=BY, how="left")


def _means_over_corruptions(shifted: pd.DataFrame) -> pd.DataFrame:
    """Return what is the mean over the corruptions of a shift, at each level of each replicate."""
    set_of = shifted["shift"].str.extract(f"^{CORRUPTED.pattern}$")[0]
    found = shifted.assign(shift=set_of).dropna(subset="shift")
    alike = [column for column in found.columns if column not in ("split", "value")]
    return found.groupby(alike, sort=False, dropna=False, as_index=False)["value"].mean()


def arrange(data: pd.DataFrame) -> pd.DataFrame:
    """Return the largest T of each experiment, with differences to its first method."""
    if data.empty:
        return data
    return with_differences(most_parts(data), ["T", "metric", "shift", "level"])


def lacking(data: pd.DataFrame, context: FigureContext) -> str:
    """Return why there is nothing to draw, or an empty text."""
    return "" if len(data) else "No experiment changes its test images; see the key `shifts`."


def draw(data: pd.DataFrame, context: FigureContext) -> Figure:
    """Return the figure of its numbers."""
    data = data.assign(row=data["metric"], x=data["level"].astype(float))
    bands = []
    for experiment in experiments_in(data, context):
        of_one = data[data["experiment"] == experiment]
        shifts = list(dict.fromkeys(of_one["shift"]))
        for shift in shifts:
            if CORRUPTED.fullmatch(shift):
                continue  # of which the mean is drawn
            rows = of_one[of_one["shift"] == shift]
            words = shift.replace("_", " ")
            if several := sum(other.startswith(f"{shift}.") for other in shifts):
                words += f", mean over {several} corruption{'s' * (several > 1)}"
            title = f"{context.titles[experiment]}, T = {int(rows['T'].max())}: {words}"
            bands.append(Band(title, rows, DRAWN, Across("level; 0 is the test images")))
    return curves_page(context, TITLE, bands)


FIGURE = StudyFigure(
    title=TITLE,
    caption=(
        "What is left when test images are changed step by step while their class stays what it "
        "is: accuracy and negative log-likelihood of the predictive mean after the last stage of "
        "the largest T. A level is the degrees of a rotation, of the other shifts the place of the "
        "strength, from 1; docs/config.md has the strengths. Of corrupted copies in files the mean "
        "over the corruptions is drawn; each of them is in the numbers of the figure. At 0 stand "
        "the test images as they are. Left: means over replicates. Right: the difference to the "
        "experiment's first method at the same level, paired on replicates, with its 95 % "
        "t-interval, methods beside each other. A method that knows what it cannot see loses "
        "accuracy without NLL that runs away. Of fewer than three replicates each is drawn, "
        "hollow, without an interval; an interval that goes on beyond its axis ends in an "
        "arrowhead."
    ),
    alt="Lines of test accuracy and of test NLL over the levels of each shift, one line a method, "
    "and of the paired differences to the first method with intervals. The records have all "
    "numbers.",
    numbers=numbers,
    arrange=arrange,
    lacking=lacking,
    draw=draw,
    module=__name__,
)
