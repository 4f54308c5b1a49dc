"""The numbers of the report as tables: means over replicates, and paired differences.

Knows the tidy records; the same frames are shown on the page and offered as CSV.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy import stats

from incbayes.figures.context import FigureContext, in_percent
from incbayes.figures.rows import final_stage, in_order
from incbayes.kinds import METRICS
from incbayes.metrics.base import Metric
from incbayes.metrics.named import metric_of
from incbayes.results.intervals import FEWEST, LEVEL, mean_interval
from incbayes.results.paired import paired_differences
from incbayes.study.chains import chosen_experiments
from incbayes.study.model import Study

MINUS = "\u2212"

NONE = "–"
"""In a cell of which there is no number."""

CELLS = "; where that leaves the metric’s range [low, high] within it; of two replicates both."
"""How a caption of intervals goes on."""


BETTER = {
    "greater": "More is better.",
    "less": "Less is better.",
    "nominal": "Best where it is what its name says.",
}
"""Which values of a metric are the better ones, by `Metric.better`."""

GROUP = ["experiment", "method", "T", "predictor"]

OF_TWO = float(stats.t.ppf(0.5 + LEVEL / 2, 1))
"""Half an interval of two values over half their distance."""


@dataclass(frozen=True)
class Table:
    """A table as text.

    Attributes:
        caption: what the numbers are.
        headings: of the columns; the first `keys` of them name the row.
        rows: cells, one string a column.
        keys: number of columns that name the row.
        frame: the same numbers in full precision, for the CSV.
        name: of the CSV.
        variant: what tells it from other tables of the same rows; empty where there are none.
    """

    caption: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    keys: int
    frame: pd.DataFrame
    name: str
    variant: str = ""


def replicate_counts(records: pd.DataFrame, study: Study) -> dict[str, set[int]]:
    """Return how many replicates the chains of each experiment that is run have.

    Of an experiment without records it is the number that the study states.
    """
    of_chains = records.groupby(["experiment", "method", "T"])["replicate"].nunique()
    counts = of_chains.groupby("experiment").agg(set).to_dict()
    return {
        name: counts.get(name, {described.replicates})
        for name, described in chosen_experiments(study).items()
    }


def summarise(records: pd.DataFrame, context: FigureContext) -> pd.DataFrame:
    """Return mean and 95 % interval over replicates of the test metrics at the last stage.

    Returns:
        One row per experiment, method, T, predictor and metric: those, `n`, `mean`,
        `half_width`, `low`, `high`, in the units of the records.
    """
    return mean_interval(_final(records, context), [*GROUP, "metric"])


def compare_methods(records: pd.DataFrame, context: FigureContext) -> pd.DataFrame:
    """Return each method minus the first of its experiment, at equal T, paired on replicates.

    Returns:
        As `summarise`, with `baseline`; `n` is the number of pairs. Only the predictive mean.
    """
    final = _final(records, context)
    final = final[final["predictor"] == "predictive"]
    present = final.groupby("experiment", sort=False)["method"].agg(set)
    first = {e: next(m for m in context.methods if m in found) for e, found in present.items()}
    final = final.assign(baseline=final["experiment"].map(first))
    base = final[final["method"] == final["baseline"]]
    others = final[final["method"] != final["baseline"]]
    return _paired(others, base, ["experiment", "T", "replicate", "metric"], ["baseline"])


def compare_parts(records: pd.DataFrame, context: FigureContext) -> pd.DataFrame:
    """Return each method in T parts minus itself at T = 1, paired on replicates.

    Returns:
        As `summarise`; only the predictive mean, and methods that also ran at T = 1.
    """
    final = _final(records, context)
    final = final[final["predictor"] == "predictive"]
    base, others = final[final["T"] == 1], final[final["T"] > 1]
    return _paired(others, base, ["experiment", "method", "replicate", "metric"], [])


def summary_table(
    summary: pd.DataFrame, experiment: str, predictor: str, context: FigureContext
) -> Table | None:
    """Return the table of one experiment and predictor, or None where there is nothing."""
    chosen = summary[(summary["experiment"] == experiment) & (summary["predictor"] == predictor)]
    what = (
        "predictive mean over posterior samples"
        if predictor == "predictive"
        else "the network at the posterior mean"
    )
    caption = (
        f"Test set after the last stage, {what}. "
        f"Mean ± 95 % half-width (Student t) over n replicates{CELLS}"
    )
    table = _table(chosen, caption, f"summary_{experiment}_{predictor}", context, signed=False)
    variant = "Predictive mean" if predictor == "predictive" else "Network at the mean"
    return table and replace(table, variant=variant)


def comparison_table(
    comparison: pd.DataFrame, experiment: str, context: FigureContext
) -> Table | None:
    """Return the differences of one experiment to its first method, or None."""
    chosen = comparison[comparison["experiment"] == experiment]
    if chosen.empty:
        return None
    baseline = context.methods[chosen["baseline"].iloc[0]]
    caption = (
        f"Difference to {baseline} at the same T, paired on n replicates; mean ± 95 % "
        f"half-width{CELLS} The intervals are not corrected for their number."
    )
    table = _table(chosen, caption, f"difference_{experiment}", context, signed=True)
    return table and replace(table, variant=f"Minus {baseline}")


def parts_table(comparison: pd.DataFrame, experiment: str, context: FigureContext) -> Table | None:
    """Return the differences of one experiment's methods to themselves at T = 1, or None."""
    chosen = comparison[comparison["experiment"] == experiment]
    caption = (
        "What it costs that data arrive in T parts: difference to the same method at T = 1, "
        f"paired on n replicates; mean ± 95 % half-width{CELLS}"
    )
    table = _table(chosen, caption, f"parts_{experiment}", context, signed=True)
    return table and replace(table, variant="In parts minus all at once")


def number(value: float, decimals: int, signed: bool = False) -> str:
    """Return a number as text with a true minus sign, and without one where it rounds to 0."""
    rounded = round(value, decimals) + 0.0
    text = f"{rounded:{'+' if signed else ''}.{decimals}f}"
    return text.replace("-", MINUS)


def _final(records: pd.DataFrame, context: FigureContext) -> pd.DataFrame:
    test = records[records["split"] == "test"]
    return in_order(final_stage(test), context, "T", "replicate")


def unit_of_records(metric: Metric) -> str:
    """Return the unit of a value as records have it, of which `factor` makes the written one."""
    if metric.factor == 1.0:
        return metric.unit
    whole = metric.factor == 100.0 and metric.unit == "%"
    return "fraction" if whole else f"{metric.factor:g} {metric.unit}".strip()


def column_meanings(summary: pd.DataFrame) -> list[tuple[str, str]]:
    """Return the heading of each metric of `summarise` and what it is, better values included."""
    return [
        (metric.heading, f"{metric.meaning} {BETTER[metric.better]}")
        for metric in _metrics_in(summary).values()
    ]


def _metrics_in(frame: pd.DataFrame) -> dict[str, Metric]:
    """Return how to write the metrics of `frame` in columns; one that is new here as it is."""
    present = sorted(set(frame["metric"]))
    known = [name for name in METRICS if name in present]
    found = {name: metric_of(name) for name in dict.fromkeys([*known, *present])}
    return {name: metric for name, metric in found.items() if metric.tabled}


def _paired(
    frame: pd.DataFrame, base: pd.DataFrame, on: list[str], extra: list[str]
) -> pd.DataFrame:
    """Return the interval of `frame` minus the row of `base` that agrees with it in `on`."""
    return mean_interval(paired_differences(frame, base, on), [*GROUP, *extra, "metric"])


def _table(
    chosen: pd.DataFrame, caption: str, name: str, context: FigureContext, *, signed: bool
) -> Table | None:
    """Return rows of method and T, with a column a metric and the scale of the KL.

    Where a method is scored on a share of the test set, a column says on which. `n` is that of
    the metric that the most replicates have; where one has fewer, its cell says how many.
    """
    if chosen.empty:
        return None
    metrics = _metrics_in(chosen)
    partly = any(context.scored_shares[chain] != 1 for chain in _chains(chosen))
    rows = []
    for (experiment, method, parts), group in chosen.groupby(
        ["experiment", "method", "T"], sort=False
    ):
        scale = context.kl_scales.get((experiment, method))
        cells = group.set_index("metric")
        rows.append(
            [
                context.methods[method],
                str(parts),
                NONE if scale is None else f"{scale:g}" + (" (tempered)" if scale != 1 else ""),
                *([in_percent(context.scored_shares[experiment, method])] if partly else []),
                str(int(cells["n"].max())),
                *(
                    _cell(cells.loc[name], metric, signed, int(cells["n"].max()))
                    if name in cells.index
                    else NONE  # as it was scored before the metric was there
                    for name, metric in metrics.items()
                ),
            ]
        )
    scored_on = ["Test set"] if partly else []
    headings = ["Method", "T", "KL ×", *scored_on, "n", *(m.heading for m in metrics.values())]
    return Table(caption, headings, rows, 2, chosen, name)


def of_two(mean: float, half_width: float, written: Callable[[float], str]) -> str:
    """Return both of two values, the lower first, of their mean and t-interval."""
    apart = half_width / OF_TWO
    return f"{written(mean - apart)}, {written(mean + apart)}"


def _chains(frame: pd.DataFrame) -> set[tuple[str, str]]:
    return set(zip(frame["experiment"], frame["method"], strict=True))


def _cell(summary: pd.Series, metric: Metric, signed: bool, n: int) -> str:
    """Return mean and interval as text, with its own n where it is not that of the row.

    Of two values both, the lower first: an interval of two says nothing. An interval that leaves
    what the metric, or a difference of two, can be is cut there.
    """
    if summary["n"] == 0:
        return NONE

    def written(value: float, with_sign: bool = signed) -> str:
        return number(metric.factor * value, metric.decimals, with_sign)

    mean, half_width = summary["mean"], summary["half_width"]
    text = written(mean)
    if pd.notna(half_width):
        low, high = metric.bounds
        low, high = (low - high, high - low) if signed else (low, high)
        ends = mean - half_width, mean + half_width
        if summary["n"] < FEWEST:
            text = of_two(mean, half_width, written)
        elif low <= ends[0] and ends[1] <= high:
            text += f" ± {written(half_width, False)}"
        else:
            cut = np.clip(ends, low, high)
            text += f" [{written(cut[0])}, {written(cut[1])}]"
    return text if summary["n"] == n else f"{text} (n = {int(summary['n'])})"
