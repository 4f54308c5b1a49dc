"""What every inference algorithm provides: how the posterior of a stage is found.

An algorithm is one file beside this one. It says how a chain starts from a prior, which tensors
of a state gradients train, and how one replicate is fitted to one part: its `Run`. What drives
runs (`stage`) and stores them (`checkpoint`) knows no more of an algorithm than is here.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from incbayes.core.errors import UserError
from incbayes.data.augmentation import Augmentation
from incbayes.data.part import Part
from incbayes.families.base import Family
from incbayes.inference.objective import Objective
from incbayes.inference.training import Training
from incbayes.likelihoods.base import Likelihood
from incbayes.networks.layers import Layer, State
from incbayes.networks.noise import Noise
from incbayes.posterior.build import Architecture
from incbayes.posterior.network import NetworkState, VariationalNetwork
from incbayes.priors.base import Prior, Source, Start

Stream = Callable[..., torch.Generator]
"""`stream(*names, device=…)`: the replicate's generator for a purpose."""

BESIDE = "_beside"
"""Ends the name of a tensor that an algorithm keeps beside the one of that name in a state."""

EpochRecord = dict[str, float]
"""One row of training.csv, without the replicate."""


class DivergenceError(UserError, RuntimeError):
    """The loss, a gradient or a parameter is no longer finite."""


@contextmanager
def divergence_of(replicate: int) -> Iterator[None]:
    """Say in the error of a divergence which replicate's it is."""
    try:
        yield
    except DivergenceError as error:
        raise DivergenceError(f"replicate {replicate}, {error}") from None


@dataclass(frozen=True)
class Snapshot:
    """A run between two steps, as a checkpoint stores it.

    Attributes:
        tensors: by name, all that the remaining steps depend on.
        progress: JSON values, such as the steps taken and the history.
    """

    tensors: dict[str, Tensor]
    progress: dict[str, Any]


@dataclass(frozen=True)
class FirstStage:
    """What a chain starts from, beside its prior.

    Attributes:
        family: the form of the posterior.
        layers: of the network; the last is the output layer.
        fresh: freshly initialised plain weights by layer name.
        source: what the source task left.
        noise: for starts that are drawn.
        fresh_of: further freshly initialised weights, of a stream that the names tell apart.
    """

    family: Family
    layers: list[Layer]
    fresh: Mapping[str, State]
    source: Source
    noise: Noise
    fresh_of: Callable[..., Mapping[str, State]]


@dataclass(frozen=True)
class Problem:
    """One part for one replicate, all tensors on one device.

    Attributes:
        network: holds the state at which the stage starts.
        prior: the state that the stage is regularised to.
        part: the images and labels, which fit in memory.
        training: epochs, minibatches, learning rates.
        objective: how likelihood and complexity are weighed.
        likelihood: of the labels given the network's outputs.
        stream: of the replicate's random numbers in this stage.
        architecture: of the network, to build plain ones like it.
        augmentation: how the images of a minibatch are changed; None for not at all.
        follows: whether `prior` is the posterior of an earlier part, and no first prior.
    """

    network: VariationalNetwork
    prior: NetworkState
    part: Part
    training: Training
    objective: Objective
    likelihood: Likelihood
    stream: Stream
    architecture: Architecture
    augmentation: Augmentation | None = None
    follows: bool = False


class Run(ABC):
    """The fit of one replicate to one part, which can stop and go on between any two steps.

    Attributes:
        epochs: passes over the part that it makes at most.
        batches: steps of an epoch.
        epoch: epochs that are finished.
        step: steps taken in the current epoch.
        history: a record for every finished epoch.
    """

    epochs: int
    batches: int
    epoch: int
    step: int
    history: list[EpochRecord]

    @property
    @abstractmethod
    def finished(self) -> bool:
        """Whether no step is left to take."""

    @abstractmethod
    def run(self, on_step: Callable[["Run"], None]) -> None:
        """Take the steps that are left, calling `on_step` after each.

        Raises:
            DivergenceError: naming epoch, step and tensor.
        """

    def end_stage(self) -> None:  # noqa: B027
        """Do what is left to do over the part's data once no step is; nothing by default.

        Called once before `state`, and again where a job was killed in between: it must depend on
        nothing but what `restore` brings back. A Laplace approximation computes its curvature here.

        Raises:
            DivergenceError: what it computes is not finite.
        """

    @abstractmethod
    def state(self) -> NetworkState:
        """Return detached copies of all tensors of the posterior, trained and carried."""

    @abstractmethod
    def snapshot(self) -> Snapshot:
        """Return everything that the remaining steps and `end_stage` depend on."""

    @abstractmethod
    def restore(self, snapshot: Snapshot) -> None:
        """Go on from `snapshot`, taken of a run that was set up alike, to the same bits."""


OnStep = Callable[[Mapping[int, Run]], None]
"""What is called after a step with the runs that took it, by replicate."""


class Algorithm(ABC):
    """How a posterior is found.

    Attributes:
        constraints: facts that planning reads, each of them optional. `families`: names of those
            that it can fit, all where absent. `predicts`: what alone it can be asked to predict,
            `classes` or `number`, either where absent. `step_cost`: a step as a multiple of that
            of `vi`. `bytes_per_weight`: memory for state, prior, gradients, moments and a
            checkpoint. `objective`: by key of a method's objective the values that it knows, all
            where a key is absent. `weighs_prior`: whether kl_scale must be above 0. `all_layers`:
            whether every layer must have the family's distribution. `all_parts`: whether every
            stage is fitted to all parts so far, from the first prior. `all_epochs`: whether no
            plateau may end a stage. `keeps`: the option that says how many images of earlier parts
            every stage is fitted to beside its own. `times`: the option that says how many networks
            are fitted.
    """

    constraints: ClassVar[dict[str, Any]] = {}

    def first_start(self, prior: Prior, stage: FirstStage) -> Start:
        """Return where stage 1 starts and what it is regularised to: as the prior says.

        A state may hold tensors of the algorithm's own beside those of the family, which leaves
        them alone. Those of the algorithm of a chain that is continued are left out (`BESIDE`).
        """
        start = prior.start(stage.family, stage.layers, stage.fresh, stage.source, stage.noise)
        return Start(_of_the_family(start.state), _of_the_family(start.prior))

    def later_start(self, parent: NetworkState) -> Start:
        """Return the start of stage t > 1: at, and regularised to, the posterior of t-1."""
        return Start(state=parent, prior=parent)

    def trained(self, family: Family, layer: Layer, state: State) -> Collection[str]:
        """Return the names of those tensors of a layer's state that become parameters.

        The others are carried: buffers of the network that have no gradient, and that change only
        where the run itself changes them. By default all are trained.
        """
        return state.keys()

    @abstractmethod
    def begin(self, problem: Problem) -> Run:
        """Return the run that fits one replicate to its part, with no step taken."""

    def incompatibility(self, runs: Sequence[Run]) -> str | None:
        """Return why runs of this algorithm cannot take their steps stacked, or None."""
        return "the inference algorithm fits one replicate at a time"

    def run_stacked(self, runs: Mapping[int, Run], on_step: OnStep) -> None:
        """Take the steps of all runs at once, until every one is finished.

        Args:
            runs: by replicate, with no `incompatibility` between them.
            on_step: called after every step.

        Raises:
            DivergenceError: naming replicate, epoch, step and tensor.
        """
        raise NotImplementedError(f"{type(self).__name__} has no stacked form")


def _of_the_family(state: NetworkState) -> NetworkState:
    return {
        layer: {key: tensor for key, tensor in own.items() if not key.endswith(BESIDE)}
        for layer, own in state.items()
    }
