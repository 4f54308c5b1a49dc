"""Verifies results by their seals: every file's bytes, and that all was made from what lies there.

`incbayes verify` does it for a folder, and every report for what it shows. It knows seals, and
where an artifact lies; it reads no number.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from incbayes.core.seal import SHOWN, SUFFIX, Seal, SealError, any_seal
from incbayes.results.records import block_name

OTHER_SEALS = ("checksums.json", "prior.json", "run.json")
"""Names of seals that are not called after a file: of a data set, a choice and a run record."""

STAGE = "{study}/{experiment}/{method}/T{T}/{block}/t{t:02d}"
PART = "{study}/{experiment}/{method}/stream/{block}/t{t:02d}"
SOURCE = "{study}/{experiment}/pretrain/{block}"
PLACES = {
    "images": ["{data}"],
    "parts": ["{study}/{experiment}/parts/T{T}"],
    "posterior": [STAGE, PART, SOURCE, f"{SOURCE}/{{method}}"],
    "run": [STAGE, PART, SOURCE, f"{SOURCE}/{{method}}"],
    "fisher": [SOURCE],
    "variance": ["{study}/{experiment}/{method}/T{T}/{block}"],
    "scores": [STAGE, PART],
    "records": ["{study}"],
    "claims": ["{study}"],
    "figures": ["{study}/figures"],
    "report": ["{study}"],
}
"""The ends of the path of the folder in which the seal of an artifact may lie; any, for others."""

WITHOUT_SEAL = ("logs", "benchmarks")
"""Folders of a study's results, and of the data sets, in which nothing is sealed."""

WRITTEN_FOR_STUDIES = ("stated.yaml", "tuning/candidates.csv", "tuning/chosen.yaml")
"""Files of a study's results that are files of a study, or beside one, and not sealed."""

PUBLISHED = "published"
"""Folder of results that holds no study's, but what was published of them."""


@dataclass
class Verification:
    """What verifying found.

    Attributes:
        seals: how many were verified.
        files: how many files beside them were.
        gone: files and seals that are named but not there, as old parts may be.
        problems: one line each.
    """

    seals: int = 0
    files: int = 0
    gone: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def count(self) -> int:
        """Files that were verified, seals included."""
        return self.seals + self.files

    def summary(self) -> dict[str, int]:
        """Return the numbers of files, of seals among them, and of what is gone."""
        return {"files": self.count, "seals": self.seals, "gone": len(self.gone)}

    def check(self) -> "Verification":
        """Return this, if there is no problem.

        Raises:
            SealError: the first one.
        """
        if self.problems:
            raise SealError(self.problems[0])
        return self


def seals_in(folder: Path) -> list[Path]:
    """Return the paths of all seals in a folder and below it, in order."""
    found = [*folder.rglob(f"*{SUFFIX}"), *(p for n in OTHER_SEALS for p in folder.rglob(n))]
    return sorted({path for path in found if path.is_file()})


def unsealed(folder: Path, seals: Iterable[Path]) -> list[Path]:
    """Return the files in a folder of results that none of its seals covers, in order.

    Hidden files, logs, benchmarks, and what is a file of a study, as the outcome of a search, have
    none: where a study keeps them, and nowhere else, whatever else is called so.
    """
    known, roots = {path.resolve() for path in seals}, set[Path]()
    for path in tuple(known):
        try:
            seal = any_seal(path)
        except SealError:
            continue  # which `verify` names
        known |= {(path.parent / name).resolve() for name in seal.files}
        roots |= _results_of(seal)
    return [
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        and path.resolve() not in known
        and not any(_needs_no_seal(path.resolve(), root) for root in roots)
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    ]


def _results_of(seal: Seal) -> set[Path]:
    """Return the folder of results, `results/`, by the place of a seal in it; none where none is.

    It is above the folder of a study, or that of the data sets.
    """
    folder = seal.path.resolve().parent
    if seal.artifact == "images":
        return {above.parent for above in tuple(folder.parents)[:2] if above.name == "data"}
    found = set()
    for place in PLACES.get(seal.artifact, []):
        try:
            end = Path(place.format(**_named(seal.identity)))
        except (KeyError, ValueError, TypeError, IndexError):
            continue  # which `check_place` names
        if folder.parts[-len(end.parts) :] == end.parts:
            found.add(Path(*folder.parts[: -len(end.parts)]))
    return found


def _needs_no_seal(path: Path, results: Path) -> bool:
    """Return whether a file is one that no seal covers, where results keep them."""
    if not path.is_relative_to(results):
        return False
    study, *below = path.relative_to(results).parts
    if study == PUBLISHED or not below:
        return False
    return below[0] in WITHOUT_SEAL or "/".join(below) in WRITTEN_FOR_STUDIES


def verify(roots: Iterable[Path]) -> Verification:
    """Verify seals, the files that they seal, and all that these were made from.

    Args:
        roots: paths of seals; their parents are followed to wherever they lie.
    """
    found = Verification()
    waiting, known = [Path(root) for root in roots], dict[Path, Seal]()
    seen = {path.resolve() for path in waiting}
    while waiting:
        path = waiting.pop()
        try:
            seal = any_seal(path)
            check_place(seal)
        except SealError as error:
            found.problems.append(str(error))
            continue
        known[path.resolve()] = seal
        found.seals += 1
        if seal.artifact == "posterior" and not path.with_name("run.json").is_file():
            found.gone.append(str(path.with_name("run.json")))
        _verify_files(seal, found)
        for parent in seal.parents.values():
            place = seal.path_of(parent)
            if place.exists() and place.resolve() not in seen:
                seen.add(place.resolve())
                waiting.append(place)
    for seal in known.values():
        _verify_parents(seal, known, found)
    found.problems.sort()
    found.gone = sorted(set(found.gone))
    return found


def check_place(seal: Seal) -> None:
    """Check that a seal lies where what it says of itself has its place.

    Raises:
        SealError: it was moved or copied from elsewhere.
    """
    places = PLACES.get(seal.artifact, [""])
    try:
        ends = [place.format(**_named(seal.identity)) for place in places]
    except (KeyError, ValueError, TypeError, IndexError) as error:
        raise SealError(f"{seal.path}: does not say whose it is ({error!r})") from None
    folder = seal.path.absolute().parent.as_posix()
    if not any(f"{folder}/".endswith(f"/{end}/") for end in ends if end) and any(ends):
        raise SealError(
            f"{seal.path}: is that of {' or '.join(ends)}, and lies elsewhere: another run's; "
            "delete it, and the same command makes it again"
        )


def _named(identity: Mapping[str, Any]) -> dict[str, Any]:
    replicates = identity.get("replicates")
    return {**identity, **({"block": block_name(replicates)} if replicates else {})}


def _verify_files(seal: Seal, found: Verification) -> None:
    for name in seal.files:
        path = seal.path.parent / name
        if not path.exists():
            found.gone.append(str(path))
            continue
        try:
            seal.verified(path)
            found.files += 1
        except SealError as error:
            found.problems.append(str(error))


def _verify_parents(seal: Seal, known: dict[Path, Seal], found: Verification) -> None:
    for role, parent in seal.parents.items():
        place = seal.path_of(parent)
        if not place.exists():
            found.gone.append(str(place))
        elif (there := known.get(place.resolve())) and there.digest != parent.digest:
            found.problems.append(
                f"{seal.path}: was made from another {role} ({parent.digest[:SHOWN]}…) than lies "
                f"at {place} ({there.digest[:SHOWN]}…): they are not of one run"
            )
