"""Fits the stage of a part that has arrived: from the posterior before, and from its part alone."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from incbayes.core.errors import UserError
from incbayes.core.seal import Seal, SealError, read_seal, seal_path
from incbayes.data.images import ImageSource
from incbayes.data.partition import Partition
from incbayes.jobs.beginning import (
    Beginning,
    Given,
    continued_beginning,
    first_starts,
    later_starts,
    tasks_of,
)
from incbayes.jobs.fit import Lineage, StageOutputs, fit_and_write, stage_writer
from incbayes.jobs.meaning import check_classes, check_inputs
from incbayes.jobs.repeats import Duplicates, check_repeats
from incbayes.jobs.request import (
    POSTERIOR,
    ChainRequest,
    Machine,
    Opened,
    data_digest,
    read_sealed_posterior,
)
from incbayes.jobs.scaling import scaling_numbers
from incbayes.posterior.file import Posterior
from incbayes.study.stream_seals import DATASET, data_folder


class PartError(UserError, ValueError):
    """A part that no stage may be fitted to, and why."""


@dataclass(frozen=True, kw_only=True)
class PartRequest(ChainRequest):
    """A chain over a stream of parts, at one of them.

    Attributes:
        part: name of the part.
        data: folder of its prepared images.
        before: name of the part of stage t-1; None for the first.
        dataset: what the study states of the stream, for the seals of its stages.
        duplicates: what to do where the part has something of an earlier one, or of `test`.
    """

    part: str
    data: Path
    before: str | None = None
    dataset: Mapping[str, Any] = field(default_factory=dict)
    duplicates: Duplicates = "refuse"

    def check_repeats(self, t: int, posterior: Path, log: Callable[[str], None]) -> None:
        """Compare the part with those of the stages before t, and all of them with the test images.

        Args:
            t: the stage.
            posterior: file of its posterior, beside those of the stages before.
            log: is told what is in two of them, where that is allowed.

        Raises:
            RepeatError: something is, and it is not allowed.
        """
        check_repeats(self.data, posterior.parent, t, self.duplicates, log)

    def count(self, t: int) -> None:
        """Return None: nothing that a stage computes depends on how many parts there are."""

    def identity(self, t: int) -> dict[str, Any]:
        """Return the metadata of the artifacts of stage t, whose part this is."""
        return self._identity_of(t, self.part)

    def _identity_of(self, t: int, part: str | None) -> dict[str, Any]:
        stated = {DATASET: dict(self.dataset)} if self.dataset else {}
        return super().identity(t) | {"part": part} | stated

    def images(self, split: str, device: torch.device) -> ImageSource:
        """Open `train` or `test` of the part: what is fitted to, or what was held out."""
        return ImageSource.open(self.data, split, self.pixels, device)

    def opened(self, device: torch.device) -> Opened:
        """Open the training images of the part, which are the part of every replicate."""
        images = self.images("train", device)
        cuts = dict.fromkeys(self.replicates, self.cut(images))
        return Opened(images, cuts, {"images": images.seal})

    def cut(self, images: ImageSource) -> Partition:
        """Return all images of the part as the one part of a partition, with all classes."""
        everything = np.arange(len(images.split.labels), dtype=np.int64)
        classes = tuple(range(len(images.checksums["classes"])))
        return Partition((everything,), np.empty(0, np.int64), (), classes)

    def read_before(self, path: Path, t: int) -> tuple[Posterior, Seal]:
        """Return the posterior of stage t-1, verified, and its seal.

        Raises:
            SealError: it is damaged, edited, of another run or setting, of another part, or of a
                data set of which something else was stated.
            PosteriorError: its content is not what its metadata say.
        """
        return self._read(path, self._identity_of(t - 1, self.before), {})

    def read_own(self, path: Path, t: int, images: Seal) -> tuple[Posterior, Seal]:
        """Return the posterior of stage t, verified, and its seal.

        Args:
            path: of its file.
            t: the stage.
            images: seal of the part.

        Raises:
            SealError, PosteriorError: as of `read_before`; it was fitted to other images.
        """
        return self._read(path, self.identity(t), {"images": images})

    def _read(
        self, path: Path, identity: dict[str, Any], parents: Mapping[str, Seal]
    ) -> tuple[Posterior, Seal]:
        """Return a posterior of this chain and its seal, which may be one that names no data set.

        Such a seal, of an earlier release, names the folder of its prepared part.
        """
        found = read_seal(seal_path(path), POSTERIOR)
        if DATASET in identity and DATASET not in found.identity:
            folder, meant = data_folder(found), self.data.parents[1].name
            if folder != meant:
                raise SealError(
                    f"{found.path}: was fitted to the data set {folder}, expected {meant}: options "
                    "of the data set are others; delete it, and the same command makes it again"
                )
            identity = {key: value for key, value in identity.items() if key != DATASET}
        return read_sealed_posterior(path, POSTERIOR, identity, parents)


def run_part(
    request: PartRequest, t: int, lineage: Lineage, outputs: StageOutputs, machine: Machine
) -> None:
    """Fit stage t of a block to a part and write its files.

    Args:
        request: of the block, at the part.
        t: the stage.
        lineage: what it follows from; a stream's source task is weights of a file.
        outputs: where the result goes.
        machine: where to run.

    Raises:
        UserError: the parent is not of this run, or of other classes or columns; the part has the
            content of an earlier one; data are damaged, or training diverged. The parent stays as
            it is and no output appears.
    """
    device = machine.prepare()
    opened = request.opened(device)
    images, cuts = opened.images, opened.cuts
    indices = {replicate: cut.parts[0] for replicate, cut in cuts.items()}
    _refuse_repeated(request, t, data_digest(images, indices), outputs)
    request.check_repeats(t, outputs.posterior, machine.listener.log)
    if lineage.parent is not None:
        posterior, seal = request.read_before(lineage.parent, t)
        _check_meaning(lineage.parent, posterior, images)
        starts = later_starts(request, posterior.states)
        numbers = scaling_numbers(request, images, cuts, [lineage.parent])
        beginning = Beginning(starts, numbers, posterior.sha256, {"parent": seal})
    elif lineage.continued:
        beginning = continued_beginning(lineage.continued, request, images, cuts)
    else:
        source = lineage.source
        read = source.read(request, opened)
        starts = first_starts(request, images, cuts, read.of)
        numbers = scaling_numbers(request, images, cuts, [source.weights])
        ancestry = source.digest() if source.weights else None
        beginning = Beginning(starts, numbers, ancestry, read.seals)
    given = Given(images, cuts, indices, opened.seals)
    writer = stage_writer(request, t, given, beginning, outputs)
    fit_and_write(writer, tasks_of(given, beginning), images.shape, machine, device)


def _check_meaning(path: Path, parent: Posterior, images: ImageSource) -> None:
    """Check that inputs and outputs of the posterior before are those of the part.

    Raises:
        PosteriorError: columns, classes or how images were made are others.
    """
    check_inputs(path, parent.metadata, images)
    for replicate, names in parent.metadata.get("class_names", {}).items():
        check_classes(path, int(replicate), names, images.class_names)


def _refuse_repeated(request: PartRequest, t: int, data: str, outputs: StageOutputs) -> None:
    """Refuse a part with the content of one that an earlier stage of the chain was fitted to."""
    folder = outputs.posterior.parent
    for earlier in range(1, t):
        path = seal_path(folder.with_name(f"t{earlier:02d}") / outputs.posterior.name)
        try:
            seal = read_seal(path, POSTERIOR)
        except SealError:
            continue  # gone; a damaged one is named where its posterior is read
        if seal.facts.get("data") == data:
            raise PartError(
                f"the part {request.part!r} holds the images of {seal.identity.get('part')!r}, "
                f"which stage {earlier} was fitted to: its data would count twice; take it back "
                "(key without), or replace it"
            )
