"""One claim beside the records of a study: what its groups measured, and what that says.

It knows the columns of the tidy records; it knows nothing of other claims.
"""

from collections.abc import Sequence, Set
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import pandas as pd

from incbayes.claims.base import ClaimTest, Evidence
from incbayes.claims.crossed import OnOtherImages
from incbayes.claims.images import NO_EVIDENCE, ImageEvidence
from incbayes.claims.looks import taken
from incbayes.claims.paired import has_spread
from incbayes.kinds import CLAIM_TESTS
from incbayes.results.collect import CollectError
from incbayes.results.over_stages import records_of
from incbayes.study.model.claims import Claim, Group

LEAST = 2
"""Replicates without which nothing is said of a claim."""

GROUP_KEYS = ("experiment", "method", "T", "t", "split", "predictor")

Values: TypeAlias = pd.Series | float
"""Of a group: its metric by replicate, or the constant that it is."""


@dataclass(frozen=True)
class Choice:
    """Which replicates a claim is judged on.

    Attributes:
        replicates: their numbers; None for all.
        first: number of the one that its looks begin with.
        lack: why there are none, or an empty text.
    """

    replicates: frozenset[int] | None = None
    first: int = 0
    lack: str = ""

    def of(self, records: pd.DataFrame) -> pd.DataFrame:
        """Return the records of these replicates."""
        if self.replicates is None:
            return records
        return records[records["replicate"].isin(self.replicates)]


ALL = Choice()


@dataclass(frozen=True)
class Comparison:
    """Two groups of a claim, by their positions, and what is said of them.

    Attributes:
        first: the one.
        second: that it is compared with.
        evidence: of the replicates, by which the claim is judged.
        on_other_images: of replicates and images; None where what it needs is not there.
    """

    first: int
    second: int
    evidence: Evidence
    on_other_images: OnOtherImages | None = None


@dataclass(frozen=True)
class Examined:
    """A claim and what the records say of it.

    Attributes:
        test: of its relation.
        values: of each group.
        comparisons: of its groups; none where it was not run.
        lack: why it was not run, or an empty text.
        budgets: names of the budgets that its records were made at.
        replicates: numbers of those that all comparisons have.
    """

    test: ClaimTest
    values: Sequence[Values]
    comparisons: Sequence[Comparison]
    lack: str
    budgets: Sequence[str]
    replicates: frozenset[int] = frozenset()

    @property
    def p_support(self) -> float:
        """The p-value of its weakest comparison, as all of them are to hold (Berger 1982)."""
        return max((c.evidence.p_support for c in self.comparisons), default=1.0)

    @property
    def p_contradiction(self) -> float:
        """The p-value of the comparison that speaks most against it, times their number."""
        least = min((c.evidence.p_contradiction for c in self.comparisons), default=1.0)
        return min(1.0, max(1, len(self.comparisons)) * least)


def examine(
    claim: Claim,
    records: pd.DataFrame,
    choice: Choice = ALL,
    images: ImageEvidence = NO_EVIDENCE,
) -> Examined:
    """Return what the records of a study say of a claim.

    Args:
        claim: as `study.claims_of` returns it.
        records: of every experiment and method of the study.
        choice: of the replicates.
        images: what chains say of every image.

    Raises:
        CollectError: a group has two records of one replicate, which would count twice.
    """
    test: ClaimTest = CLAIM_TESTS.build(claim.relation)
    rows = [choice.of(group_records(group, claim.metric, records)) for group in claim.groups]
    budgets = sorted({budget for found in rows for budget in found["budget"]})
    values = [
        # A replicate without a value is none: it counts neither in a mean nor in its n.
        found.set_index("replicate")["value"].dropna().sort_index()
        if isinstance(group, Group)
        else group
        for group, found in zip(claim.groups, rows, strict=True)
    ]
    pairs = test.pairs(len(values))
    differences = [_differences(values[first], values[second]) for first, second in pairs]
    ran = set(records["experiment"])
    lack = choice.lack or _lack(claim, ran, values, pairs, differences)
    comparisons = [
        Comparison(
            *pair,
            _evidence(test, claim, choice, of_pair),
            _on_other_images(claim, pair, of_pair, images, values),
        )
        for pair, of_pair in zip(pairs, differences, strict=True)
        if not lack
    ]
    shared = [set(of_pair.index) for of_pair in differences]
    replicates = frozenset(set.intersection(*shared)) if comparisons else frozenset()
    return Examined(test, values, comparisons, lack, budgets, replicates)


def group_name(group: Group | float) -> str:
    """Return e.g. `mnist ffg T=10 t=10`, with split and predictor where they are not the usual."""
    if not isinstance(group, Group):
        return f"{group:g}"
    words = [group.experiment, group.method, f"T={group.T}", f"t={group.stage}"]
    words += [group.split] if group.split != "test" else []
    words += [group.predictor] if group.predictor != "predictive" else []
    return " ".join(words)


def group_records(group: Group | float, metric: str, records: pd.DataFrame) -> pd.DataFrame:
    """Return the records of a group, one a replicate; none of a constant.

    Raises:
        CollectError: there are two of one replicate.
    """
    if not isinstance(group, Group):
        return records.iloc[:0]
    wanted = {key: getattr(group, key) for key in GROUP_KEYS if key != "t"}
    chain = records[np.logical_and.reduce([records[key] == wanted[key] for key in wanted])]
    of_metric = records_of(chain, metric)
    found = of_metric[of_metric["t"] == group.stage]
    twice = found["replicate"].duplicated()
    if twice.any():
        replicate = found.loc[twice, "replicate"].iloc[0]
        raise CollectError(f"{group_name(group)}: two values of {metric} for replicate {replicate}")
    return found


def _evidence(test: ClaimTest, claim: Claim, choice: Choice, of_pair: pd.Series) -> Evidence:
    looked = None if claim.looks is None else taken(of_pair, claim.looks, choice.first)
    return test.evidence(of_pair.to_numpy(), looked)


def _on_other_images(
    claim: Claim,
    pair: tuple[int, int],
    of_pair: pd.Series,
    images: ImageEvidence,
    values: Sequence[Values],
) -> OnOtherImages | None:
    """Return the interval over images too, of differences that vary.

    Raises:
        EvidenceError: what is said of the images does not give the records of a group.
    """
    if not has_spread(of_pair.to_numpy()):
        return None
    for place in pair:
        group, of_group = claim.groups[place], values[place]
        if isinstance(group, Group) and isinstance(of_group, pd.Series):
            images.check(group, claim.metric, of_group)
    first, second = (claim.groups[place] for place in pair)
    return images.interval(first, second, claim.metric, list(of_pair.index))


def _differences(first: Values, second: Values) -> pd.Series:
    """Return first minus second of the replicates that both have, by their numbers."""
    difference: pd.Series = first - second  # of which one at most is a constant
    return difference.dropna().sort_index()


def _lack(
    claim: Claim,
    ran: Set[str],
    values: Sequence[Values],
    pairs: Sequence[tuple[int, int]],
    differences: Sequence[pd.Series],
) -> str:
    """Return why a claim cannot be tested, or an empty text; `ran` names experiments."""
    names = [group_name(group) for group in claim.groups]
    for group, name, found in zip(claim.groups, names, values, strict=True):
        if isinstance(group, Group) and isinstance(found, pd.Series) and found.empty:
            if group.experiment not in ran:
                return f"no records of {group.experiment}"
            return f"no {claim.metric} of {name} among the records"
    for (first, second), of_pair in zip(pairs, differences, strict=True):
        n = len(of_pair)
        if n < LEAST:
            count = f"{n} replicate{'s' if n != 1 else ''}"
            return f"{count} of {names[first]} and {names[second]}, where {LEAST} are the least"
    return ""
