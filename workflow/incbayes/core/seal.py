"""The seal of a job's outputs: what they are, what they were made from, and their checksums.

One small JSON file beside them. It is written by `write_seal`, last of all, and every job reads
what another one made through `read_seal`, which compares it with what was meant. So a file that is
damaged, edited, or of another run ends in one line and never in a number. It knows no artifact.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from incbayes.core.errors import UserError
from incbayes.core.files import sha256_file, write_json

FORMAT = "incbayes seal 1"
SUFFIX = ".seal.json"
KEYS = {
    "format": str,
    "artifact": str,
    "identity": dict,
    "parents": dict,
    "files": dict,
    "facts": dict,
    "digest": str,
}
SHOWN = 12
"""Digits of a checksum that a message shows."""

Content = TypeVar("Content")


class SealError(UserError, ValueError):
    """A file that is not what its seal says, or a seal that is not the one that was meant."""


@dataclass(frozen=True)
class Parent:
    """A seal that another one was made from.

    Attributes:
        path: of its file, relative to the folder of the seal that names it.
        digest: of that seal.
    """

    path: str
    digest: str


@dataclass(frozen=True)
class Seal:
    """What a seal says.

    Attributes:
        path: of its file; the files that it seals lie in its folder, or below it.
        artifact: what was sealed, e.g. `posterior`, `scores`.
        identity: JSON values by name, such as study, experiment, method, T, t, replicates.
        parents: the seals that it was made from, by their role.
        files: SHA-256 of each file, by its path in the folder.
        facts: JSON values that later jobs read, or that say how the files came about.
        digest: SHA-256 of all of this but the path.
    """

    path: Path
    artifact: str
    identity: Mapping[str, Any]
    parents: Mapping[str, Parent]
    files: Mapping[str, str]
    facts: Mapping[str, Any]
    digest: str

    def path_of(self, parent: Parent) -> Path:
        """Return where a parent's seal lay when this one was written, relative to this one."""
        return Path(os.path.normpath(self.path.parent / parent.path))

    def verified(self, path: Path | str) -> Path:
        """Return the path of a sealed file, once its bytes are the sealed ones.

        Raises:
            SealError: the seal names no such file, or it is absent or has other bytes.
        """
        path = Path(path)
        expected = self.files.get(_relative(path, self.path.parent))
        if expected is None:
            raise SealError(f"{path}: not among the files of {self.path}: {_listed(self.files)}")
        found = readable(path, sha256_file, "cannot be read")
        if found != expected:
            raise SealError(
                f"{path}: its checksum is {found[:SHOWN]}…, expected {expected[:SHOWN]}… by "
                f"{self.path.name}: damaged or edited; delete it, and the same command makes it "
                "again"
            )
        return path

    def read(self, path: Path | str, reader: Callable[[Path], Content]) -> Content:
        """Return what `reader` makes of a sealed file, once it is verified.

        Raises:
            SealError: the file is not the sealed one, or has not the form that `reader` expects.
        """
        return readable(self.verified(path), reader, "not of the form that is expected")


def seal_path(path: Path | str) -> Path:
    """Return the path of the seal of a file: `posterior.seal.json` of `posterior.safetensors`."""
    path = Path(path)
    return path.with_name(path.stem + SUFFIX)


def write_seal(
    path: Path,
    artifact: str,
    identity: Mapping[str, Any],
    files: Iterable[Path] = (),
    parents: Mapping[str, Seal] | None = None,
    facts: Mapping[str, Any] | None = None,
) -> Seal:
    """Seal files that are complete, in the folder of `path` or below; equal ones give equal bytes.

    Args:
        path: of the seal.
        artifact: what the files are.
        identity: whose they are; nothing volatile, as for the facts.
        files: that a later job reads, or a person.
        parents: seals of what they were made from, by role.
        facts: what else a later job reads.
    """
    named = {
        role: {"path": _relative(parent.path, path.parent), "digest": parent.digest}
        for role, parent in (parents or {}).items()
    }
    content = {
        "format": FORMAT,
        "artifact": artifact,
        "identity": dict(identity),
        "parents": named,
        "files": {_relative(Path(file), path.parent): sha256_file(file) for file in files},
        "facts": dict(facts or {}),
    }
    write_json(path, content | {"digest": _digest(content)})
    return read_seal(path, artifact)


def read_seal(
    path: Path | str,
    artifact: str,
    identity: Mapping[str, Any] | None = None,
    parents: Mapping[str, Seal] | None = None,
) -> Seal:
    """Read a seal, and verify that it is whole and the one that was meant.

    Args:
        path: of the seal.
        artifact: what it must seal.
        identity: values that must agree with its own; others do not count.
        parents: seals that it must have been made from, by role.

    Raises:
        SealError: naming the file, what was found and what was meant.
    """
    seal = any_seal(path)
    if seal.artifact != artifact:
        raise SealError(f"{path}: the seal of {seal.artifact}, expected {artifact}")
    for key, meant in json.loads(json.dumps(dict(identity or {}))).items():
        found = seal.identity.get(key)
        if found != meant:
            raise SealError(
                f"{path}: {key} is {_shown(found)}, expected {_shown(meant)}: it belongs to "
                "another run; delete it, and the same command makes it again"
            )
    for role, parent in (parents or {}).items():
        check_parent(seal, role, parent)
    return seal


def any_seal(path: Path | str) -> Seal:
    """Read a seal of whatever artifact, and verify that it is whole.

    Raises:
        SealError: naming the file and what is wrong with it.
    """
    return readable(Path(path), _parsed, "not a readable seal")


def check_parent(seal: Seal, role: str, meant: Seal) -> None:
    """Check that a seal was made from another one.

    Raises:
        SealError: naming both, where it was made from something else.
    """
    found = seal.parents.get(role)
    if found is None:
        raise SealError(f"{seal.path}: names no {role}, expected that of {meant.path}")
    if found.digest != meant.digest:
        raise SealError(
            f"{seal.path}: was made from another {role} ({found.digest[:SHOWN]}…) than "
            f"{meant.path} ({meant.digest[:SHOWN]}…): they are not of one run; delete what is to "
            "be made again"
        )


def readable(
    path: Path,
    reader: Callable[[Path], Content],
    problem: str,
    kind: type[UserError] = SealError,
) -> Content:
    """Return what `reader` makes of a file; whatever it raises of the content becomes one line.

    Args:
        path: of the file.
        reader: returns its content; its own readable errors stay as they are.
        problem: what is wrong with a file that it cannot read.
        kind: of the error.

    Raises:
        UserError: of that kind, naming the file, with `problem` and the cause.
    """
    try:
        return reader(path)
    except (UserError, MemoryError):
        raise
    except FileNotFoundError:
        raise kind(f"{path}: no such file") from None
    except OSError as error:
        raise kind(f"{path}: cannot be read ({error.strerror or error})") from None
    except Exception as error:  # whatever a decoder raises of bytes that are not what it expects
        cause = " ".join(f"{type(error).__name__}: {error}".split())
        raise kind(f"{path}: {problem} ({cause})") from error


def _parsed(path: Path) -> Seal:
    content = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise SealError(f"{path}: not a seal of this release, whose format is {FORMAT!r}")
    for key, kind in KEYS.items():
        if not isinstance(content.get(key), kind):
            raise SealError(f"{path}: {key} is {_shown(content.get(key))}; damaged or edited")
    unknown = set(content) - set(KEYS)
    digest = content.pop("digest")
    if unknown or _digest(content) != digest:
        raise SealError(
            f"{path}: its content does not match its own checksum: damaged or edited; delete it, "
            "and the same command makes it again"
        )
    parents = {role: Parent(**parent) for role, parent in content["parents"].items()}
    return Seal(
        path,
        content["artifact"],
        content["identity"],
        parents,
        content["files"],
        content["facts"],
        digest,
    )


def _digest(content: Mapping[str, Any]) -> str:
    """Return the SHA-256 of JSON values, whatever their order."""
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _relative(path: Path, folder: Path) -> str:
    return Path(os.path.relpath(path.absolute(), folder.absolute())).as_posix()


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:59] + "…"
