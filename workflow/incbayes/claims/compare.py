"""Compares groups of a study's records, paired over replicates, by the statistics of the claims.

A group is named as `only` names a chain, `EXPERIMENT.METHOD.T10`: its last stage on the test set,
under the predictive mean over posterior samples. `.t05` behind it is an earlier stage, `.part_01`
another split, `.mean` the network at the posterior mean. The first group is compared with each
other one. An interval is of its comparison alone, not corrected for how many were looked at.
"""

import re
from collections.abc import Sequence

import pandas as pd
from msgspec.structs import replace

from incbayes.claims.examine import examine, group_records
from incbayes.core.errors import UserError
from incbayes.results.collect import PREDICTORS
from incbayes.study.model.base import KindSpec
from incbayes.study.model.claims import Claim, Group

METRICS = ("accuracy", "nll")


class ComparisonError(UserError, ValueError):
    """A group is misnamed or has too few replicates, or records are not of one study and budget."""


def group_named(name: str) -> Group:
    """Return the group of a claim that a name stands for, e.g. `mnist.ffg.T10.t05.mean`.

    Raises:
        ComparisonError: the name is not of that form.
    """
    experiment, method, parts, *rest = [*name.split("."), "", ""]
    if not (experiment and method and re.fullmatch(r"T\d+", parts)):
        raise ComparisonError(f"{name}: expected EXPERIMENT.METHOD.T10, as `only` names a chain")
    T = int(parts[1:])
    group = Group(experiment=experiment, method=method, T=T, t=T)
    for word in filter(None, rest):
        if re.fullmatch(r"t\d+", word):
            group = replace(group, t=int(word[1:]))
        else:
            key = "predictor" if word in PREDICTORS else "split"
            group = replace(group, **{key: word})
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
        ComparisonError: a group is misnamed or has no such records, fewer than two replicates are
            shared, or the records of the groups are of several studies or budgets.
        CollectError: there are two records of one replicate.
    """
    claim = Claim(
        sentence="the first has more than the others",
        metric=metric,
        # Whatever it is, the effect and its interval are the same.
        relation=KindSpec("greater", {"by": 0.0, "reason": "any difference is shown"}),
        groups=tuple(group_named(name) for name in groups),
        figure=None,
    )
    _check_of_one_run(claim, groups, records)
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


def _check_of_one_run(claim: Claim, names: Sequence[str], records: pd.DataFrame) -> None:
    """Check that all records are of one study and budget, which names of groups do not tell."""
    found = [group_records(group, claim.metric, records) for group in claim.groups]
    for key in ("study", "budget"):
        held = {name: sorted(set(rows[key])) for name, rows in zip(names, found, strict=True)}
        if len(set().union(*held.values())) > 1:
            said = "; ".join(f"{name} of {' and '.join(of)}" for name, of in held.items() if of)
            raise ComparisonError(
                f"records of more than one {key}: {said}; compare those of one alone"
            )
