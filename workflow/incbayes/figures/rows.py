"""Which rows of the frames a figure shows, and in which order.

Knows the columns of the tidy frames; knows nothing of drawing.
"""

import pandas as pd

from incbayes.figures.context import FigureContext


def check_names(frame: pd.DataFrame, context: FigureContext) -> None:
    """Raise ValueError when `frame` names a method or experiment that the study does not."""
    for column, known in (("experiment", context.experiments), ("method", context.methods)):
        unknown = sorted(set(frame.get(column, ())) - set(known))
        if unknown:
            raise ValueError(
                f"{column} {unknown[0]!r} has results but study {context.study!r} has only "
                f"{', '.join(known)}: collect the results of this study alone"
            )


def select_metric(records: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Return the records of one metric of the predictive mean on the test set."""
    return records[
        (records["metric"] == metric)
        & (records["split"] == "test")
        & (records["predictor"] == "predictive")
    ]


def final_stage(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the last stage, when all T parts have been seen."""
    return frame[frame["t"] == frame["T"]]


def most_parts(frame: pd.DataFrame) -> pd.DataFrame:
    """Return, of each experiment, the rows of its largest T."""
    return frame[frame["T"] == frame.groupby("experiment")["T"].transform("max")]


def extreme_parts(frame: pd.DataFrame) -> pd.DataFrame:
    """Return, of each experiment, the rows of its smallest and of its largest T."""
    parts = frame.groupby("experiment")["T"]
    return frame[(frame["T"] == parts.transform("min")) | (frame["T"] == parts.transform("max"))]


def last_epochs(training: pd.DataFrame) -> pd.DataFrame:
    """Return the row of the last epoch of each replicate of each stage."""
    stage = ["experiment", "method", "T", "t", "replicate"]
    return training.loc[training.groupby(stage)["epoch"].idxmax()]


def in_order(frame: pd.DataFrame, context: FigureContext, *then: str) -> pd.DataFrame:
    """Return the rows by experiment and method in the study's order, then by columns `then`."""
    ranks = pd.DataFrame(
        {
            "experiment": frame["experiment"].map(list(context.experiments).index),
            "method": frame["method"].map(list(context.methods).index),
            **{column: frame[column] for column in then},
        }
    ).reset_index(drop=True)
    # By position, as labels repeat where frames were put together.
    return frame.iloc[ranks.sort_values(list(ranks.columns), kind="stable").index]


def methods_in(frame: pd.DataFrame, context: FigureContext) -> list[str]:
    """Return the methods that have rows, in the study's order."""
    present = set(frame["method"])
    return [method for method in context.methods if method in present]


def experiments_in(frame: pd.DataFrame, context: FigureContext) -> list[str]:
    """Return the experiments that have rows, in the study's order."""
    present = set(frame["experiment"])
    return [experiment for experiment in context.experiments if experiment in present]
