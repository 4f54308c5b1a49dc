"""Fits stage t of a block and writes its posterior, its training history and its run record."""

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import torch
from filelock import FileLock

from incbayes.core.files import atomic_write, remove_stale_partials, writable
from incbayes.core.json_digest import digest
from incbayes.core.options import with_all_options
from incbayes.core.outside import is_outside
from incbayes.core.seal import Seal, seal_path, write_seal
from incbayes.data.images import ImageSource
from incbayes.data.partition import Partition
from incbayes.data.pixels import PixelStatistics
from incbayes.inference.base import EpochRecord
from incbayes.inference.checkpoint import Checkpoint
from incbayes.inference.settings import IMPLIED
from incbayes.inference.stage import (
    ReplicateTask,
    first_start,
    fit_block,
    later_start,
    takes_all_parts,
)
from incbayes.jobs.continued import read_continued
from incbayes.jobs.request import (
    POSTERIOR,
    RUN,
    BlockRequest,
    ChainRequest,
    Machine,
    RunRecord,
    SourceFiles,
    data_digest,
)
from incbayes.jobs.scaling import Numbers, described_pixels, scaling_numbers
from incbayes.kinds import FAMILIES, LIKELIHOODS, MODELS
from incbayes.posterior.file import write_posterior
from incbayes.posterior.network import NetworkState
from incbayes.priors.base import Source, Start
from incbayes.study.model.base import to_plain


@dataclass(frozen=True)
class StageOutputs:
    """The files of a stage, each of which appears whole or not at all.

    The seal comes after what it seals; the run record, which is no artifact, after the seal.
    """

    posterior: Path
    training: Path
    run: Path

    @property
    def seal(self) -> Path:
        """The seal of the posterior and of how it was trained."""
        return seal_path(self.posterior)

    @property
    def checkpoint(self) -> Path:
        """The mid-stage checkpoint, which Snakemake does not know and so does not delete."""
        return self.posterior.with_name(".checkpoint.safetensors")


@dataclass(frozen=True)
class Lineage:
    """What stage t follows from; for t = 1 no stage of its own chain.

    Attributes:
        parent: posterior of stage t-1.
        source: for t = 1, what the source task left.
        continued: for t = 1, posteriors of the chain that this one goes on from, with the SHA-256
            that each had when the job was planned.
    """

    parent: Path | None
    source: SourceFiles = SourceFiles()
    continued: Mapping[Path, str] = field(default_factory=dict)


def run_stage(
    request: BlockRequest,
    t: int,
    lineage: Lineage,
    outputs: StageOutputs,
    machine: Machine,
) -> None:
    """Fit stage t of a block and write its files.

    Raises:
        UserError: the parent is not of this run, data are damaged, or training diverged; the
            parent stays as it is and no output appears.
    """
    device = machine.prepare()
    data = request.open(device)
    images, cuts = data.train, data.parts.cuts
    indices = request.fitted(t, cuts)
    continues: Mapping[str, object] = {}
    if lineage.parent is not None:
        parent, seal = data.read_stage(lineage.parent, request.identity(t - 1))
        data.check_data(lineage.parent, parent, request.fitted(t - 1, cuts))
        ancestry, seals = parent.sha256, {"parent": seal}
        if takes_all_parts(request.settings):
            starts = first_starts(request, images, cuts, dict.fromkeys(cuts, Source()))
        else:
            starts = later_starts(request, parent.states)
        numbers = scaling_numbers(request, images, cuts, [lineage.parent])
    elif lineage.continued:
        network = described_network(request, images.shape)
        going_on = read_continued(lineage.continued, request, images, cuts, network)
        ancestry, seals, numbers = going_on.digest, going_on.seals, going_on.numbers
        starts = first_starts(request, images, cuts, going_on.sources)
        continues = going_on.described
    else:
        sources = lineage.source.read(request, data)
        ancestry, seals = lineage.source.digest(), sources.seals
        starts = first_starts(request, images, cuts, sources.of)
        numbers = scaling_numbers(request, images, cuts, [lineage.source.weights])
    classes = {replicate: cut.target_classes for replicate, cut in cuts.items()}
    described = described_posterior(request, t, Fitted(images, indices, classes, numbers), ancestry)
    described |= continues
    tasks = {
        replicate: task_of(images, indices[replicate], cut, starts[replicate], numbers[replicate])
        for replicate, cut in cuts.items()
    }
    writer = StageWriter(request, t, described, data.seals() | seals, outputs)
    fit_and_write(writer, tasks, data.train.shape, machine, device)


@dataclass(frozen=True)
class Fitted:
    """What the replicates of a block are fitted to.

    Attributes:
        images: of the data set, for training.
        indices: of a replicate's own among them, by replicate.
        classes: of a replicate's task, by replicate.
        numbers: that its pixels are scaled by, by replicate.
    """

    images: ImageSource
    indices: Mapping[int, Sequence[int]]
    classes: Mapping[int, Sequence[int]]
    numbers: Numbers


def described_posterior(
    request: ChainRequest, t: int, to: Fitted, parent: str | None
) -> dict[str, object]:
    """Return the metadata of the posterior of stage t.

    Args:
        request: of the block.
        t: the stage.
        to: what it is fitted to.
        parent: sha256 of what it starts from, or None.
    """
    return request.identity(t) | {
        "artifact": POSTERIOR,
        "pixels": described_pixels(request, to.numbers),
        "parent": parent,
        "data": data_digest(to.images, to.indices),
        "images": {str(replicate): len(chosen) for replicate, chosen in to.indices.items()},
        "classes": {str(replicate): list(classes) for replicate, classes in to.classes.items()},
        "class_names": {
            str(replicate): [to.images.class_names[number] for number in classes]
            for replicate, classes in to.classes.items()
        },
        "network": described_network(request, to.images.shape),
        **({"decoding": to.images.decoding} if to.images.decoding else {}),
        **({"table": to.images.table.facts} if to.images.table else {}),
        "code": request.code,
        "torch": torch.__version__,
    }


def described_network(request: ChainRequest, shape: tuple[int, ...]) -> dict[str, object]:
    """Return what it takes, beside the states, to predict: every kind with all its options."""
    parts = {"model": MODELS, "family": FAMILIES, "likelihood": LIKELIHOODS}
    specs = {name: to_plain(getattr(request.settings, name)) for name in parts}
    described = {
        name: specs[name]  # of a class of the user's own, what the study states
        if is_outside(specs[name]["kind"])
        else with_all_options(specs[name], registry.build(specs[name]))
        for name, registry in parts.items()
    }
    chosen = {
        key: to_plain(getattr(request.settings, key)) for key in ("bayesian", "normalisation")
    }
    unusual = {key: value for key, value in chosen.items() if value != IMPLIED[key]}
    return described | {"shape": list(shape)} | unusual


@dataclass(frozen=True)
class StageWriter:
    """Writes what a job that fits leaves.

    Attributes:
        request: of the block.
        t: the stage.
        described: the posterior's metadata.
        parents: seals of what it is made from, by role.
        outputs: where it goes.
    """

    request: ChainRequest
    t: int
    described: Mapping[str, object]
    parents: Mapping[str, Seal]
    outputs: StageOutputs

    def write(
        self,
        states: Mapping[int, NetworkState],
        histories: Mapping[int, list[EpochRecord]],
        record: RunRecord,
    ) -> None:
        """Write training history, posterior, their seal, and the run record."""
        outputs, identity = self.outputs, self.request.identity(self.t)
        _write_training(outputs.training, histories)
        write_posterior(outputs.posterior, states, self.described)
        files = [outputs.posterior, outputs.training]
        said = ("data", "code", "torch", "given")
        facts = {key: self.described[key] for key in said if key in self.described}
        seal = write_seal(outputs.seal, POSTERIOR, identity, files, self.parents, facts)
        volatile = record.close({r: len(history) for r, history in histories.items()})
        write_seal(outputs.run, RUN, identity, parents={"posterior": seal}, facts=volatile)


def fit_and_write(
    writer: StageWriter,
    tasks: Mapping[int, Callable[[], ReplicateTask]],
    shape: tuple[int, ...],
    machine: Machine,
    device: torch.device,
) -> None:
    """Fit a block's tasks under an exclusive claim on the outputs, and write them.

    The claim is a lock file: a job that an earlier, killed Snakemake left running is waited
    for, so that two never write one artifact.
    """
    request, outputs = writer.request, writer.outputs
    record = RunRecord(machine, device)
    with _claimed(outputs.posterior.parent):
        record.remember(outputs.posterior.parent)
        identity = digest(writer.described)
        checkpoint = Checkpoint(outputs.checkpoint, identity, machine.checkpoint_seconds)
        fitted = fit_block(
            request.stage(writer.t, shape),
            tasks,
            checkpoint,
            machine.listener,
            machine.stacked(device),
        )
        histories = {replicate: history for replicate, (_, history) in fitted.items()}
        states = {replicate: state for replicate, (state, _) in fitted.items()}
        writer.write(states, histories, record)
        checkpoint.delete()


@contextmanager
def _claimed(folder: Path) -> Iterator[None]:
    """Hold the claim on a folder, and clear it of what killed writers left there.

    Raises:
        FileError: the folder may not be written to.
    """
    lock = FileLock(folder / ".claim")
    with writable(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    try:
        remove_stale_partials(folder)
        yield
    finally:
        lock.release()


def task_of(
    images: ImageSource,
    indices: Sequence[int],
    cut: Partition,
    start: Callable[[], Start],
    numbers: PixelStatistics | None,
) -> Callable[[], ReplicateTask]:
    """Return what loads a replicate's task: the images at `indices`, and where it starts.

    Args:
        images: of the data set, or of the part.
        indices: of the part, in them.
        cut: says which classes the task has.
        start: makes the start.
        numbers: that the pixels are scaled by.
    """

    def load() -> ReplicateTask:
        part = images.load(indices, cut.target_classes, numbers)
        return ReplicateTask(part, start(), len(cut.target_classes))

    return load


def later_starts(
    request: ChainRequest, states: Mapping[int, NetworkState]
) -> dict[int, Callable[[], Start]]:
    """Return what makes the start of a stage after the first, by replicate.

    Args:
        request: of the block.
        states: by replicate, the posterior of the stage before.
    """

    def start(replicate: int):
        return later_start(request.settings, states[replicate])

    return {replicate: partial(start, replicate) for replicate in states}


def first_starts(
    request: ChainRequest,
    images: ImageSource,
    cuts: Mapping[int, Partition],
    sources: Mapping[int, Source],
) -> dict[int, Callable[[], Start]]:
    """Return what makes the start of stage 1, by replicate.

    Args:
        request: of the block.
        images: that it is fitted to.
        cuts: by replicate, which of them, and of which classes.
        sources: by replicate, what its prior is made of.
    """
    stage = request.stage(1, images.shape)

    def start(replicate: int):
        outputs = len(cuts[replicate].target_classes)
        return first_start(stage, replicate, outputs, sources[replicate])

    return {replicate: lambda replicate=replicate: start(replicate) for replicate in cuts}


def _write_training(path: Path, histories: Mapping[int, list[EpochRecord]]) -> None:
    """Write one row per replicate and epoch; floats as their shortest exact text."""
    columns = ["replicate"]
    for history in histories.values():
        columns += [key for record in history[:1] for key in record if key not in columns]
    with atomic_write(path) as partial, open(partial, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        for replicate, history in histories.items():
            writer.writerows({"replicate": replicate, **record} for record in history)
