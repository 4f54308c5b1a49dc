"""Variational inference: the bound of a part, minimised by Adam (Kochurov et al. 2018, eq. 2)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from incbayes.inference import vi_stacked
from incbayes.inference.base import Algorithm, OnStep, Problem, Run
from incbayes.inference.vi_run import VariationalRun


class ByAdam(Algorithm):
    """An algorithm whose runs are variational ones, or kinds of them: they can be stacked."""

    def incompatibility(self, runs: Sequence[Run]) -> str | None:
        """Return why the runs cannot take their steps stacked, or None."""
        return vi_stacked.incompatibility([_own(run) for run in runs])

    def run_stacked(self, runs: Mapping[int, Run], on_step: OnStep) -> None:
        """Take the steps of all runs as one program over stacked tensors.

        Raises:
            DivergenceError: naming replicate, epoch, step and tensor.
        """
        own = {replicate: _own(run) for replicate, run in runs.items()}
        vi_stacked.run_stacked(own, on_step)


@dataclass(frozen=True)
class VariationalInference(ByAdam):
    """Adam on the variational bound, with gradients through the draws (Bayes by Backprop)."""

    constraints: ClassVar[dict[str, Any]] = {"step_cost": 1, "bytes_per_weight": 200}

    def begin(self, problem: Problem) -> VariationalRun:
        """Return the run of one replicate, from fresh moments of Adam."""
        return VariationalRun(problem)


def _own(run: Run) -> VariationalRun:
    """Return a run, which is one that `begin` made."""
    assert isinstance(run, VariationalRun)
    return run
