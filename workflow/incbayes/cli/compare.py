"""`incbayes compare`: groups of a study's records, paired as claims pair them."""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from incbayes.claims.compare import METRICS, compare
from incbayes.results.collect import read_records

HELP = "compare groups of a study's records"
DESCRIPTION = """Print, for each metric, the first group minus each other one: mean difference over
the replicates that both have, with its 95 % Student-t interval. EXPERIMENT.METHOD.T10 is a chain's
last stage on the test set, under the predictive mean; .t05 behind it is an earlier stage, .part_01
another split, as shift_NAME.mean, .mean the network at the posterior mean."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument("records", type=Path, help="metrics.csv or metrics.parquet of a study")
    parser.add_argument("group", help="EXPERIMENT.METHOD.T10")
    parser.add_argument("beside", nargs="+", help="what it is compared with")
    parser.add_argument("--metric", action="append", help="default: accuracy and nll")
    parser.add_argument("--csv", action="store_true", help="print CSV, with all digits")


def run(asked: argparse.Namespace) -> int:
    """Print the comparisons of each metric as a table, or as CSV; return the exit code.

    Raises:
        CollectError: the records cannot be read, or two are of the same thing.
        ComparisonError: a group is misnamed, or cannot be compared.
    """
    records = read_records(asked.records)
    groups = [asked.group, *asked.beside]
    tables = [compare(records, groups, metric) for metric in asked.metric or METRICS]
    table = pd.concat(tables, ignore_index=True)
    print(table.to_csv(index=False) if asked.csv else _shown(table), end="")
    return 0


def _shown(table: pd.DataFrame) -> str:
    """Return a table for reading: a line a comparison, with half the width of its interval."""
    return "".join(
        f"{row.metric}: {row.group} {row.mean:.4f} minus {row.beside} {row.mean_beside:.4f} = "
        f"{row.difference:+.4f}{_interval(row.low, row.high)}, n = {row.n}\n"
        for row in table.itertuples()
    )


def _interval(low: float, high: float) -> str:
    if np.isnan(low):
        return " in each replicate"
    return f" ± {(high - low) / 2:.4f} [{low:+.4f}, {high:+.4f}]"
