"""Compares groups of a study's records, paired over replicates, by the statistics of the claims.

A group is named as `only` names a chain, `EXPERIMENT.METHOD.T10`: its last stage on the test set,
under the predictive mean over posterior samples. `.t05` behind it is an earlier stage, `.part_01`
another split of the records, be there a dot in its name or not, `.mean` the network at the
posterior mean; one of each at most. The first group is compared with each other one. An interval is
of its comparison alone, not corrected for how many were looked at.
"""

import re
from collections.abc import Collection, Sequence

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


def group_named(name: str, splits: Collection[str] = ()) -> Group:
    """Return the group of a claim that a name stands for, e.g. `mnist.ffg.T10.t05.mean`.

    Args:
        name: of the group.
        splits: of the records; one of them, e.g. `shift_mnist_c.fog_3`, is taken whole.

    Raises:
        ComparisonError: the name is not of that form, or says one thing twice.
    """
    words = name.split(".")
    (experiment, method, parts), rest = (*words, "", "")[:3], words[3:]
    if not (experiment and method and re.fullmatch(r"T\d+", parts) and all(rest)):
        raise ComparisonError(f"{name}: expected EXPERIMENT.METHOD.T10, as `only` names a chain")
    said: dict[str, str] = {}
    while rest:
        count = _words_of_split(rest, splits)
        word, rest = ".".join(rest[:count]), rest[count:]
        key = _sort_of(word, splits)
        if key in said:
            raise ComparisonError(
                f"{name}: says two {key}s, {said[key]} and {word}; one at most{_known(key, splits)}"
            )
        said[key] = word
    T = int(parts[1:])
    t = int(said.pop("stage", parts)[1:])
    return replace(Group(experiment=experiment, method=method, T=T, t=t), **said)


def _words_of_split(words: Sequence[str], splits: Collection[str]) -> int:
    """Return how many words, from the first on, are a split; 1 where none are."""
    counts = range(len(words), 1, -1)
    return next((count for count in counts if ".".join(words[:count]) in splits), 1)


def _sort_of(word: str, splits: Collection[str]) -> str:
    """Return what a word of a group says: `stage`, `predictor` or `split`."""
    if word not in splits and re.fullmatch(r"t\d+", word):
        return "stage"
    return "predictor" if word not in splits and word in PREDICTORS else "split"


def _known(key: str, splits: Collection[str]) -> str:
    """Return the splits that there are, for an error about one."""
    return f"; splits: {', '.join(sorted(splits))}" if key == "split" and splits else ""


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
    splits = set(records["split"])
    claim = Claim(
        sentence="the first has more than the others",
        metric=metric,
        # Whatever it is, the effect and its interval are the same.
        relation=KindSpec("greater", {"by": 0.0, "reason": "any difference is shown"}),
        groups=tuple(group_named(name, splits) for name in groups),
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
