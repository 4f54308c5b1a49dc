"""Fits one stage for the replicates of a block: where it starts, what pulls it, what it returns.

It knows families, priors and the parent posterior; how a part is optimised is
`optimisation`'s affair, and which files these come from is the caller's.
"""

import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import Any

import torch

from incbayes.errors import TERMINATED
from incbayes.families import FAMILIES
from incbayes.families.base import Family
from incbayes.inference.checkpoint import Checkpoint
from incbayes.inference.optimisation import (
    EpochRecord,
    Optimisation,
    Part,
    Stream,
    divergence_of,
)
from incbayes.inference.together import AfterStep, obstacle, train_together
from incbayes.inference.training import Training
from incbayes.layers import layers_of, plain_weights
from incbayes.networks import fresh_network, variational
from incbayes.noise import GeneratorNoise
from incbayes.objective import Objective
from incbayes.priors import PRIORS
from incbayes.priors.base import Prior, Source, Start
from incbayes.streams import stream_seed, torch_stream
from incbayes.variational import NetworkState


@dataclass(frozen=True)
class Names:
    """What the streams of a replicate are named by, beside the purpose.

    Initial weights hang on experiment and replicate alone, order and noise also on T and t,
    and nothing hangs on the method: methods are paired on a replicate.
    """

    seed: int
    experiment: str
    parts: int
    t: int

    def stream(self, replicate: int) -> Stream:
        """Return the source of the replicate's generators for this stage."""

        def named(*names: str | int, device: torch.device | str = "cpu") -> torch.Generator:
            path = (self.experiment, f"T{self.parts}", f"t{self.t}", replicate, *names)
            return torch_stream(self.seed, *path, device=str(device))

        return named

    def initial_seed(self, replicate: int) -> int:
        """Return the seed of the replicate's fresh weights."""
        return stream_seed(self.seed, self.experiment, replicate, "initialisation")


@dataclass(frozen=True)
class StageSettings:
    """The settings of a method in an experiment, resolved; every value is a plain JSON value."""

    family: Mapping[str, Any]
    prior: Mapping[str, Any]
    training: Mapping[str, Any]
    objective: Mapping[str, Any]
    model: Mapping[str, Any]


def first_start(
    settings: StageSettings,
    shape: tuple[int, int, int],
    classes: int,
    source: Source,
    names: Names,
    replicate: int,
) -> Start:
    """Return the start of stage 1: the method's prior, and q around its starting weights."""
    family: Family = FAMILIES.build(settings.family)
    network = fresh_network(settings.model, shape, classes, names.initial_seed(replicate))
    noise = GeneratorNoise(names.stream(replicate)("start"))
    prior: Prior = PRIORS.build(settings.prior)
    return prior.start(family, layers_of(network), plain_weights(network), source, noise)


def later_start(parent: NetworkState) -> Start:
    """Return the start of stage t > 1: at, and regularised to, the posterior of t-1."""
    return Start(state=parent, prior=parent)


@dataclass(frozen=True)
class ReplicateTask:
    """What one replicate is fitted to, and from."""

    part: Part
    start: Start
    classes: int


def fit_block(
    settings: StageSettings,
    tasks: Mapping[int, Callable[[], ReplicateTask]],
    shape: tuple[int, int, int],
    names: Names,
    checkpoint: Checkpoint,
    narrate: Callable[[int, Optimisation], None],
    together: bool = False,
    say: Callable[[str], None] = lambda line: None,
) -> dict[int, tuple[NetworkState, list[EpochRecord]]]:
    """Fit every replicate of a block, going on from the checkpoint where there is one.

    Args:
        settings: of the method.
        tasks: by replicate, a function that loads its data and start.
        shape: [C, H, W] of an image.
        names: of the random streams.
        checkpoint: what is done already, and where progress is kept.
        narrate: called after every step with the replicate and its optimisation.
        together: take the steps of all replicates at once, where nothing forbids it.
        say: is told what forbids it.

    Returns:
        By replicate, the variational parameters (on the CPU) and the epochs' records.

    Raises:
        DivergenceError: naming replicate, epoch, step and tensor.
        SystemExit: 143 after SIGTERM, once the checkpoint is written.
    """

    def prepared(replicate: int) -> Optimisation:
        stream = names.stream(replicate)
        optimisation = _optimisation(settings, tasks[replicate](), shape, stream)
        snapshot = checkpoint.running(replicate)
        if snapshot is not None:
            optimisation.restore(snapshot)
        return optimisation

    waiting = [replicate for replicate in tasks if checkpoint.finished(replicate) is None]
    with _Interruption() as interruption:
        for group in _groups(waiting, prepared, together, say):

            def after_step(stepped: Mapping[int, Optimisation], group=group) -> None:
                for replicate, optimisation in stepped.items():
                    narrate(replicate, optimisation)
                if checkpoint.due or interruption.requested:
                    checkpoint.write({r: current.snapshot() for r, current in group.items()})
                if interruption.requested:
                    sys.exit(TERMINATED)

            _train(group, after_step)
            for replicate, optimisation in group.items():
                state = {
                    layer: {key: value.cpu() for key, value in parameters.items()}
                    for layer, parameters in optimisation.network.state().items()
                }
                checkpoint.finish(replicate, state, optimisation.history)
    return {replicate: checkpoint.finished(replicate) for replicate in tasks}


def _groups(
    waiting: Sequence[int],
    prepared: Callable[[int], Optimisation],
    together: bool,
    say: Callable[[str], None],
) -> Iterator[dict[int, Optimisation]]:
    """Yield the replicates that are trained at once: all, or one after the other."""
    if not together or len(waiting) < 2:
        for replicate in waiting:
            yield {replicate: prepared(replicate)}
        return
    block = {replicate: prepared(replicate) for replicate in waiting}
    reason = obstacle(list(block.values()))
    if reason is None:
        yield block
        return
    say(f"replicates are fitted in turn: {reason}")
    for replicate, optimisation in block.items():
        yield {replicate: optimisation}


def _train(group: Mapping[int, Optimisation], after_step: AfterStep) -> None:
    """Train a group until it is finished; a replicate alone by the plain loop."""
    if len(group) > 1:
        train_together(group, after_step)
        return
    ((replicate, optimisation),) = group.items()
    with divergence_of(replicate):
        optimisation.run(lambda current: after_step({replicate: current}))


def _optimisation(
    settings: StageSettings, task: ReplicateTask, shape: tuple[int, int, int], stream: Stream
) -> Optimisation:
    family: Family = FAMILIES.build(settings.family)
    device = task.part.images.device
    network = variational(settings.model, shape, task.classes, family, task.start.state)
    prior = {
        layer: {key: value.to(device) for key, value in parameters.items()}
        for layer, parameters in task.start.prior.items()
    }
    training, objective = Training.of(settings.training), Objective(**settings.objective)
    return Optimisation(network.to(device), prior, task.part, training, objective, stream)


class _Interruption:
    """Notes SIGTERM, which schedulers send before they kill, instead of dying of it."""

    def __init__(self):
        self.requested = False

    def __enter__(self) -> "_Interruption":
        self._previous = signal.signal(signal.SIGTERM, self._note)
        return self

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.requested = True

    def __exit__(self, *exception: object) -> None:
        signal.signal(signal.SIGTERM, self._previous)
