"""The posterior artifact: the one file in which a stage hands its result to the next.

A safetensors file with a leading replicate axis and metadata that say what it is, what
it was made from, and a digest of its own content. Reading verifies what it can.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from incbayes.core.errors import UserError
from incbayes.core.files import atomic_write, sha256_file
from incbayes.core.seal import readable
from incbayes.core.tensor_digest import tensor_digest
from incbayes.posterior.network import NetworkState

FORMAT_VERSION = 2
"""2: the metadata hold what prediction needs, `network` and `class_names`; 1 did not."""

METADATA_KEY = "incbayes"

SHOWN = 80
"""Characters of a value that a message shows."""


class PosteriorError(UserError, ValueError):
    """A posterior file that cannot be used, and why."""


@dataclass(frozen=True)
class Posterior:
    """A posterior as read from its file.

    Attributes:
        states: the variational parameters of each replicate, by replicate number.
        metadata: what the file says of itself.
        sha256: digest of the whole file.
    """

    states: dict[int, NetworkState]
    metadata: dict[str, Any]
    sha256: str


def write_posterior(
    path: Path, states: Mapping[int, NetworkState], metadata: Mapping[str, Any]
) -> None:
    """Write the states of a block's replicates, whole or not at all.

    Args:
        path: the file.
        states: by replicate number, all with the same names and shapes.
        metadata: JSON values; nothing volatile, so that the same run gives the same bytes.
    """
    replicates = sorted(states)
    tensors = {
        f"{layer}/{parameter}": torch.stack(
            [states[replicate][layer][parameter].detach().cpu() for replicate in replicates]
        ).contiguous()
        for layer, parameters in states[replicates[0]].items()
        for parameter in parameters
    }
    order = [[layer, key] for layer, state in states[replicates[0]].items() for key in state]
    described = {"format_version": FORMAT_VERSION, "replicates": replicates, "order": order}
    described |= metadata
    described["content_sha256"] = tensor_digest(tensors, described)
    # One key: the order of several is not fixed by safetensors, and the bytes should be.
    text = json.dumps(described, sort_keys=True)
    with atomic_write(path) as partial:
        partial.write_bytes(save(tensors, {METADATA_KEY: text}))


def read_posterior(path: Path, expected: Mapping[str, Any] | None = None) -> Posterior:
    """Read a posterior, verify its content and that it is the one that was meant.

    Args:
        path: the file.
        expected: metadata that must agree, e.g. `{"method": "ffg", "t": 3}`.

    Raises:
        PosteriorError: naming the file and what is wrong with it.
    """
    path = Path(path)
    metadata, tensors = readable(path, _content, "not a whole safetensors file", PosteriorError)
    _verify(path, tensors, metadata)
    for key, value in (expected or {}).items():
        if metadata.get(key) != value:
            raise PosteriorError(
                f"{path}: {key} is {metadata.get(key)!r}, expected {value!r}: "
                "it belongs to another run"
            )
    _check_form(path, tensors, metadata)
    states: dict[int, NetworkState] = {r: {} for r in metadata["replicates"]}
    for layer, parameter in metadata["order"]:
        for index, replicate in enumerate(metadata["replicates"]):
            # In memory of its own: some CPUs round by how a tensor lies in it, and where it lies in
            # the file depends on what else is there.
            own = tensors[f"{layer}/{parameter}"][index].clone()
            states[replicate].setdefault(layer, {})[parameter] = own
    return Posterior(states, metadata, sha256_file(path))


def read_metadata(path: Path) -> dict[str, Any]:
    """Return what a posterior says of itself, without reading its tensors.

    Its own checksum, which covers this too, is verified where the tensors are read.

    Raises:
        PosteriorError: naming the file and what is wrong with it.
    """

    def read(path: Path) -> dict[str, Any]:
        with safe_open(path, framework="pt") as file:
            return _metadata(path, file.metadata())

    return readable(Path(path), read, "not a whole safetensors file", PosteriorError)


def _content(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return metadata and tensors of a file of `write_posterior`."""
    with safe_open(path, framework="pt") as file:
        metadata = _metadata(path, file.metadata())
        # `keys()` of an open safetensors file is no dictionary's.
        return metadata, {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118


def _check_form(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> None:
    """Check that the metadata describe just these tensors, of that many replicates."""
    replicates, order = metadata.get("replicates"), metadata.get("order")
    numbers = isinstance(replicates, list) and all(type(r) is int and r >= 0 for r in replicates)
    if not numbers or not replicates or sorted(set(replicates)) != replicates:
        raise PosteriorError(f"{path}: replicates is {replicates!r}, expected different numbers")
    pairs: list[Any] = order if isinstance(order, list) else [None]
    whole = all(
        isinstance(pair, list) and len(pair) == 2 and all(isinstance(n, str) for n in pair)
        for pair in pairs
    )
    if not whole or sorted("/".join(pair) for pair in pairs) != sorted(tensors):
        raise PosteriorError(f"{path}: its metadata name other tensors than it holds: damaged")
    for name, tensor in tensors.items():
        if tensor.dim() < 1 or len(tensor) != len(replicates):
            raise PosteriorError(
                f"{path}: tensor {name} is {list(tensor.shape)}, expected [{len(replicates)}, …]"
            )


def _metadata(path: Path, raw: Mapping[str, str] | None) -> dict[str, Any]:
    if not raw or METADATA_KEY not in raw:
        raise PosteriorError(f"{path}: a safetensors file, but not a posterior of incbayes")
    try:
        metadata = json.loads(raw[METADATA_KEY])
        version = metadata.get("format_version")
    except (ValueError, AttributeError):  # no JSON, or JSON of something else
        raise PosteriorError(f"{path}: its metadata are damaged") from None
    if version != FORMAT_VERSION:
        raise PosteriorError(
            f"{path}: format version {version!r}, this release reads {FORMAT_VERSION}; "
            "refit the stage or use the release that wrote it"
        )
    return metadata


def _verify(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> None:
    described = {key: value for key, value in metadata.items() if key != "content_sha256"}
    if tensor_digest(tensors, described) != metadata.get("content_sha256"):
        raise PosteriorError(f"{path}: its content does not match its own checksum: damaged")
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise PosteriorError(f"{path}: tensor {name} is not finite")


def verify_chain(paths: list[Path], posteriors: list[Posterior]) -> None:
    """Check that every posterior names the one before it as its parent.

    Raises:
        PosteriorError: naming the first file whose parent is another.
    """
    for previous, current, path in zip(posteriors, posteriors[1:], paths[1:], strict=False):
        if current.metadata["parent"] != previous.sha256:
            raise PosteriorError(
                f"{path}: its parent is {current.metadata['parent'][:12]}…, but the posterior "
                f"before it is {previous.sha256[:12]}…: they are not of one run"
            )


def shown(value: Any) -> str:
    """Return a value of the metadata as text in one line, cut where it is long."""
    text = repr(value)
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"
