"""The mid-stage checkpoint: what a killed job needs in order to go on to the same bits.

One file beside the posterior, replaced whole every few seconds, deleted when the stage
is done. Never a pickle.
"""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from incbayes.files import atomic_write
from incbayes.inference.optimisation import EpochRecord, Snapshot
from incbayes.tensor_digest import tensor_digest
from incbayes.variational import NetworkState


class Checkpoint:
    """Progress of a block: replicates that are done, and snapshots of those that run."""

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
        if not self.path.exists():
            return
        try:
            with safe_open(self.path, framework="pt") as file:
                progress = json.loads((file.metadata() or {})["checkpoint"])
                # Memory of its own for each, as it had: some CPUs round by how a tensor lies in it.
                tensors = {key: file.get_tensor(key).clone() for key in file.keys()}  # noqa: SIM118
            whole = progress.pop("content_sha256") == tensor_digest(tensors, progress)
        except (SafetensorError, KeyError, TypeError, AttributeError, ValueError, OSError):
            return
        if not whole or progress["identity"] != self.identity:
            return
        self.tensors = {k: v for k, v in tensors.items() if k.startswith("done/")}
        self.histories = progress["histories"]
        for replicate, reached in progress["running"].items():
            prefix = f"running/{replicate}/"
            running = {
                k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)
            }
            self._running[int(replicate)] = Snapshot(running, reached)
