"""Shrink and perturb: a stage starts between yesterday's weights and fresh ones."""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from incbayes.core.options import option
from incbayes.inference.base import Problem
from incbayes.inference.vi import ByAdam
from incbayes.inference.vi_run import VariationalRun
from incbayes.networks.layers import plain_weights
from incbayes.posterior.build import fresh_network


class ShrunkRun(VariationalRun):
    """A variational run whose start is moved towards fresh weights."""

    def __init__(self, problem: Problem, settings: "ShrinkPerturb"):
        """Move the means of the network, and prepare to fit it."""
        seed = problem.stream("perturbation").initial_seed()
        fresh = plain_weights(fresh_network(problem.architecture, seed))
        with torch.no_grad():
            for module in problem.network.variational_layers:
                state = module.state
                for key in module.layer.shapes:
                    mean = state[key if key in state else f"{key}_mean"]
                    drawn = fresh[module.layer.name][key].to(mean)
                    mean.mul_(settings.shrink).add_(drawn, alpha=settings.perturb)
        super().__init__(problem)


@dataclass(frozen=True)
class ShrinkPerturb(ByAdam):
    """Variational inference from yesterday's weights, shrunk, plus a share of freshly drawn ones.

    From the second stage on it starts at λ·w + p·w_fresh, where Ash & Adams (2020) add noise of one
    scale; fresh weights have that of each layer. What the stage is regularised to does not change.
    """

    shrink: float = option(
        0.8, "Factor λ of yesterday's weights, or means, at the start.", minimum=0, maximum=1
    )
    perturb: float = option(0.1, "Factor p of the fresh ones.", minimum=0, maximum=1e3)

    constraints: ClassVar[dict[str, Any]] = {
        "families": ["point", "ffg"],
        "step_cost": 1,
        "bytes_per_weight": 200,
    }

    def begin(self, problem: Problem) -> VariationalRun:
        """Return the run of one replicate; before any part it is that of `vi`."""
        return ShrunkRun(problem, self) if problem.follows else VariationalRun(problem)
