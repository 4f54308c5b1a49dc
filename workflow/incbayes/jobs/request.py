"""What every job of a block is asked for: names, settings, files, and where to run."""

import hashlib
import os
import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

from incbayes.core.device import prepare_device
from incbayes.core.files import atomic_write
from incbayes.core.seal import Seal, read_seal, seal_path
from incbayes.core.streams import numpy_stream
from incbayes.data.images import ImageSource
from incbayes.data.partition import Partition
from incbayes.data.prepared import read_images_seal
from incbayes.data.reservoir import reservoir
from incbayes.inference.checkpoint import Spent
from incbayes.inference.listener import Listener, Silent
from incbayes.inference.settings import StageSettings
from incbayes.inference.stage import BlockStage, StreamKeys, images_kept, takes_all_parts
from incbayes.jobs.partition import Parts, PartsRequest, read_parts
from incbayes.posterior.file import Posterior, PosteriorError, read_posterior
from incbayes.study.model.base import KindSpec
from incbayes.study.model.partition import PartitionSettings

POSTERIOR, FISHER, VARIANCE, RUN = "posterior", "fisher", "variance", "run"
"""What seals of jobs that fit are of."""


@dataclass(frozen=True)
class Machine:
    """Where a job runs, and who hears of it; nothing of it may enter an artifact.

    Attributes:
        device: `auto`, `cpu` or `cuda`.
        threads: of a CPU job.
        checkpoint_seconds: time between two mid-stage checkpoints.
        replicates: how those of a block are fitted: `stacked`, `in_turn`, or `auto`.
        listener: takes the lines of the job's log and hears of every step.
    """

    device: str
    threads: int
    checkpoint_seconds: float
    replicates: str = "auto"
    listener: Listener = field(default_factory=Silent)

    def prepare(self) -> torch.device:
        """Return the torch device, made deterministic."""
        return prepare_device(self.device, self.threads)

    def stacked(self, device: torch.device) -> bool:
        """Return whether the replicates of a block take their steps at once on `device`."""
        return self.replicates == "stacked" or (self.replicates == "auto" and device.type == "cuda")


@dataclass(frozen=True, kw_only=True)
class ChainRequest:
    """One method of an experiment over the replicates of a block, whatever its parts.

    Attributes:
        study: id of the study, the folder under results.
        experiment, method: names in the study.
        replicates: absolute numbers.
        seed: of the study.
        budget: name of the budget.
        settings: of the method.
        pixels: the scaling.
        code: digest of the library code that the job runs.
        pretrained: whether the experiment trains on a source task, whose images are then the
            first that any chain of it sees.
        source_data: folder of the data set that weights of a file were fitted to, where the job
            takes its scaling, or a Fisher information, from it.
    """

    study: str
    experiment: str
    method: str
    replicates: Sequence[int]
    seed: int
    budget: str
    settings: StageSettings
    pixels: KindSpec
    code: str
    pretrained: bool = False
    source_data: Path | None = None

    def opened(self, device: torch.device) -> "Opened":
        """Open the training images that the first stage is of, whatever is fitted to them.

        Raises:
            SealError: a file is damaged, edited, or was made from other images or settings.
        """
        raise NotImplementedError

    def source_seal(self) -> Seal | None:
        """Return the seal of `source_data`; None without."""
        folder = self.source_data
        return None if folder is None else read_images_seal(folder / "checksums.json")

    def source_images(self, device: torch.device) -> ImageSource:
        """Open the training images of `source_data`."""
        assert self.source_data is not None, self.experiment
        return ImageSource.open(self.source_data, "train", self.pixels, device)

    def count(self, t: int) -> int | None:
        """Return T of a stage's random streams; None where the chain has no end."""
        raise NotImplementedError

    def stream_keys(self, t: int) -> StreamKeys:
        """Return what the random streams of stage t are derived from."""
        return StreamKeys(self.seed, self.experiment, self.count(t), t)

    def stage(self, t: int, shape: tuple[int, ...]) -> BlockStage:
        """Return what the block's replicates have in common in stage t, for inputs of `shape`."""
        return BlockStage(self.settings, shape, self.stream_keys(t))

    def identity(self, t: int) -> dict[str, Any]:
        """Return the metadata that every artifact of this method's chain shares, and t."""
        count = self.count(t)
        return {
            "study": self.study,
            "experiment": self.experiment,
            "method": self.method,
            "family": self.settings.family.kind,
            "model": self.settings.model.kind,
            "T": t if count is None else count,
            "t": t,
            "replicates": list(self.replicates),
            "seed": self.seed,
            "budget": self.budget,
            "config": self.settings.config(self.pixels, self.seed),
        }


@dataclass(frozen=True, kw_only=True)
class BlockRequest(ChainRequest):
    """A chain over a data set that is cut into T parts.

    Attributes:
        parts: T.
        data: folder of the prepared data set.
        partition: how the parts are cut, from the study.
        parts_file: file of the parts.
        outliers: folders of prepared data sets, by the name of the outlier set that each is.
        corrupted: folders of prepared copies of the test images, by the name of the shift.
    """

    parts: int
    data: Path
    partition: PartitionSettings
    parts_file: Path
    outliers: Mapping[str, Path] = field(default_factory=dict)
    corrupted: Mapping[str, Path] = field(default_factory=dict)

    def count(self, t: int) -> int:
        """Return T."""
        return self.parts

    def open(self, device: torch.device, whatever_parts: bool = False) -> "BlockData":
        """Open the training images and the parts, verified to be those that are meant.

        Args:
            device: where the images go.
            whatever_parts: for a job of the source task, which is the same for every T.

        Raises:
            SealError: a file is damaged, edited, or was made from other images or settings.
        """
        train = self.images("train", device)
        asked = PartsRequest(
            self.study, self.experiment, self.replicates, self.seed, self.partition
        )
        parts = None if whatever_parts else self.parts
        return BlockData(train, read_parts(self.parts_file, asked, train.seal, parts))

    def opened(self, device: torch.device) -> "Opened":
        """Open the training images, and how they are cut for the smallest T."""
        data = self.open(device, whatever_parts=True)
        return data.opened

    def fitted(self, t: int, cuts: Mapping[int, Partition]) -> dict[int, np.ndarray]:
        """Return the indices that stage t is fitted to, by replicate.

        Its part, or all so far, or its part and then what is kept of earlier ones.
        """
        first = 1 if takes_all_parts(self.settings) else t
        kept = images_kept(self.settings)
        found = {}
        for replicate, cut in cuts.items():
            chosen = cut.parts[first - 1 : t]
            if kept and t > 1:
                names = (self.experiment, f"T{self.parts}", replicate, "reservoir")
                generator = numpy_stream(self.seed, *names)
                chosen = [*chosen, reservoir(cut.parts[: t - 1], kept, generator)]
            found[replicate] = chosen[0] if len(chosen) == 1 else np.concatenate(chosen)
        return found

    def images(self, split: str, device: torch.device) -> ImageSource:
        """Open `train` or `test` of the data set."""
        return ImageSource.open(self.data, split, self.pixels, device)


@dataclass(frozen=True)
class BlockData:
    """The training images of a block and their parts.

    Attributes:
        train: the images.
        parts: which of them belong to what.
    """

    train: ImageSource
    parts: Parts

    def cut(self, replicate: int) -> Partition:
        """Return the replicate's partition."""
        return self.parts.cuts[replicate]

    def seals(self) -> dict[str, Seal]:
        """Return the seals of images and parts, as parents of what is made from them."""
        return {"images": self.train.seal, "parts": self.parts.seal}

    def read_stage(self, path: Path, identity: Mapping[str, Any]) -> tuple[Posterior, Seal]:
        """Return the posterior of a stage of these parts, with its seal.

        Raises:
            SealError: it is damaged, edited, of another run or setting, or of other parts.
            PosteriorError: its content is not what its metadata say.
        """
        return read_sealed_posterior(path, POSTERIOR, identity, self.seals())

    @property
    def opened(self) -> "Opened":
        """The same in the form that it has of a stream, too."""
        return Opened(self.train, self.parts.cuts, self.seals())

    def check_data(self, path: Path, posterior: Posterior, indices: Mapping[int, Any]) -> None:
        """Check as of `Opened`."""
        self.opened.check_data(path, posterior, indices)


@dataclass(frozen=True)
class Opened:
    """Training images of a block, cut from a data set or a part that arrived.

    Attributes:
        images: the images.
        cuts: by replicate, which of them belong to what.
        seals: of both, by role.
    """

    images: ImageSource
    cuts: Mapping[int, Partition]
    seals: Mapping[str, Seal]

    def check_data(self, path: Path, posterior: Posterior, indices: Mapping[int, Any]) -> None:
        """Check that a posterior was fitted to these images of the training set.

        Raises:
            PosteriorError: naming the file, if it was fitted to other ones.
        """
        found, meant = posterior.metadata.get("data"), data_digest(self.images, indices)
        if found != meant:
            raise PosteriorError(
                f"{path}: was fitted to other images ({found}) than the parts are of ({meant}); "
                "delete it, and the same command makes it again"
            )


def read_sealed_posterior(
    path: Path, artifact: str, identity: Mapping[str, Any], parents: Mapping[str, Seal]
) -> tuple[Posterior, Seal]:
    """Return the content of a file of `write_posterior`, verified by its seal, and the seal.

    Args:
        path: of the file.
        artifact: `posterior` or `fisher`.
        identity: what it must say of itself.
        parents: what it must have been made from.

    Raises:
        SealError: the file is not the sealed one, or its seal is another one.
        PosteriorError: its content is not what its metadata say.
    """
    seal = read_seal(seal_path(path), artifact, identity, parents)
    return read_posterior(seal.verified(path), {**identity, "artifact": artifact}), seal


def data_digest(images: ImageSource, indices: Mapping[int, Sequence[int]]) -> str:
    """Return the SHA-256 of the data that a block is fitted to, over its replicates.

    Args:
        images: the split they come from, whose file has a digest of its own.
        indices: by replicate, the indices used.
    """
    value = hashlib.sha256(images.sha256.encode())
    for replicate, chosen in sorted(indices.items()):
        value.update(f"r{replicate}:{len(chosen)}\n".encode())
        value.update(torch.as_tensor(chosen, dtype=torch.int64).numpy().tobytes())
    return value.hexdigest()


FIRST_RUN = ".first_run"
"""File beside a stage's outputs, and none of them, so that it outlives them."""


class RunRecord:
    """What was volatile about a job: time, host, device. Goes to `run.json`, and nowhere else."""

    def __init__(self, machine: Machine, device: torch.device):
        """Start the clock."""
        self._began, self._before = Spent.now(), Spent()
        self._machine, self._device = machine, device
        self._started = self._first = datetime.now(UTC)

    def remember(self, folder: Path) -> None:
        """Take from a folder when its stage was first begun, or leave there that it is now.

        Replicates that were once run stay known, also where their outputs are made anew.
        """
        path = folder / FIRST_RUN
        if path.is_file():
            with suppress(ValueError):  # no date: of a writer that was killed
                self._first = datetime.fromisoformat(path.read_text(encoding="utf-8").strip())
                return
        with atomic_write(path) as partial:
            partial.write_text(f"{self._now()}\n", encoding="utf-8")

    def _now(self) -> str:
        return self._started.isoformat(timespec="seconds")

    def go_on(self, before: Spent) -> None:
        """Count what was spent by processes that were killed and of which this one goes on."""
        self._before = before

    def close(self, epochs: Mapping[int, int]) -> dict[str, Any]:
        """Return the record; `epochs` counts the epochs that each replicate took."""
        spent, name = self._before + (Spent.now() - self._began), "cpu"
        if self._device.type == "cuda":
            name = torch.cuda.get_device_name(self._device)
        return {
            "seconds": round(spent.seconds, 3),
            # Of all threads: what a stage costs, whatever else the machine does meanwhile.
            "cpu_seconds": round(spent.cpu_seconds, 3),
            "started": self._now(),
            "first_started": self._first.isoformat(timespec="seconds"),
            "host": socket.gethostname(),
            "cores": os.cpu_count(),
            "threads": self._machine.threads,
            "device": name,
            "torch": torch.__version__,
            "replicates": sorted(epochs),
            "epochs": {str(replicate): count for replicate, count in epochs.items()},
        }
