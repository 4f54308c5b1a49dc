"""Which further replicates decide most claims a core-hour, at the observed effects and spreads.

Greedy: of all ways to bring one open claim to a number of replicates, the one is taken that adds
most chance of a decision an hour, over all claims that its runs serve; then the next, given that
one. It knows claims, what the records say of them, and what a replicate of a chain cost.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import pandas as pd

from incbayes.claims.examine import Examined, examine
from incbayes.claims.history import History
from incbayes.claims.ledger import (
    INCONCLUSIVE,
    UNKNOWN,
    chance_of_decision,
    family_size,
    judge,
)
from incbayes.claims.looks import levels
from incbayes.study.chains import Chain
from incbayes.study.model import Claim
from incbayes.study.statement import groups_of

LEAST_GAIN = 0.1
"""Chance of a decision, over all claims, below which runs are not worth to be named."""

MOST_STEPS = 10

HOUR = 3600

Replicate = tuple[Chain, int]


@dataclass(frozen=True)
class NextRuns:
    """Runs to be made together.

    Attributes:
        replicates: their numbers, by chain.
        hours: core-hours that they take, as the replicates before did.
        chances: of a decision, by claim, once they and those named before are made; of the claims
            whose chance they raise.
        gain: by how much they raise the chances, in sum.
    """

    replicates: Mapping[Chain, tuple[int, ...]]
    hours: float
    chances: Mapping[str, float]
    gain: float

    @property
    def cost(self) -> str:
        """The hours as text."""
        return f"{self.hours:.1f}" if self.hours >= 0.1 else f"{self.hours:.2g}"


@dataclass(frozen=True)
class Open:
    """A claim without a decision.

    Attributes:
        claim: it.
        examined: what the records say of it.
        alpha: level that it is tested at.
        first: number of the replicate that its evidence begins with.
    """

    claim: Claim
    examined: Examined
    alpha: float
    first: int

    @property
    def chains(self) -> frozenset[Chain]:
        """The chains that it compares."""
        return frozenset(groups_of(self.claim))

    @property
    def tested(self) -> int:
        """How many replicates its p-values are of."""
        return min(c.evidence.tested for c in self.examined.comparisons)

    @property
    def looks(self) -> Sequence[int]:
        """The numbers of replicates at which it may be judged; none where it is judged once."""
        return self.claim.looks or ()

    def targets(self) -> list[int]:
        """Return the numbers of replicates to think of."""
        return [look for look in self.looks if look > self.tested]

    def chance(self, n: int) -> float:
        """Return the chance of a decision with the first n replicates."""
        looks = [(k, a) for k, a in levels(self.looks, self.alpha) if self.tested < k <= n]
        return max((chance_of_decision(self.examined, k, a) for k, a in looks), default=0.0)


def open_claims(
    claims: Mapping[str, Claim], records: pd.DataFrame, history: History = UNKNOWN
) -> dict[str, Open]:
    """Return the primary claims that are inconclusive and of which a spread is known.

    For one without looks no run can be named: with replicates that are added as it is open, it
    would be judged twice, at a level that holds for once. A run of all replicates anew decides it.
    """
    family = family_size(claims, history)
    found = {}
    for entry in judge(claims, records, False, history):
        name = entry["claim"]
        claim = claims[name]
        if entry["verdict"] != INCONCLUSIVE:
            continue
        choice = history.choice(name, claim)
        examined = examine(claim, records, choice)
        if all(c.evidence.standardised is not None for c in examined.comparisons):
            found[name] = Open(claim, examined, claim.level / family, choice.first)
    return found


def seconds_of_a_replicate(runs: Iterable[Mapping[str, Any]]) -> dict[Chain, float]:
    """Return the core-seconds that a replicate of each chain took to fit, a mean over them.

    Args:
        runs: run records of stages, with `seconds`, `threads` and `replicates`.
    """
    spent: dict[Chain, float] = {}
    made: dict[Chain, set[int]] = {}
    for run in runs:
        chain = run["experiment"], run["method"], run["T"]
        spent[chain] = spent.get(chain, 0.0) + run["seconds"] * run["threads"]
        made.setdefault(chain, set()).update(run["replicates"])
    return {chain: seconds / len(made[chain]) for chain, seconds in spent.items()}


def next_runs(
    claims: Mapping[str, Open], records: pd.DataFrame, seconds: Mapping[Chain, float]
) -> list[NextRuns]:
    """Return what to run next, the best first.

    Args:
        claims: open ones, by name.
        records: every record that is there.
        seconds: that a replicate of each chain takes; a claim with a chain that has none is left
            out.
    """
    known = {name: one for name, one in claims.items() if one.chains <= set(seconds)}
    keys = records[["experiment", "method", "T", "replicate"]].drop_duplicates()
    there = {((e, m, int(T)), int(r)) for e, m, T, r in keys.itertuples(index=False, name=None)}
    before = dict.fromkeys(known, 0.0)
    steps: list[NextRuns] = []

    @cache
    def chance(name: str, n: int) -> float:
        return known[name].chance(n)

    while len(steps) < MOST_STEPS:
        best = max(
            _steps(known, there, (before, chance), seconds),
            key=lambda step: step.gain / step.hours,
            default=None,
        )
        if best is None:
            break
        steps.append(best)
        there |= {(chain, number) for chain, of in best.replicates.items() for number in of}
        before |= best.chances
    return steps


def _steps(
    claims: Mapping[str, Open],
    there: Collection[Replicate],
    chances: tuple[Mapping[str, float], Callable[[str, int], float]],
    seconds: Mapping[Chain, float],
) -> Iterator[NextRuns]:
    """Yield what could be run next; `chances` are those so far, and those with n replicates."""
    before, chance = chances
    for one in claims.values():
        for target in one.targets():
            wanted = {
                (chain, number)
                for chain in one.chains
                for number in range(one.first, one.first + target)
            } - set(there)
            if not wanted:
                continue
            after = {
                name: chance(name, _reached(other, {*there, *wanted}))
                for name, other in claims.items()
                if other.chains & {chain for chain, _ in wanted}
            }
            raised = {name: c for name, c in after.items() if c > before[name] + 1e-9}
            gain = sum(raised[name] - before[name] for name in raised)
            hours = sum(seconds[chain] for chain, _ in wanted) / HOUR
            if gain >= LEAST_GAIN and hours > 0:
                yield NextRuns(_by_chain(sorted(wanted)), hours, raised, gain)


def _reached(one: Open, there: Collection[Replicate]) -> int:
    """Return how many replicates, from the first of a claim on, all of its chains have."""
    n = 0
    while all((chain, one.first + n) in there for chain in one.chains):
        n += 1
    return n


def _by_chain(replicates: Sequence[Replicate]) -> dict[Chain, tuple[int, ...]]:
    found: dict[Chain, tuple[int, ...]] = {}
    for chain, number in replicates:
        found[chain] = (*found.get(chain, ()), number)
    return found
