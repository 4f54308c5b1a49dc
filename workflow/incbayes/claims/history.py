"""Which replicates of a claim were first run after it was stated.

It knows dates and numbers of replicates; it knows nothing of what was measured.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from incbayes.claims.examine import Choice
from incbayes.core.seal import read_seal
from incbayes.study.chains import Chain, chain_name
from incbayes.study.model import Claim, Statement
from incbayes.study.statement import Stated, groups_of

Runs = Mapping[tuple[str, str, int, int], datetime]
"""When each replicate of a chain was first run, by experiment, method, T and replicate."""


@dataclass(frozen=True)
class History:
    """What is known of when claims were stated and replicates run.

    Attributes:
        stated: the statements of the claims.
        first_runs: of every replicate whose date is known.
        codes: the digests of the code that made each chain, by its name; nothing of a chain that
            one run made with all others.
    """

    stated: Stated = Stated({})
    first_runs: Runs = field(default_factory=dict)
    codes: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def states_of_code(self, claim: Claim) -> int:
        """Return how many states of the code made what a claim compares, at least 1."""
        of_groups = [self.codes.get(chain_name(chain), frozenset()) for chain in groups_of(claim)]
        return max(1, len(frozenset().union(*of_groups)))

    def statement(self, name: str) -> Statement | None:
        """Return the statement of a claim that is still what it was then."""
        return self.stated.current.get(name)

    def run_after(self, name: str, claim: Claim) -> frozenset[int] | None:
        """Return the replicates that every group of a claim first ran after it was stated.

        None for a claim that is not stated, or no longer as it was.
        """
        statement = self.statement(name)
        if statement is None:
            return None
        date = datetime.fromisoformat(statement.date)
        of_groups = [
            {number for number, first in runs.items() if first > date and number >= statement.first}
            for runs in self._runs_of(claim)
        ]
        return frozenset(set.intersection(*of_groups)) if of_groups else frozenset()

    def _runs_of(self, claim: Claim) -> list[dict[int, datetime]]:
        """Return when the replicates of each group of a claim were first run, by number."""
        found: dict[Chain, dict[int, datetime]] = {group: {} for group in groups_of(claim)}
        for (experiment, method, T, number), first in self.first_runs.items():
            found.get((experiment, method, T), {})[number] = first
        return list(found.values())

    def _after_earlier_runs(self, statement: Statement, claim: Claim) -> int:
        """Return the number after the last replicate of any group that was run before the date.

        That is beyond `Statement.first` where it was run elsewhere, and came here later.
        """
        date = datetime.fromisoformat(statement.date)
        runs = [of for group in self._runs_of(claim) for of in group.items()]
        return max((number + 1 for number, first in runs if first <= date), default=0)

    def choice(self, name: str, claim: Claim) -> Choice:
        """Return the replicates that a claim is to be judged on."""
        if claim.evidence == "all":
            return Choice()
        statement, after = self.statement(name), self.run_after(name, claim)
        if statement is None or after is None:
            how = "no longer what was stated" if name in self.stated.changed else "not stated yet"
            return Choice(
                frozenset(),
                lack=f"to be judged on replicates run after it was stated; it is {how}: "
                "snakemake state_claims",
            )
        return Choice(after, max(statement.first, self._after_earlier_runs(statement, claim)))


def read_runs(paths: Iterable[Path]) -> list[dict[str, Any]]:
    """Return the run records of stages, each with what names the stage.

    Raises:
        SealError: one is damaged or edited.
    """
    seals = [read_seal(path, "run") for path in paths]
    return [{**seal.identity, **seal.facts} for seal in seals]


def codes_of(sources: Iterable[Mapping[str, Any]]) -> dict[str, frozenset[str]]:
    """Return the digests of the code that made each chain, by its name.

    Args:
        sources: of provenance, with `chains` and `code_digest`.
    """
    found: dict[str, frozenset[str]] = {}
    for source in sources:
        for chain in source["chains"]:
            found[chain] = found.get(chain, frozenset()) | {source["code_digest"]}
    return found


def first_runs(runs: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str, int, int], datetime]:
    """Return when each replicate of a chain was first run: when the first of its stages was.

    Args:
        runs: run records of stages, with `experiment`, `method`, `T`, `replicates`, `started`
            and, of a stage that was run again, `first_started`.
    """
    found: dict[tuple[str, str, int, int], datetime] = {}
    for run in runs:
        date = datetime.fromisoformat(run.get("first_started", run["started"]))
        for replicate in run["replicates"]:
            key = run["experiment"], run["method"], run["T"], replicate
            found[key] = min(date, found.get(key, date))
    return found
