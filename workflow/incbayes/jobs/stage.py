"""Fits stage t of a block and writes its posterior, its training history and its run record."""

import csv
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from filelock import FileLock

from incbayes.data.partition import Partition
from incbayes.files import atomic_write, remove_stale_partials, writable, write_json
from incbayes.images import ImageSource
from incbayes.inference.checkpoint import Checkpoint
from incbayes.inference.optimisation import EpochRecord
from incbayes.inference.stage import ReplicateTask, first_start, fit_block, later_start
from incbayes.jobs.request import (
    BlockRequest,
    Machine,
    RunRecord,
    SourceFiles,
    data_digest,
    digest,
)
from incbayes.jobs.voice import Voice
from incbayes.posterior import read_posterior, write_posterior
from incbayes.variational import NetworkState


@dataclass(frozen=True)
class StageOutputs:
    """The files of a stage; the posterior appears last, and each whole or not at all."""

    posterior: Path
    training: Path
    run: Path

    @property
    def checkpoint(self) -> Path:
        """The mid-stage checkpoint, which Snakemake does not know and so does not delete."""
        return self.posterior.with_name(".checkpoint.safetensors")


@dataclass(frozen=True)
class Lineage:
    """What stage t follows from: the parent posterior, or for t = 1 the source task's files."""

    parent: Path | None
    source: SourceFiles


def run_stage(
    request: BlockRequest,
    t: int,
    lineage: Lineage,
    outputs: StageOutputs,
    machine: Machine,
    voice: Voice,
) -> None:
    """Fit stage t of a block and write its files.

    Raises:
        UserError: the parent is not of this run, data are damaged, or training diverged; the
            parent stays as it is and no output appears.
    """
    device = machine.prepare()
    images = request.images("train", device)
    cuts = {replicate: request.cut(replicate) for replicate in request.replicates}
    indices = {replicate: cut.parts[t - 1] for replicate, cut in cuts.items()}
    if lineage.parent is not None:
        parent = read_posterior(lineage.parent, request.identity(t - 1))
        ancestry, starts = parent.sha256, _later_starts(parent.states)
    else:
        sources = lineage.source.read(request.settings.prior, request.replicates)
        ancestry = lineage.source.digest()
        starts = _first_starts(request, images, cuts, sources)
    described = request.identity(t) | {
        "artifact": "posterior",
        "parent": ancestry,
        "data": data_digest(images, indices),
        "images": {str(replicate): len(chosen) for replicate, chosen in indices.items()},
        "classes": {str(replicate): list(cut.target_classes) for replicate, cut in cuts.items()},
        "code": request.code,
        "torch": torch.__version__,
    }
    tasks = {
        replicate: _task(images, indices[replicate], cut, starts[replicate])
        for replicate, cut in cuts.items()
    }
    fit_and_write(request, tasks, images, t, described, outputs, machine, device, voice)


def fit_and_write(
    request: BlockRequest,
    tasks: Mapping[int, Callable[[], ReplicateTask]],
    images: ImageSource,
    t: int,
    described: Mapping[str, object],
    outputs: StageOutputs,
    machine: Machine,
    device: torch.device,
    voice: Voice,
) -> None:
    """Fit a block's tasks under an exclusive claim on the outputs, and write them.

    The claim is a lock file: a job that an earlier, killed Snakemake left running is waited
    for, so that two never write one artifact.
    """
    record = RunRecord(machine, device)
    with _claimed(outputs.posterior.parent):
        identity = digest(described)
        checkpoint = Checkpoint(outputs.checkpoint, identity, machine.checkpoint_seconds)
        fitted = fit_block(
            request.settings,
            tasks,
            images.shape,
            request.names(t),
            checkpoint,
            voice.narrate,
            machine.together(device),
            voice.say,
        )
        histories = {replicate: history for replicate, (_, history) in fitted.items()}
        _write_training(outputs.training, histories)
        write_json(outputs.run, record.close({r: len(h) for r, h in histories.items()}))
        states = {replicate: state for replicate, (state, _) in fitted.items()}
        write_posterior(outputs.posterior, states, described)
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


def _task(
    images: ImageSource, indices, cut: Partition, start: Callable[[], object]
) -> Callable[[], ReplicateTask]:
    def load() -> ReplicateTask:
        part = images.load(indices, cut.target_classes)
        return ReplicateTask(part, start(), len(cut.target_classes))

    return load


def _later_starts(states: Mapping[int, NetworkState]):
    return {
        replicate: lambda state=state: later_start(state) for replicate, state in states.items()
    }


def _first_starts(request: BlockRequest, images: ImageSource, cuts, sources):
    def start(replicate: int):
        classes = len(cuts[replicate].target_classes)
        source, names = sources[replicate], request.names(1)
        return first_start(request.settings, images.shape, classes, source, names, replicate)

    return {replicate: lambda replicate=replicate: start(replicate) for replicate in cuts}


def _write_training(path: Path, histories: Mapping[int, list[EpochRecord]]) -> None:
    """Write one row per replicate and epoch; floats as their shortest exact text."""
    columns = ["replicate"]
    for history in histories.values():
        columns += [key for key in history[0] if key not in columns]
    with atomic_write(path) as partial, open(partial, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        for replicate, history in histories.items():
            writer.writerows({"replicate": replicate, **record} for record in history)
