"""Numbers of a chain's stages together, made of the records of each of them.

No job has them: each scores a stage as if there were no other. They are made where they are asked
for, so that what is collected and published stays what the jobs scored.
"""

import pandas as pd

from incbayes.metrics.base import Metric
from incbayes.metrics.named import metric_of
from incbayes.results.records import RECORD_COLUMNS

CHAIN = [column for column in RECORD_COLUMNS if column not in ("t", "metric", "value", "budget")]
"""Columns that a chain's records of one metric have in common."""


def records_of(records: pd.DataFrame, name: str) -> pd.DataFrame:
    """Return the records of a metric, be it of one stage or of all stages up to one.

    Args:
        records: as `collect.read_records` returns them.
        name: of the metric.

    Returns:
        One row a stage, with the columns of the records. Of a metric over stages 1 to t, only such
        t before which no stage is missing.
    """
    metric = metric_of(name)
    if metric.of != "stages":
        return records[records["metric"] == name]
    of_stages = records[records["metric"] == metric.by_stage].sort_values("t", kind="stable")
    chains = [_over_stages(chain, metric) for _, chain in of_stages.groupby(CHAIN, sort=False)]
    found = pd.concat(chains) if chains else of_stages
    return found.assign(metric=name)


def _over_stages(chain: pd.DataFrame, metric: Metric) -> pd.DataFrame:
    """Return the rows of a chain, ordered by t, with the metric over the stages up to each."""
    values, stages = chain["value"].to_numpy(dtype=float), chain["t"].tolist()
    complete = [row for row, t in enumerate(stages) if stages[: row + 1] == list(range(1, t + 1))]
    summed = [metric.value(values[: row + 1], None, 0) for row in complete]
    return chain.iloc[complete].assign(value=summed)
