"""Follows a posterior back to the first stage by the digests of its parents, as far as files lie.

A file that is there is verified by its digest, one that is not is named as missing: nothing is
taken for granted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from incbayes.core.files import sha256_file
from incbayes.core.seal import Seal, SealError, any_seal, read_seal, seal_path
from incbayes.jobs.continued import CONTINUED, CONTINUES
from incbayes.jobs.sources import SourceFiles
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
        sha256: digest of the file by which its child names it; of a file of the source task, which
            is not named by itself, of what lies there. None where it is not known.
        state: `verified`, its bytes have the digest; `missing`, there is no file; `another`, the
            file there has another digest; `unverified`, nothing says what it has to be.
        combined: of the source task, one digest over all of its files, by which the first stage
            names them; None of other steps.
    """

    what: str
    path: str | None
    sha256: str | None
    state: State
    combined: str | None = None


def lineage(path: Path, metadata: Mapping[str, Any]) -> list[Ancestor]:
    """Return the ancestors of a posterior, the youngest first, down to the source task.

    Args:
        path: of its file, which lies beside those of the other stages.
        metadata: of it, verified.
    """
    found: list[Ancestor] = []
    t, parent, file = metadata["t"], metadata.get("parent"), Path(path)
    said = metadata
    while t > 1:
        t -= 1
        file = _stage(file, t)
        state = _state(file, parent)
        found.append(Ancestor(f"t = {t}", str(file), parent, state))
        earlier_said = _said(file) if state == "verified" else None
        if earlier_said is None:
            found += [
                Ancestor(f"t = {earlier}", str(_stage(file, earlier)), None, "unverified")
                for earlier in range(t - 1, 0, -1)
            ]
            return found
        said, parent = earlier_said, earlier_said.get("parent")
    continued = said.get(CONTINUES)
    if isinstance(continued, list) and continued:
        found += _continued(file, continued)
    elif parent is not None and parent != SourceFiles().digest():
        found += _source(file, parent)
    return found


def parents_of(metadata: Mapping[str, Any]) -> dict[str, str | None]:
    """Return by which digests a posterior names what it was made from, by what they are of.

    `parent` is of the posterior of the stage before, None of a first stage. That has `combined`,
    one digest over the files of the source task or of the chain that it goes on from, if any, and
    what was made from weights of a file has theirs, `given`.
    """
    parent = metadata.get("parent")
    if metadata["t"] > 1:
        return {"parent": parent}
    if parent is None or parent == SourceFiles().digest():
        return {"parent": None}
    return {"parent": None, "given" if metadata.get("given") == parent else "combined": parent}


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


def _continued(first: Path, digests: Sequence[object]) -> list[Ancestor]:
    """Return the posteriors of another chain that the first stage goes on from, and their own.

    Where they lie the seal of the first stage says, if each had a seal.
    """
    seal = _sealed_or_none(first)
    parents = seal.parents if seal else {}
    files = {
        sha256_file(file): file
        for role, parent in parents.items()
        if role.startswith(CONTINUED) and seal and (file := _sealed_file(seal.path_of(parent)))
        if file.is_file()
    }
    found = []
    for sha256 in map(str, digests):
        there = files.get(sha256)
        said = _said(there) if there else None
        if there is None or said is None or type(said.get("t")) is not int:
            found.append(Ancestor("continued posterior", None, sha256, "unverified"))
            continue
        chain = "/".join(str(said.get(key)) for key in ("study", "experiment", "method"))
        found.append(Ancestor(f"{chain}: t = {said['t']}", str(there), sha256, "verified"))
        found += [replace(one, what=f"{chain}: {one.what}") for one in lineage(there, said)]
    return found


def _sealed_or_none(path: Path) -> Seal | None:
    """Return the seal of a posterior; None where there is none, or it is of something else."""
    try:
        return sealed(path)
    except SealError:
        return None


def _source(first: Path, parent: str) -> list[Ancestor]:
    """Return what the first stage was made from: files of the source task, named by its seal."""
    seal = _sealed_or_none(first)
    if seal is None:
        return [Ancestor("source task", None, None, "unverified", parent)]
    files: dict[str, Path] = {}
    for role, attribute in SOURCES.items():
        if role in seal.parents:
            files[attribute] = _sealed_file(seal.path_of(seal.parents[role]))
    there = all(file.is_file() for file in files.values())
    same = there and SourceFiles(**files).digest() == parent
    state: State = "verified" if same else "another" if there else "missing"
    return [
        Ancestor(
            f"source task, {attribute}{_of_data(file)}",
            str(file),
            sha256_file(file) if file.is_file() else None,
            state,
            parent,
        )
        for attribute, file in files.items()
    ]


def _of_data(file: Path) -> str:
    """Return of which data a Fisher information of given weights is; nothing of other files."""
    said = _said(file) if file.suffix == ".safetensors" and file.is_file() else None
    if said is None or "source_images" not in said:
        return ""
    count, fitted_to = said["source_images"], said["fitted_to"]
    weight = "" if count == fitted_to else f", weighed as {fitted_to}"
    shared = f", {said['shared']} of them training images here too" if said["shared"] else ""
    data = f"data {str(said['data'])[:12]}…"
    return f" ({said['kind']} of {count} images of {said['source']}, {data}{weight}{shared})"


def _sealed_file(seal: Path) -> Path:
    """Return the file that a source task's seal is of; the seal of a choice is the file."""
    try:
        names = [name for name in any_seal(seal).files if name.endswith(".safetensors")]
    except SealError:
        return seal
    return seal.with_name(names[0]) if names else seal
