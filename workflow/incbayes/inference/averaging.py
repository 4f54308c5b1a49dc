"""An exponential mean of the ends of stages, beside a chain that goes on from its last end."""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from incbayes.core.options import option
from incbayes.families.base import Family
from incbayes.inference.base import BESIDE, FirstStage, Problem
from incbayes.inference.vi import ByAdam
from incbayes.inference.vi_run import VariationalRun
from incbayes.networks.layers import Layer, NetworkError, State
from incbayes.posterior.network import NetworkState
from incbayes.priors.base import Prior, Start


class AveragedRun(VariationalRun):
    """A variational run at whose end weights are exchanged for the mean of ends."""

    def __init__(self, problem: Problem, decay: float):
        """Prepare to fit the network to the part.

        Raises:
            NetworkError: a layer has running statistics, which would be of other weights.
        """
        super().__init__(problem)
        self.decay = decay if problem.follows else 0.0
        for name in self.network.running:
            raise NetworkError(
                f"layer {name} has running statistics, which would not be those of averaged weights"
            )

    def end_stage(self) -> None:
        """Put the mean in the place of the weights, and the weights beside it."""
        with torch.no_grad():
            for module in self.network.variational_layers:
                for key in module.layer.shapes:
                    weight, beside = module.state[key], module.state[f"{key}{BESIDE}"]
                    end = weight.clone()
                    weight.copy_(self.decay * beside + (1 - self.decay) * end)
                    beside.copy_(end)


@dataclass(frozen=True)
class Averaging(ByAdam):
    """Fine-tuning that predicts with an exponential mean of the ends of its stages.

    w̄_t = d·w̄_{t-1} + (1 - d)·w_t, w̄_1 = w_1. The next stage starts from, and is regularised to, w_t
    itself: the mean is a readout and changes nothing of the chain. Between stages w_t lies beside
    the mean (`BESIDE`), in a stage the mean lies beside w_t. A chain that goes on from another one
    does so as stage t, from the weights alone where that one had no mean.
    """

    decay: float = option(
        0.5, "Factor d of the mean of the earlier ends.", minimum=0, exclusiveMaximum=1
    )

    constraints: ClassVar[dict[str, Any]] = {
        "families": ["point"],
        "step_cost": 1,
        "bytes_per_weight": 230,
    }

    def first_start(self, prior: Prior, stage: FirstStage) -> Start:
        """Return the start of stage 1, with room beside every weight."""
        start = prior.start(stage.family, stage.layers, stage.fresh, stage.source, stage.noise)
        if any(key.endswith(BESIDE) for own in start.prior.values() for key in own):
            return self.later_start(start.prior)
        return Start(_with_room(start.state), _with_room(start.prior))

    def later_start(self, parent: NetworkState) -> Start:
        """Return the start at the end of the stage before, with the mean of ends beside it."""
        swapped = {
            layer: {key: state[_other(key)] for key in state} for layer, state in parent.items()
        }
        return Start(state=swapped, prior=swapped)

    def trained(self, family: Family, layer: Layer, state: State) -> list[str]:
        """Return the names of the weights, not of what is beside them."""
        return [key for key in state if not key.endswith(BESIDE)]

    def begin(self, problem: Problem) -> AveragedRun:
        """Return the run of one replicate."""
        return AveragedRun(problem, self.decay)


def _with_room(state: NetworkState) -> NetworkState:
    return {
        layer: {**own, **{f"{key}{BESIDE}": value for key, value in own.items()}}
        for layer, own in state.items()
    }


def _other(key: str) -> str:
    """Return the name of what lies beside a tensor."""
    return key.removesuffix(BESIDE) if key.endswith(BESIDE) else f"{key}{BESIDE}"
