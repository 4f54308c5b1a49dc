"""Compares groups of a study's records, paired over replicates, by the statistics of the claims.

A group is named as `only` names a chain, `EXPERIMENT.METHOD.T10`: its last stage on the test set,
under the predictive mean over posterior samples. `.t05` behind it is an earlier stage, `.part_01`
another split, `.mean` the network at the posterior mean. The first group is compared with each
other one. An interval is of its comparison alone, not corrected for how many were looked at.
"""

import argparse
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from incbayes.claims.examined import examine
from incbayes.collect import PREDICTORS, read_records
from incbayes.errors import UserError

METRICS = ("accuracy", "nll")


class ComparisonError(UserError, ValueError):
    """A group is misnamed, or too few of its replicates are among the records."""


def group_named(name: str) -> dict[str, Any]:
    """Return the group of a claim that a name stands for, e.g. `mnist.ffg.T10.t05.mean`.

    Raises:
        ComparisonError: the name is not of that form.
    """
    experiment, method, parts, *rest = [*name.split("."), "", ""]
    if not (experiment and method and re.fullmatch(r"T\d+", parts)):
        raise ComparisonError(f"{name}: expected EXPERIMENT.METHOD.T10, as `only` names a chain")
    T = int(parts[1:])
    group = {"experiment": experiment, "method": method, "T": T, "t": T}
    group |= {"split": "test", "predictor": "predictive"}
    for word in filter(None, rest):
        if re.fullmatch(r"t\d+", word):
            group["t"] = int(word[1:])
        else:
            group["predictor" if word in PREDICTORS else "split"] = word
    return group


def compare(records: pd.DataFrame, groups: Sequence[str], metric: str) -> pd.DataFrame:
    """Return the first group minus each other one, a row each.

    Args:
        records: as `collect.read_records` returns them.
        groups: their names, two or more.
        metric: one of the records'.

    Returns:
        Columns `metric`, `group` and `beside` (names), `mean` and `mean_beside` (over the
        replicates that both have), `difference` (the mean one), `low` and `high` (its two-sided
        95 % Student-t interval; NaN where all differences are equal), in the metric's unit, and
        `n`, their number.

    Raises:
        ComparisonError: a group is misnamed or has no such records, or fewer than two replicates
            are shared.
    """
    claim: Mapping[str, Any] = {
        "metric": metric,
        "relation": {"kind": "greater"},  # whatever it is, the evidence is the same
        "groups": [group_named(name) for name in groups],
    }
    found = examine(claim, records)
    if found.lack:
        raise ComparisonError(found.lack)
    rows = []
    for comparison in found.comparisons:
        evidence = comparison.evidence
        pair = pd.concat([found.values[comparison.first], found.values[comparison.second]], axis=1)
        mean, mean_beside = pair.dropna().mean()
        rows.append(
            {
                "metric": metric,
                "group": groups[comparison.first],
                "beside": groups[comparison.second],
                "mean": mean,
                "mean_beside": mean_beside,
                "difference": evidence.effect,
                "low": evidence.low,
                "high": evidence.high,
                "n": evidence.n,
            }
        )
    return pd.DataFrame(rows).astype({"low": float, "high": float})


def main(arguments: list[str] | None = None) -> int:
    """Print the comparisons of each metric as a table, or as CSV; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m incbayes.compare", description=__doc__)
    parser.add_argument("records", type=Path, help="metrics.csv or metrics.parquet of a study")
    parser.add_argument("group", help="EXPERIMENT.METHOD.T10")
    parser.add_argument("beside", nargs="+", help="what it is compared with")
    parser.add_argument("--metric", action="append", help="default: accuracy and nll")
    parser.add_argument("--csv", action="store_true", help="print CSV, with all digits")
    asked = parser.parse_args(arguments)
    try:
        records = read_records(asked.records)
        groups = [asked.group, *asked.beside]
        tables = [compare(records, groups, metric) for metric in asked.metric or METRICS]
    except (UserError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
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


if __name__ == "__main__":
    sys.exit(main())
