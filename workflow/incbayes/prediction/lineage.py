"""Follows a posterior back to the first stage by the digests of its parents, as far as files lie.

A file that is there is verified by its digest, one that is not is named as missing: nothing is
taken for granted.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from incbayes.core.files import sha256_file
from incbayes.core.seal import Seal, SealError, any_seal, read_seal, seal_path
from incbayes.jobs.request import SourceFiles
from incbayes.posterior.file import PosteriorError, read_metadata

State = Literal["verified", "missing", "another", "unverified"]

SOURCES = {"weights": "weights", "fisher": "fisher", "variance": "selection"}
"""Attributes of `SourceFiles` by the role of a seal."""


@dataclass(frozen=True)
class Ancestor:
    """One step of a lineage.

    Attributes:
        what: `t = 2`, or what of the source task.
        path: where it lies, or would.
        sha256: digest by which its child names it; None where the child is not known.
        state: `verified`, its bytes have the digest; `missing`, there is no file; `another`, the
            file there has another digest; `unverified`, nothing says what it has to be.
    """

    what: str
    path: str | None
    sha256: str | None
    state: State


def lineage(path: Path, metadata: Mapping[str, Any]) -> list[Ancestor]:
    """Return the ancestors of a posterior, the youngest first, down to the source task.

    Args:
        path: of its file, which lies beside those of the other stages.
        metadata: of it, verified.
    """
    found: list[Ancestor] = []
    t, parent, file = metadata["t"], metadata.get("parent"), Path(path)
    while t > 1:
        t -= 1
        file = _stage(file, t)
        state = _state(file, parent)
        found.append(Ancestor(f"t = {t}", str(file), parent, state))
        said = _said(file) if state == "verified" else None
        if said is None:
            found += [
                Ancestor(f"t = {earlier}", str(_stage(file, earlier)), None, "unverified")
                for earlier in range(t - 1, 0, -1)
            ]
            return found
        parent = said.get("parent")
    if parent is not None and parent != SourceFiles().digest():
        found += _source(file, parent)
    return found


def sealed(path: Path) -> Seal | None:
    """Return the seal of a posterior that lies beside it; None where there is none.

    Raises:
        SealError: the file has other bytes than the seal says, or the seal is damaged.
    """
    place = seal_path(path)
    if not place.exists():
        return None
    seal = read_seal(place, "posterior")
    seal.verified(path)
    return seal


def _said(file: Path) -> Mapping[str, Any] | None:
    """Return the metadata of a posterior; None of a file that is named as one and is none."""
    try:
        return read_metadata(file)
    except PosteriorError:
        return None


def _stage(file: Path, t: int) -> Path:
    return file.absolute().parent.parent / f"t{t:02d}" / file.name


def _state(file: Path, expected: object) -> State:
    if not file.is_file():
        return "missing"
    return "verified" if sha256_file(file) == expected else "another"


def _source(first: Path, parent: str) -> list[Ancestor]:
    """Return what the first stage was made from: files of the source task, named by its seal."""
    try:
        seal = sealed(first)
    except SealError:
        seal = None
    if seal is None:
        return [Ancestor("source task", None, parent, "unverified")]
    files: dict[str, Path] = {}
    for role, attribute in SOURCES.items():
        if role in seal.parents:
            files[attribute] = _sealed_file(seal.path_of(seal.parents[role]))
    there = all(file.is_file() for file in files.values())
    same = there and SourceFiles(**files).digest() == parent
    state: State = "verified" if same else "another" if there else "missing"
    return [
        Ancestor(f"source task, {attribute}", str(file), parent, state)
        for attribute, file in files.items()
    ]


def _sealed_file(seal: Path) -> Path:
    """Return the file that a source task's seal is of; the seal of a choice is the file."""
    try:
        names = [name for name in any_seal(seal).files if name.endswith(".safetensors")]
    except SealError:
        return seal
    return seal.with_name(names[0]) if names else seal
