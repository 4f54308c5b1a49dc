"""All parts so far at every stage: what a chain could reach if it kept its data."""

from dataclasses import dataclass
from typing import Any, ClassVar

from incbayes.inference.base import Problem
from incbayes.inference.vi import ByAdam
from incbayes.inference.vi_run import VariationalRun


@dataclass(frozen=True)
class Cumulative(ByAdam):
    """Variational inference on all parts so far, from the first prior and fresh weights.

    No method of incremental learning, as it keeps all data: the bound that the others are held
    against at every stage. Its stage t costs t times as much as its first.
    """

    constraints: ClassVar[dict[str, Any]] = {
        "all_parts": True,
        "step_cost": 1,
        "bytes_per_weight": 200,
    }

    def begin(self, problem: Problem) -> VariationalRun:
        """Return the run of one replicate on all its images so far."""
        return VariationalRun(problem)
