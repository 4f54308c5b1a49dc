"""Fits stage t of a block and writes its posterior, its training history and its run record."""

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock

from incbayes.core.files import atomic_write, remove_stale_partials, writable
from incbayes.core.json_digest import digest
from incbayes.core.outside import is_outside
from incbayes.core.seal import Seal, seal_path, write_seal
from incbayes.data.images import ImageSource
from incbayes.inference.base import EpochRecord
from incbayes.inference.checkpoint import Checkpoint
from incbayes.inference.stage import (
    ReplicateTask,
    family_of,
    fit_block,
    takes_all_parts,
)
from incbayes.jobs.beginning import (
    Beginning,
    Given,
    continued_beginning,
    described_network,
    first_starts,
    later_starts,
    tasks_of,
)
from incbayes.jobs.request import (
    POSTERIOR,
    RUN,
    BlockRequest,
    ChainRequest,
    Machine,
    RunRecord,
    data_digest,
)
from incbayes.jobs.scaling import Numbers, described_pixels, scaling_numbers
from incbayes.jobs.sources import SourceFiles
from incbayes.kinds import ALGORITHMS
from incbayes.posterior.file import write_posterior
from incbayes.posterior.network import NetworkState
from incbayes.posterior.probe import MeanOf, probes_of
from incbayes.priors.base import Source


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
    if lineage.parent is not None:
        parent, seal = data.read_stage(lineage.parent, request.identity(t - 1))
        data.check_data(lineage.parent, parent, request.fitted(t - 1, cuts))
        if takes_all_parts(request.settings):
            starts = first_starts(request, images, cuts, dict.fromkeys(cuts, Source()))
        else:
            starts = later_starts(request, parent.states)
        numbers = scaling_numbers(request, images, cuts, [lineage.parent])
        beginning = Beginning(starts, numbers, parent.sha256, {"parent": seal})
    elif lineage.continued:
        beginning = continued_beginning(lineage.continued, request, images, cuts)
    else:
        sources = lineage.source.read(request, data.opened)
        starts = first_starts(request, images, cuts, sources.of)
        numbers = scaling_numbers(request, images, cuts, [lineage.source.weights])
        beginning = Beginning(starts, numbers, lineage.source.digest(), sources.seals)
    given = Given(images, cuts, request.fitted(t, cuts), data.seals())
    writer = stage_writer(request, t, given, beginning, outputs)
    fit_and_write(writer, tasks_of(given, beginning), images.shape, machine, device)


def stage_writer(
    request: ChainRequest, t: int, given: Given, beginning: Beginning, outputs: StageOutputs
) -> "StageWriter":
    """Return what writes stage t of a block once it is fitted."""
    classes = {replicate: cut.target_classes for replicate, cut in given.cuts.items()}
    fitted = Fitted(given.images, given.indices, classes, beginning.numbers)
    described = described_posterior(request, t, fitted, beginning.ancestry)
    described |= beginning.described
    return StageWriter(request, t, described, {**given.seals, **beginning.seals}, outputs)


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
        "prepared": to.images.sha256,
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
        write_posterior(outputs.posterior, states, {**self.described, **self._probes(states)})
        files = [outputs.posterior, outputs.training]
        said = ("data", "code", "torch", "given")
        facts = {key: self.described[key] for key in said if key in self.described}
        seal = write_seal(outputs.seal, POSTERIOR, identity, files, self.parents, facts)
        volatile = record.close({r: len(history) for r, history in histories.items()})
        write_seal(outputs.run, RUN, identity, parents={"posterior": seal}, facts=volatile)

    def _probes(self, states: Mapping[int, NetworkState]) -> dict[str, object]:
        """Return what the networks make of fixed inputs, for who predicts with other code."""
        described: Any = self.described
        stage = self.request.stage(self.t, tuple(described["network"]["shape"]))
        family, classes = family_of(self.request.settings), described["classes"]
        means = {
            replicate: MeanOf(stage.architecture(len(classes[str(replicate)])), family, state)
            for replicate, state in states.items()
        }
        return probes_of(means)


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
        record.go_on(checkpoint.before)
        algorithm = request.settings.inference.kind
        with ALGORITHMS.blamed(algorithm, "run") if is_outside(algorithm) else nullcontext():
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
