"""An ensemble of chains (Lakshminarayanan et al. 2017): several that differ in chance alone."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

from incbayes.core.options import option
from incbayes.families.base import Family
from incbayes.inference.base import (
    Algorithm,
    DivergenceError,
    EpochRecord,
    FirstStage,
    Problem,
    Run,
    Snapshot,
)
from incbayes.inference.vi_run import VariationalRun
from incbayes.networks.layers import Layer, State
from incbayes.posterior.build import variational
from incbayes.posterior.members import is_ensemble, joined_members, members_of
from incbayes.posterior.network import NetworkState
from incbayes.priors.base import Prior, Start

MEMBER = "member"
"""Begins the names of the random streams of a member but the first."""


class EnsembleRun(Run):
    """The fits of all members of one replicate, one after the other.

    Epochs, steps and history are counted over the members: an ensemble of M has M times the epochs.

    Attributes:
        members: their runs, each of which knows nothing of the others.
    """

    def __init__(self, problem: Problem):
        """Prepare to fit every member, from its own tensors in the state, to the part."""
        states = members_of(problem.network.state())
        priors = members_of(problem.prior)
        self.members = [
            VariationalRun(_of_member(problem, number, state, prior))
            for number, (state, prior) in enumerate(zip(states, priors, strict=True), 1)
        ]
        self.batches = self.members[0].batches
        self.epochs = sum(member.epochs for member in self.members)

    @property
    def epoch(self) -> int:  # type: ignore[override]
        """Epochs that are finished, over all members."""
        return sum(member.epoch for member in self.members)

    @property
    def step(self) -> int:  # type: ignore[override]
        """Steps taken in the current epoch, of the member that is being fitted."""
        return sum(member.step for member in self.members)

    @property
    def history(self) -> list[EpochRecord]:  # type: ignore[override]
        """A record for every epoch: means over the members that got so far."""
        histories = [member.history for member in self.members]
        longest = max(len(history) for history in histories)
        return [_mean([h[place] for h in histories if place < len(h)]) for place in range(longest)]

    @property
    def finished(self) -> bool:
        """Whether all members are."""
        return all(member.finished for member in self.members)

    def run(self, on_step: Callable[[Run], None]) -> None:
        """Take the steps that are left, of one member after the other.

        Raises:
            DivergenceError: naming member, epoch, step and tensor.
        """
        for number, member in enumerate(self.members, 1):
            try:
                member.run(lambda _: on_step(self))
            except DivergenceError as error:
                raise DivergenceError(f"member {number}, {error}") from None

    def state(self) -> NetworkState:
        """Return detached copies of the tensors of all members."""
        return joined_members([member.state() for member in self.members])

    def snapshot(self) -> Snapshot:
        """Return everything that the remaining steps depend on."""
        found = [member.snapshot() for member in self.members]
        tensors = {
            f"{number}/{key}": value
            for number, snapshot in enumerate(found)
            for key, value in snapshot.tensors.items()
        }
        return Snapshot(tensors, {"members": [snapshot.progress for snapshot in found]})

    def restore(self, snapshot: Snapshot) -> None:
        """Go on from `snapshot`, taken of a run that was set up alike."""
        for number, member in enumerate(self.members):
            prefix = f"{number}/"
            own = {
                key.removeprefix(prefix): value
                for key, value in snapshot.tensors.items()
                if key.startswith(prefix)
            }
            member.restore(Snapshot(own, snapshot.progress["members"][number]))


@dataclass(frozen=True)
class Ensemble(Algorithm):
    """Fine-tuning of several chains side by side, which predict together: a deep ensemble.

    Members differ in their first weights and in all other random numbers, and see the same parts.
    Where a chain of one network is continued all begin at it, and differ in the rest. The
    predictive is the mixture of their networks, of equal weight (Lakshminarayanan et al. 2017,
    eq. 2, without adversarial training). The first member is the chain of `vi` to the bit.
    """

    members: int = option(
        5, "Members M; stages cost, and posteriors hold, M times as much.", minimum=2, maximum=100
    )

    constraints: ClassVar[dict[str, Any]] = {
        "families": ["point"],
        "step_cost": 1,
        "bytes_per_weight": 200,
        "times": "members",
    }

    def first_start(self, prior: Prior, stage: FirstStage) -> Start:
        """Return the start of every member: of the prior, each with fresh weights of its own.

        A chain that goes on from an ensemble has its members already.
        """
        first = super().first_start(prior, stage)
        if is_ensemble(first.state):
            return first
        starts = [first]
        for number in range(2, self.members + 1):
            fresh = stage.fresh_of(MEMBER, number)
            starts.append(super().first_start(prior, replace(stage, fresh=fresh)))
        return Start(
            joined_members([start.state for start in starts]),
            joined_members([start.prior for start in starts]),
        )

    def trained(self, family: Family, layer: Layer, state: State) -> list[str]:
        """Return no names: the networks that are trained are those of the members."""
        return []

    def begin(self, problem: Problem) -> EnsembleRun:
        """Return the run of one replicate, from fresh moments of Adam."""
        return EnsembleRun(problem)


def _of_member(problem: Problem, number: int, state: NetworkState, prior: NetworkState) -> Problem:
    """Return the problem of a member: its own network, prior and random streams."""
    network = variational(problem.architecture, problem.network.family, state)
    network = network.to(problem.part.images.device)
    stream = problem.stream if number == 1 else partial(problem.stream, MEMBER, number)
    return replace(problem, network=network, prior=prior, stream=stream)


def _mean(records: Sequence[EpochRecord]) -> EpochRecord:
    """Return the means of records by key; what is the same in all stays as it is."""
    first = records[0]
    return {
        key: value
        if all(record[key] == value for record in records)
        else sum(record[key] for record in records) / len(records)
        for key, value in first.items()
    }
