"""Fits one stage for the replicates of a block: where it starts, to what, and what comes out.

It knows an algorithm's runs by their common interface, and neither how they take their steps nor
which files their part and their start come from.
"""

import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import Any

import torch

from incbayes.core.errors import STOP_SIGNALS, stopped_by
from incbayes.core.streams import stream_seed, torch_stream
from incbayes.data.augmentation import Augmentation
from incbayes.data.part import Part
from incbayes.families.base import Family
from incbayes.families.mixed import Mixed, mixed
from incbayes.inference.base import (
    Algorithm,
    EpochRecord,
    FirstStage,
    OnStep,
    Problem,
    Run,
    Stream,
    divergence_of,
)
from incbayes.inference.checkpoint import Checkpoint
from incbayes.inference.listener import Listener
from incbayes.inference.objective import Objective
from incbayes.inference.settings import StageSettings
from incbayes.inference.training import Training
from incbayes.kinds import ALGORITHMS, FAMILIES, LIKELIHOODS, PRIORS
from incbayes.likelihoods.base import Likelihood
from incbayes.networks.layers import Layer, NetworkError, layers_of, plain_weights
from incbayes.networks.noise import GeneratorNoise
from incbayes.posterior.build import Architecture, fresh_network, variational
from incbayes.posterior.network import NetworkState, check_held
from incbayes.priors.base import Prior, Source, Start


@dataclass(frozen=True)
class StreamKeys:
    """What the random streams of a replicate are derived from, beside their purpose.

    Initial weights depend on experiment and replicate alone, order and noise also on T and t.
    None depends on the method, so that methods are paired on a replicate. A stream of parts has no
    T: what its stages draw does not depend on how many parts come after.
    """

    seed: int
    experiment: str
    parts: int | None
    t: int

    def stream(self, replicate: int) -> Stream:
        """Return the source of the replicate's generators for this stage."""

        def named(*names: str | int, device: torch.device | str = "cpu") -> torch.Generator:
            chain = "stream" if self.parts is None else f"T{self.parts}"
            path = (self.experiment, chain, f"t{self.t}", replicate, *names)
            return torch_stream(self.seed, *path, device=str(device))

        return named

    def initial_seed(self, replicate: int, *names: str | int) -> int:
        """Return the seed of the replicate's fresh weights, or of further ones by their names."""
        return stream_seed(self.seed, self.experiment, replicate, "initialisation", *names)


@dataclass(frozen=True)
class BlockStage:
    """What the replicates of a block have in common in one stage.

    Attributes:
        settings: of the method.
        shape: of one input, [C, H, W] of an image.
        keys: of the random streams.
    """

    settings: StageSettings
    shape: tuple[int, ...]
    keys: StreamKeys

    def architecture(self, classes: int) -> Architecture:
        """Return the network of a replicate whose task has so many classes."""
        likelihood: Likelihood = LIKELIHOODS.build(self.settings.likelihood)
        return Architecture(self.settings.model, self.shape, likelihood.outputs(classes))


def first_start(stage: BlockStage, replicate: int, classes: int, source: Source) -> Start:
    """Return the start of stage 1: the method's prior, and q around its starting weights.

    Args:
        stage: the first.
        replicate: which.
        classes: of its task.
        source: what the source task left.
    """
    settings, keys = stage.settings, stage.keys
    family = family_of(settings)
    architecture = stage.architecture(classes)
    network = fresh_network(architecture, keys.initial_seed(replicate))
    layers = layers_of(network)
    check_family(family, layers, settings.model.kind)
    noise = GeneratorNoise(keys.stream(replicate)("start"))
    prior: Prior = PRIORS.build(settings.prior)
    algorithm: Algorithm = ALGORITHMS.build(settings.inference)

    def fresh_of(*names: str | int) -> NetworkState:
        return plain_weights(fresh_network(architecture, keys.initial_seed(replicate, *names)))

    first = FirstStage(family, layers, plain_weights(network), source, noise, fresh_of)
    return algorithm.first_start(prior, first)


def family_of(settings: StageSettings) -> Family:
    """Return the family of the posterior, over the layers that are Bayesian."""
    return mixed(FAMILIES.build(settings.family), settings.bayesian, settings.normalisation)


def check_family(family: Family, layers: Sequence[Layer], model: str) -> None:
    """Check that a family can be over a network's layers, and that they are named as they are.

    Raises:
        NetworkError: naming the model, and the layer or the pattern.
    """
    try:
        if isinstance(family, Mixed):
            family.check(layers)
        for layer in layers:
            check_held(family, layer)
    except NetworkError as error:
        raise NetworkError(f"model {model}, {error}") from None


def takes_all_parts(settings: StageSettings) -> bool:
    """Return whether every stage is fitted to all parts so far, and starts as the first does."""
    facts: Mapping[str, Any] = ALGORITHMS[settings.inference["kind"]].constraints
    return bool(facts.get("all_parts", False))


def images_kept(settings: StageSettings) -> int:
    """Return how many images of earlier parts a stage is fitted to beside its own."""
    algorithm: Algorithm = ALGORITHMS.build(settings.inference)
    option = algorithm.constraints.get("keeps")
    return 0 if option is None else int(getattr(algorithm, option))


def networks_fitted(settings: StageSettings) -> int:
    """Return how many networks a replicate has: several of an ensemble."""
    algorithm: Algorithm = ALGORITHMS.build(settings.inference)
    option = algorithm.constraints.get("times")
    return 1 if option is None else int(getattr(algorithm, option))


def _continues(settings: StageSettings) -> bool:
    """Return whether the first prior is the posterior of another chain."""
    facts: Mapping[str, Any] = PRIORS[settings.prior["kind"]].constraints
    return "continues" in facts


def later_start(settings: StageSettings, parent: NetworkState) -> Start:
    """Return the start of stage t > 1 from the posterior of t-1."""
    algorithm: Algorithm = ALGORITHMS.build(settings.inference)
    return algorithm.later_start(parent)


@dataclass(frozen=True)
class ReplicateTask:
    """What one replicate is fitted to, and from.

    Attributes:
        part: the data.
        start: where it starts.
        classes: of its task.
    """

    part: Part
    start: Start
    classes: int


FittedReplicate = tuple[NetworkState, list[EpochRecord]]
"""The tensors of a posterior, on the CPU, and the epochs' records."""


def fit_block(
    stage: BlockStage,
    tasks: Mapping[int, Callable[[], ReplicateTask]],
    checkpoint: Checkpoint,
    listener: Listener,
    stacked: bool = False,
) -> dict[int, FittedReplicate]:
    """Fit every replicate of a block, going on from the checkpoint where there is one.

    Args:
        stage: what they have in common.
        tasks: by replicate, a function that loads its data and start.
        checkpoint: what is done already, and where progress is kept.
        listener: hears of every step, and why replicates are not stacked where that is asked.
        stacked: take the steps of all replicates at once, where the algorithm can.

    Returns:
        By replicate, the tensors of its posterior and the epochs' records.

    Raises:
        DivergenceError: naming replicate, epoch, step and tensor.
        SystemExit: 143 after SIGTERM, 130 after SIGINT, once the checkpoint is written.
    """
    algorithm: Algorithm = ALGORITHMS.build(stage.settings.inference)

    def prepared(replicate: int) -> Run:
        stream = stage.keys.stream(replicate)
        run = algorithm.begin(_problem(stage, algorithm, tasks[replicate](), stream))
        snapshot = checkpoint.running(replicate)
        if snapshot is not None:
            run.restore(snapshot)
        return run

    found = {replicate: checkpoint.finished(replicate) for replicate in tasks}
    waiting = [replicate for replicate, fitted in found.items() if fitted is None]
    with _Interruption() as interruption:
        for group in _groups(algorithm, waiting, prepared, listener.log if stacked else None):

            def on_step(stepped: Mapping[int, Run], group: dict[int, Run] = group) -> None:
                for replicate, run in stepped.items():
                    listener.on_step(replicate, run)
                stop = interruption.signal
                if checkpoint.due or stop:
                    checkpoint.write({r: current.snapshot() for r, current in group.items()})
                if stop:
                    sys.exit(stopped_by(stop))

            _take_steps(algorithm, group, on_step)
            for replicate, run in group.items():
                with divergence_of(replicate):
                    run.end_stage()
                state = {
                    layer: {key: value.cpu() for key, value in tensors.items()}
                    for layer, tensors in run.state().items()
                }
                checkpoint.finish(replicate, state, run.history)
                found[replicate] = state, run.history
    return {replicate: fitted for replicate, fitted in found.items() if fitted is not None}


def _groups(
    algorithm: Algorithm,
    waiting: Sequence[int],
    prepared: Callable[[int], Run],
    log: Callable[[str], None] | None,
) -> Iterator[dict[int, Run]]:
    """Yield the replicates that are fitted at once: all, or one after the other.

    `log` is told why all cannot be; None where they are not to be.
    """
    if log is None or len(waiting) < 2:
        for replicate in waiting:
            yield {replicate: prepared(replicate)}
        return
    block = {replicate: prepared(replicate) for replicate in waiting}
    reason = algorithm.incompatibility(list(block.values()))
    if reason is None:
        yield block
        return
    log(f"replicates are fitted in turn: {reason}")
    for replicate, run in block.items():
        yield {replicate: run}


def _take_steps(algorithm: Algorithm, group: Mapping[int, Run], on_step: OnStep) -> None:
    """Take the steps of a group until none is left; those of one replicate by its own loop."""
    if len(group) > 1:
        algorithm.run_stacked(group, on_step)
        return
    ((replicate, run),) = group.items()
    with divergence_of(replicate):
        run.run(lambda current: on_step({replicate: current}))


def _problem(
    stage: BlockStage, algorithm: Algorithm, task: ReplicateTask, stream: Stream
) -> Problem:
    settings = stage.settings
    family = family_of(settings)
    device, start = task.part.images.device, task.start
    architecture = stage.architecture(task.classes)
    network = variational(architecture, family, start.state, algorithm.trained)
    prior = {
        layer: {key: value.to(device) for key, value in tensors.items()}
        for layer, tensors in start.prior.items()
    }
    return Problem(
        network.to(device),
        prior,
        task.part,
        Training.of(settings.training),
        Objective.of(settings.objective),
        LIKELIHOODS.build(settings.likelihood),
        stream,
        architecture,
        Augmentation.of(settings.augmentation),
        follows=(stage.keys.t > 1 or _continues(settings)) and not takes_all_parts(settings),
    )


class _Interruption:
    """Notes the signals that tell a job to stop, instead of dying of them.

    Attributes:
        signal: the number of the first that came, or None.
    """

    def __init__(self) -> None:
        self.signal: int | None = None

    def __enter__(self) -> "_Interruption":
        self._previous = {number: signal.signal(number, self._note) for number in STOP_SIGNALS}
        return self

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.signal = self.signal or number

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
