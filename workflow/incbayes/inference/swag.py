"""SWAG (Maddox et al. 2019, arXiv 1902.02476): moments of the weights at the end of a stage."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from incbayes.core.options import option
from incbayes.families.base import Family
from incbayes.families.swag import DEVIATIONS, VARIANCE
from incbayes.inference.base import EpochRecord, Problem
from incbayes.inference.vi import ByAdam
from incbayes.inference.vi_run import VariationalRun
from incbayes.networks.layers import Layer, NetworkError, State


class SwagRun(VariationalRun):
    """A variational run of points that collects moments over its last steps.

    Attributes:
        settings: of the algorithm.
        first: steps that are taken before the collection begins.
        snapshots: n, how many are taken after the weights that it begins with.
    """

    def __init__(self, problem: Problem, settings: "StochasticAveraging"):
        """Prepare to fit the network to the part.

        Raises:
            NetworkError: a layer has running statistics, which would be of other weights, or there
                are too few steps.
        """
        super().__init__(problem)
        for name in self.network.running:
            raise NetworkError(
                f"layer {name} has running statistics, which would not be those of averaged weights"
            )
        self.settings = settings
        self.network.stay_at_means()
        self.steps = self.epochs * self.batches
        collected = round(settings.share * self.steps)
        if collected < 2:
            raise NetworkError(
                f"swag collects over {collected} of {self.steps} steps of the stage and needs two: "
                "give more epochs, smaller minibatches or a larger share"
            )
        self.first, self.snapshots = self.steps - collected, min(settings.snapshots, collected)
        self.means = {name: weight.detach().clone() for name, weight, _, _ in self._tensors()}
        if self.first == 0:
            self._begin()

    def learning_rate(self) -> float:
        """Return the rate of the next step: as scheduled, then constant."""
        if self.epoch * self.batches + self.step < self.first:
            return super().learning_rate()
        return self.training.learning_rate * self.settings.rate

    def after_step(self) -> None:
        """Begin the collection, or take the snapshot that is due after the step, if one is."""
        taken = self.epoch * self.batches + self.step
        if taken == self.first:
            self._begin()
        elif taken > self.first:
            collected = self.steps - self.first
            done = (taken - self.first) * self.snapshots // collected
            before = (taken - self.first - 1) * self.snapshots // collected
            if done > before:
                self._add(done)

    def own_tensors(self) -> Mapping[str, Tensor]:
        """Return Adam's moments and the running mean of the snapshots."""
        means = {f"mean/{name}": mean for name, mean in self.means.items()}
        return {**super().own_tensors(), **means}

    def epoch_record(self, nll: float, *further: float) -> EpochRecord:
        """Return minus the loss of the part as `elbo`, and NLL: there is no KL."""
        return {"elbo": self.part_bound(nll, *further), "nll": nll}

    def end_stage(self) -> None:
        """Put the mean in the place of the weights, and scale what was summed.

        Raises:
            DivergenceError: a tensor is not finite.
        """
        columns = min(self.snapshots, self._rank())
        with torch.no_grad():
            for name, weight, variance, deviations in self._tensors():
                weight.copy_(self.means[name])
                variance.div_(self.snapshots + 1)
                deviations.div_(math.sqrt(columns - 1))
        self.check_tensors("at the end of the stage")

    def _rank(self) -> int:
        """Return how many columns the posterior has room for."""
        return len(self._tensors()[0][3])

    def _begin(self) -> None:
        """Take the weights for the first snapshot; deviations are of those that follow."""
        with torch.no_grad():
            for name, weight, variance, deviations in self._tensors():
                self.means[name].copy_(weight)
                variance.zero_()
                deviations.zero_()

    def _add(self, number: int) -> None:
        """Add snapshot `number`, from 1, to mean, squares and deviations (Algorithm 1).

        The sum of squares is about the running mean (Welford 1962): of E[θ²] - E[θ]² nothing would
        be left in single precision.
        """
        with torch.no_grad():
            for name, weight, variance, deviations in self._tensors():
                mean = self.means[name]
                before = weight - mean
                mean.add_(before, alpha=1 / (number + 1))
                after = weight - mean
                variance.addcmul_(before, after)
                deviations[(number - 1) % len(deviations)].copy_(after)

    def _tensors(self) -> list[tuple[str, Tensor, Tensor, Tensor]]:
        """Return name, weight, variance and deviations, live, of every tensor of weights."""
        return [
            (
                f"{module.layer.name}/{key}",
                module.state[key],
                module.state[f"{key}{VARIANCE}"],
                module.state[f"{key}{DEVIATIONS}"],
            )
            for module in self.network.variational_layers
            for key in module.layer.shapes
        ]


@dataclass(frozen=True)
class StochasticAveraging(ByAdam):
    """Fine-tuning at whose end a Gaussian is fitted to the path of the weights: SWAG.

    Over the last steps of a stage the rate is constant and snapshots of the weights are taken.
    Their mean θ, their variance and the deviations of the last k of them make
    q = N(θ, ½(Σ_diag + D Dᵀ/(k-1))) (Maddox et al. 2019, Algorithm 1). The next stage starts from,
    and `l2` pulls to, θ.
    """

    share: float = option(
        0.5,
        "Share of a stage's steps, its last ones, over which snapshots are taken.",
        exclusiveMinimum=0,
        maximum=1,
    )
    rate: float = option(
        0.5,
        "Constant learning rate of these steps, as a multiple of `learning_rate`.",
        exclusiveMinimum=0,
        maximum=1e3,
    )
    snapshots: int = option(
        20,
        "Snapshots, evenly over these steps, beside the weights that they begin with; at most one "
        "a step.",
        minimum=2,
        maximum=10_000,
    )

    constraints: ClassVar[dict[str, Any]] = {
        "families": ["swag"],
        "step_cost": 1,
        "bytes_per_weight": 230,
        "objective": {"draws": [1]},
        "all_epochs": True,
    }

    def trained(self, family: Family, layer: Layer, state: State) -> list[str]:
        """Return the names of the weights, not of their moments."""
        return list(layer.shapes)

    def begin(self, problem: Problem) -> SwagRun:
        """Return the run of one replicate, from fresh moments of Adam."""
        return SwagRun(problem, self)
