"""Which parts of a stream have arrived, and in what order; it looks at names alone.

Parts are folders and archives in `SOURCE/parts`. Those that a stage was fitted to count though
their files are gone: what a chain has seen it has seen.
"""

import itertools
import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from msgspec.structs import replace

from incbayes.study.merging import Plain
from incbayes.study.model import Claim, Experiment, Group, KindSpec
from incbayes.study.schema import kind_constraints
from incbayes.study.tables import is_table
from incbayes.study.user_paths import expanded, taken_for_a_name
from incbayes.study.yaml import KeyPath, StudyError, read_yaml, shown

PARTS, TEST, MANIFEST = "parts", "test", "parts.yaml"
"""What lies in the source of a stream."""

ENDINGS = (".tar.gz", ".tgz", ".tar", ".zip")
"""Of archives, each a part of images."""

TABLE_ENDINGS = (".csv", ".parquet")
"""Of files, each a part of a table."""


def arrives(dataset: KindSpec) -> bool:
    """Return whether a data set is a stream: its parts arrive, and are not cut."""
    return bool(kind_constraints("dataset", dataset.kind).get("arrives", False))


def complete_parts(name: str, experiment: Plain) -> None:
    """Give an experiment over a stream its `parts`, which it may not state, in place.

    They are counted when a workflow is planned; until then one part stands for all.

    Raises:
        StudyError: a stream states parts, or another data set does not.
    """
    streams = arrives(KindSpec.of(experiment["dataset"]))
    if streams and "parts" in experiment:
        detail = "a stream has the parts that have arrived: leave this key out"
        raise StudyError(("experiments", name, "parts"), detail)
    if not streams and "parts" not in experiment:
        raise StudyError(
            ("experiments", name, "parts"), "missing; allowed: a list (1 or more numbers)"
        )
    experiment.setdefault("parts", [1])


def complete_claims(study: Plain) -> None:
    """Give the groups of claims on streams their `T`, which they may not state, in place.

    As of `parts`, 1 stands for it until a workflow is planned.

    Raises:
        StudyError: a group of a stream states T, or another does not.
    """
    for name, claim in study.get("claims", {}).items():
        for place, group in enumerate(claim["groups"]):
            if not isinstance(group, dict):
                continue
            path = ("claims", name, "groups", place, "T")
            described = study["experiments"].get(group["experiment"])
            of_stream = described is not None and arrives(KindSpec.of(described["dataset"]))
            if of_stream and "T" in group:
                detail = "a stream has the parts that have arrived: leave this key out"
                raise StudyError(path, f"{detail}; t names a stage")
            if not of_stream and "T" not in group:
                raise StudyError(path, "missing; allowed: a whole number of at least 1")
            group.setdefault("T", 1)


def with_arrived(claims: Mapping[str, Claim], arrived: Mapping[str, int]) -> dict[str, Claim]:
    """Return claims whose groups on streams are of the parts that have arrived.

    Args:
        claims: in normal form, by name.
        arrived: how many, by the name of the experiment.

    Raises:
        StudyError: a group is of a stage that is yet to come.
    """
    found = {}
    for name, claim in claims.items():
        groups = list(claim.groups)
        for place, group in enumerate(groups):
            if not isinstance(group, Group) or group.experiment not in arrived:
                continue
            count = arrived[group.experiment]
            if group.t is not None and group.t > count:
                detail = f"found {shown(group.t)}; so far {count} parts have arrived"
                raise StudyError(("claims", name, "groups", place, "t"), detail)
            groups[place] = replace(group, T=count)
        found[name] = replace(claim, groups=tuple(groups))
    return found


def stream_source(dataset: KindSpec, data_root: Path, key: KeyPath) -> Path:
    """Return the folder of a stream.

    Raises:
        StudyError: its path cannot be expanded.
    """
    return data_root / expanded(dataset.options["source"], (*key, "source"))


def part_source(source: Path, name: str) -> Path | None:
    """Return the folder or the file of a part; None where there is neither."""
    folder = source / PARTS / name
    endings = (*ENDINGS, *TABLE_ENDINGS)
    usual = [folder, *(folder.with_name(name + ending) for ending in endings)]
    found = next((path for path in usual if path.exists()), None)
    if found is None and folder.parent.is_dir():  # one in capitals, such as NAME.ZIP
        files = (path for path in folder.parent.iterdir() if path.name.startswith(f"{name}."))
        found = next((path for path in files if _stem(path.name, endings) == name), None)
    return found


def present_parts(source: Path, key: KeyPath, endings: Sequence[str] = ENDINGS) -> list[str]:
    """Return the names of the parts whose files are there, in order of name.

    Args:
        source: of the stream.
        key: of the source, for messages.
        endings: of the files that are parts.

    Raises:
        StudyError: a name is there twice, cannot be one of a path, or a file is no part.
    """
    folder, names = source / PARTS, dict[str, str]()
    if not folder.is_dir():
        return []
    for item in sorted(os.scandir(folder), key=lambda item: item.name):
        if item.name.startswith("."):
            continue
        name = item.name if item.is_dir() else _stem(item.name, endings)
        if name is None:
            what = "an archive" if tuple(endings) == ENDINGS else "a table"
            raise StudyError(
                key, f"{item.path} is neither a folder nor {what} ({', '.join(endings)})"
            )
        if name in names:
            raise StudyError(
                key, f"{folder} holds the part {shown(name)} twice: {names[name]} and {item.name}"
            )
        _check_name(key, folder, name)
        names[name] = item.name
    return sorted(names)


def _stem(name: str, endings: Sequence[str]) -> str | None:
    lower = name.lower()
    return next(
        (name[: -len(e)] for e in endings if lower.endswith(e) and len(name) > len(e)), None
    )


def _check_name(key: KeyPath, folder: Path, name: str) -> None:
    taken = taken_for_a_name(Path(name))
    if taken or set(name) & set("{}\n\t") or not name.isprintable():
        raise StudyError(
            key,
            f"{folder} holds the part {shown(name)}, a name that Snakemake cannot take; "
            "rename it: no braces and no control characters",
        )


def arrived_parts(
    experiment: Experiment, source: Path, fitted: Iterable[Sequence[str]], key: KeyPath
) -> tuple[str, ...]:
    """Return the names of the parts that have arrived, in the order of their stages.

    Args:
        experiment: over a stream.
        source: of the stream.
        fitted: of every chain that was begun, the parts of its stages in order.
        key: of the data set, for messages.

    Raises:
        StudyError: no part is there; a part that is taken back is unknown; a part has a name before
            that of one that was fitted; numbers in new names count otherwise than the names do; the
            manifest names a part that never came, or leaves out one that did.
    """
    of_table = is_table(experiment.dataset)
    present = present_parts(source, (*key, "source"), TABLE_ENDINGS if of_table else ENDINGS)
    longest = max(fitted, key=len, default=())
    known = {*present, *(name for parts in fitted for name in parts)}
    taken_back = experiment.dataset.options["without"]
    for position, name in enumerate(taken_back):
        if name not in known:
            detail = f"found {shown(name)}; no such part has arrived, nor was fitted"
            raise StudyError((*key, "without", position), detail)
    manifest = source / MANIFEST
    if manifest.exists():
        order = _manifest(manifest)
        lost = [name for name in order if name not in known]
        if lost:
            detail = f"{manifest} names the part {shown(lost[0])}, which has not arrived"
            raise StudyError((*key, "source"), detail)
        left_out = sorted(known - {*order, *taken_back})
        if left_out:
            detail = (
                f"{manifest} does not name the part {shown(left_out[0])}, which has arrived; add "
                "it at its place, or take it back (key without)"
            )
            raise StudyError((*key, "source"), detail)
        parts = tuple(name for name in order if name not in taken_back)
    else:
        parts = tuple(name for name in sorted(known) if name not in taken_back)
        begun = list(itertools.takewhile(lambda name: name not in taken_back, longest))
        _check_order(parts, begun, (*key, "source"))
        _check_numbers([name for name in parts if name not in set(begun)], (*key, "source"))
    if not parts:
        what = "a .csv or .parquet file" if of_table else "a folder or an archive of CLASS/IMAGE"
        detail = f"no part in {source / PARTS} yet; add {what}"
        raise StudyError((*key, "source"), detail)
    return parts


def _check_numbers(new: Sequence[str], key: KeyPath) -> None:
    """Refuse names whose order as text is not that of the numbers in them: 1, 10, 2."""
    counted = sorted(new, key=_as_counted)
    for name, meant in zip(new, counted, strict=True):
        if name != meant:
            raise StudyError(
                key,
                f"parts count in the order of their names as text, in which {shown(name)} comes "
                f"before {shown(meant)}; write their numbers with as many digits (02, 10), or give "
                f"the order in {MANIFEST}",
            )


def _as_counted(name: str) -> list[tuple[int, str]]:
    """Return what sorts names by the numbers in them, and by the text between these."""
    pieces = re.split(r"(\d+)", name)
    return [(int(piece) if number % 2 else 0, piece) for number, piece in enumerate(pieces)]


def _manifest(path: Path) -> list[str]:
    """Return the names of parts in the order that a manifest gives.

    Raises:
        StudyError: it is not `parts: [NAME, …]`, each name once.
    """
    written = read_yaml(path)
    names = written.get("parts")
    if set(written) != {"parts"} or not isinstance(names, list) or not names:
        raise StudyError((), f"{path}: expected `parts: [NAME, …]`, found {shown(written)}")
    texts = [name for name in names if isinstance(name, str)]
    often = {name for name, times in Counter(texts).items() if times > 1}
    wrong = [name for name in names if not isinstance(name, str) or name in often]
    if wrong:
        detail = "expected names as text, each once; quote those of digits"
        raise StudyError((), f"{path}: found {shown(wrong[0])}; {detail}")
    return names


def _check_order(parts: Sequence[str], begun: Sequence[str], key: KeyPath) -> None:
    """Refuse a part that would come before one that was fitted: all after it would be anew."""
    known = set(begun)
    late = [name for name in parts if begun and name not in known and name < begun[-1]]
    if late:
        raise StudyError(
            key,
            f"the part {shown(late[0])} has a name before {shown(begun[-1])}, which was fitted "
            f"already; rename it, so that it comes last, or give the order in {MANIFEST}",
        )
