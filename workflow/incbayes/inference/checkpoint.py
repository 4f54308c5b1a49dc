"""The mid-stage checkpoint: what a killed job needs in order to go on to the same bits.

One file beside the posterior, replaced whole every few seconds, deleted when the stage
is done. Never a pickle.
"""

import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from incbayes.core.files import atomic_write
from incbayes.core.seal import SealError, readable
from incbayes.core.tensor_digest import tensor_digest
from incbayes.inference.base import EpochRecord, Snapshot
from incbayes.posterior.network import NetworkState


@dataclass(frozen=True)
class Spent:
    """Time that a process took: seconds of the clock, and of the processors over all threads."""

    seconds: float = 0.0
    cpu_seconds: float = 0.0

    @classmethod
    def now(cls) -> "Spent":
        """Return what this process has spent since some moment, to be taken from a later one."""
        return cls(time.monotonic(), time.process_time())

    def __add__(self, other: "Spent") -> "Spent":
        """Return what both are together."""
        return Spent(self.seconds + other.seconds, self.cpu_seconds + other.cpu_seconds)

    def __sub__(self, other: "Spent") -> "Spent":
        """Return what was spent since `other`."""
        return Spent(self.seconds - other.seconds, self.cpu_seconds - other.cpu_seconds)


class Checkpoint:
    """Progress of a block: replicates that are done, and snapshots of those that run.

    Attributes:
        before: the time that was spent, by processes that were killed, on what is read.
    """

    def __init__(self, path: Path, identity: str, seconds: float):
        """Use `path`; read what is there if it was written for the same `identity`.

        Args:
            path: the checkpoint's file.
            identity: digest of everything that the stage's outcome depends on.
            seconds: least time between two writes.
        """
        self.path, self.identity, self.seconds = path, identity, seconds
        self.tensors: dict[str, Tensor] = {}
        self.histories: dict[str, list[EpochRecord]] = {}
        self._running: dict[int, Snapshot] = {}
        self.before, self._began = Spent(), Spent.now()
        self._written = time.monotonic()
        self._read()

    def finished(self, replicate: int) -> tuple[NetworkState, list[EpochRecord]] | None:
        """Return state and history of a replicate that is done, else None."""
        if str(replicate) not in self.histories:
            return None
        prefix = f"done/{replicate}/"
        state: NetworkState = {}
        for key, value in self.tensors.items():
            if key.startswith(prefix):
                layer, _, parameter = key.removeprefix(prefix).rpartition("/")
                state.setdefault(layer, {})[parameter] = value
        return state, self.histories[str(replicate)]

    def running(self, replicate: int) -> Snapshot | None:
        """Return the snapshot of `replicate`, if it was interrupted."""
        return self._running.get(replicate)

    def finish(self, replicate: int, state: NetworkState, history: list[EpochRecord]) -> None:
        """Remember a replicate that is done; the next write stores it."""
        for layer, tensors in state.items():
            for parameter, value in tensors.items():
                self.tensors[f"done/{replicate}/{layer}/{parameter}"] = value
        self.histories[str(replicate)] = history
        self._running.pop(replicate, None)

    @property
    def due(self) -> bool:
        """Whether the last write is long enough ago."""
        return time.monotonic() - self._written >= self.seconds

    def write(self, snapshots: Mapping[int, Snapshot]) -> None:
        """Store the finished replicates, and these snapshots of running ones."""
        self._running |= snapshots
        tensors = dict(self.tensors)
        for replicate, snapshot in self._running.items():
            for key, value in snapshot.tensors.items():
                tensors[f"running/{replicate}/{key}"] = value
        progress: dict[str, Any] = {
            "identity": self.identity,
            "histories": self.histories,
            "running": {str(r): snapshot.progress for r, snapshot in self._running.items()},
            "spent": asdict(self.before + (Spent.now() - self._began)),
        }
        # Copied: replicates that train together hold rows of the same tensors.
        copies = {
            key: torch.clone(value.detach().cpu(), memory_format=torch.contiguous_format)
            for key, value in tensors.items()
        }
        text = json.dumps(progress | {"content_sha256": tensor_digest(copies, progress)})
        with atomic_write(self.path) as partial:
            partial.write_bytes(save(copies, {"checkpoint": text}))
        self._written = time.monotonic()

    def delete(self) -> None:
        """Remove the file: the stage is done."""
        self.path.unlink(missing_ok=True)

    def _read(self) -> None:
        """Read the file; one that is damaged or of another stage counts as absent."""
        try:
            content = readable(self.path, self._content, "not a checkpoint")
        except SealError:
            return
        if content is not None:
            self.tensors, self.histories, self._running, self.before = content

    def _content(
        self, path: Path
    ) -> tuple[dict[str, Tensor], dict[str, list[EpochRecord]], dict[int, Snapshot], Spent] | None:
        """Return what is done, its histories, what runs, and its time; None of another stage."""
        with safe_open(path, framework="pt") as file:
            progress = json.loads((file.metadata() or {})["checkpoint"])
            # Memory of its own for each, as it had: some CPUs round by how a tensor lies in it.
            tensors = {key: file.get_tensor(key).clone() for key in file.keys()}  # noqa: SIM118
        whole = progress.pop("content_sha256") == tensor_digest(tensors, progress)
        if not whole or progress["identity"] != self.identity:
            return None
        running = {}
        for replicate, reached in progress["running"].items():
            prefix = f"running/{replicate}/"
            of_it = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
            running[int(replicate)] = Snapshot(of_it, reached)
        done = {k: v for k, v in tensors.items() if k.startswith("done/")}
        return done, dict(progress["histories"]), running, Spent(**progress["spent"])
