"""What every job of a block is asked for: names, settings, files, and where to run."""

import hashlib
import json
import os
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from incbayes.data.partition import Partition, read_partition
from incbayes.data.raw import DataError
from incbayes.device import prepare_device
from incbayes.files import sha256_file
from incbayes.images import ImageSource
from incbayes.inference.stage import Names, StageSettings
from incbayes.posterior import read_posterior
from incbayes.priors import PRIORS
from incbayes.priors.base import Source


@dataclass(frozen=True)
class Machine:
    """Where a job runs; nothing of it may enter an artifact.

    Attributes:
        device: `auto`, `cpu` or `cuda`.
        threads: of a CPU job.
        checkpoint_seconds: time between two mid-stage checkpoints.
        replicates: how those of a block are fitted: `together`, `in_turn`, or `auto`.
    """

    device: str
    threads: int
    checkpoint_seconds: float
    replicates: str = "auto"

    def prepare(self) -> torch.device:
        """Return the torch device, made deterministic."""
        return prepare_device(self.device, self.threads)

    def together(self, device: torch.device) -> bool:
        """Return whether the replicates of a block take their steps together on `device`."""
        return self.replicates == "together" or (
            self.replicates == "auto" and device.type == "cuda"
        )


@dataclass(frozen=True)
class BlockRequest:
    """One method of an experiment over the replicates of a block.

    Attributes:
        study: id of the study, the folder under results.
        experiment, method: names in the study.
        parts: T.
        replicates: absolute numbers.
        seed: of the study.
        budget: name of the budget.
        settings: of the method.
        pixels: the scaling, `{"kind": …, options}`.
        code: digest of the library code that the job runs.
        data: folder of the prepared data set.
        partition: file of the parts.
    """

    study: str
    experiment: str
    method: str
    parts: int
    replicates: Sequence[int]
    seed: int
    budget: str
    settings: StageSettings
    pixels: Mapping[str, Any]
    code: str
    data: Path
    partition: Path

    def names(self, t: int) -> Names:
        """Return the names of the random streams of stage t."""
        return Names(self.seed, self.experiment, self.parts, t)

    def cut(self, replicate: int) -> Partition:
        """Return the replicate's partition."""
        return read_partition(self.partition, replicate)

    def images(self, split: str, device: torch.device) -> ImageSource:
        """Open `train` or `test` of the data set."""
        return ImageSource.open(self.data, split, self.pixels, device)

    def identity(self, t: int) -> dict[str, Any]:
        """Return the metadata that every artifact of this method's chain shares, and t."""
        configured = {"settings": vars(self.settings), "pixels": self.pixels, "seed": self.seed}
        return {
            "study": self.study,
            "experiment": self.experiment,
            "method": self.method,
            "family": self.settings.family["kind"],
            "model": self.settings.model["kind"],
            "T": self.parts,
            "t": t,
            "replicates": list(self.replicates),
            "seed": self.seed,
            "budget": self.budget,
            "config": digest(configured),
        }


def digest(value: Any) -> str:
    """Return the SHA-256 of a JSON value."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


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


@dataclass(frozen=True)
class SourceFiles:
    """What a method's prior needs of the source task; None for what it does not.

    Attributes:
        weights: posterior file of the source task: pretrained weights, or the method's own q_A.
        fisher: file of their diagonal Fisher information.
        selection: file of the chosen variances.
    """

    weights: Path | None = None
    fisher: Path | None = None
    selection: Path | None = None

    def digest(self) -> str:
        """Return a digest over the content of the files."""
        return digest({k: sha256_file(v) for k, v in vars(self).items() if v is not None})

    def read(self, prior: Mapping[str, Any], replicates: Sequence[int]) -> dict[int, Source]:
        """Return every replicate's source, verified to be what `prior` asks for.

        Raises:
            PosteriorError: a file is damaged or of another run.
        """
        if self.weights is None:
            return {replicate: Source() for replicate in replicates}
        block = {"replicates": list(replicates)}
        weights = read_posterior(self.weights, block | {"artifact": "posterior"})
        fisher = variances = None
        if self.fisher is not None:
            kind = PRIORS.build(prior).fisher
            described = block | {"artifact": "fisher", "kind": kind, "parent": weights.sha256}
            fisher = read_posterior(self.fisher, described)
        if self.selection is not None:
            variances = _read_variances(self.selection, replicates)
        return {
            replicate: Source(
                state=weights.states[replicate],
                fisher=fisher.states[replicate] if fisher else {},
                images=weights.metadata["images"][str(replicate)],
                variance=variances[str(replicate)]["variance"] if variances else None,
            )
            for replicate in replicates
        }


def _read_variances(path: Path, replicates: Sequence[int]) -> dict[str, Any]:
    """Return by replicate (as text) the choice among a grid's variances."""
    try:
        variances = json.loads(Path(path).read_text(encoding="utf-8"))["variances"]
        return {str(replicate): variances[str(replicate)] for replicate in replicates}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: not a readable choice of variances ({error!r})") from None


class RunRecord:
    """What was volatile about a job: time, host, device. Goes to `run.json`, no artifact."""

    def __init__(self, machine: Machine, device: torch.device):
        """Start the clock."""
        self._clock, self._machine, self._device = time.monotonic(), machine, device
        self._started = datetime.now(UTC)

    def close(self, epochs: Mapping[int, int]) -> dict[str, Any]:
        """Return the record; `epochs` counts the epochs that each replicate took."""
        name = "cpu"
        if self._device.type == "cuda":
            name = torch.cuda.get_device_name(self._device)
        return {
            "seconds": round(time.monotonic() - self._clock, 3),
            "started": self._started.isoformat(timespec="seconds"),
            "host": socket.gethostname(),
            "cores": os.cpu_count(),
            "threads": self._machine.threads,
            "device": name,
            "torch": torch.__version__,
            "replicates": sorted(epochs),
            "epochs": {str(replicate): count for replicate, count in epochs.items()},
        }
