"""States the claims of a study: the date, and the digest of each with its settings.

Knows where a study's results lie and are published, to say which replicates were there by then.
"""

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import yaml

from incbayes.core.errors import UserError
from incbayes.core.files import atomic_write
from incbayes.publication.publish import read_published
from incbayes.study.blocks import block_replicates
from incbayes.study.chains import Chain
from incbayes.study.model import Statement, Study, to_plain
from incbayes.study.statement import groups_of, stated, statement_digest

FILE = "stated.yaml"
HEADER = """\
# When the claims of the study were stated, by `snakemake state_claims`; not to be written by hand.
# Keep it beside the study, in version control, and name it as a further --configfile.
"""
BLOCK = re.compile(r"r\d+-\d+", re.ASCII)


class StatementError(UserError, ValueError):
    """There is nothing to state."""


def state_claims(study: Study, published: Path, results: Path) -> list[str]:
    """State the primary claims of a study that are not stated yet; return what was done, in lines.

    A claim that is stated, and still what it then was, keeps its date; so does one that is
    exploratory now, which still counts among those that verdicts are corrected for. All are written
    to `stated.yaml` in `results`.

    Args:
        study: in normal form.
        published: folder that it is published in.
        results: folder of its results.

    Raises:
        StatementError: the study has no primary claim.
        PublicationError: what is published cannot be read.
    """
    primary = [name for name, claim in study.claims.items() if claim.status == "primary"]
    if not primary:
        raise StatementError(f"claims: {study.study_id} has no primary claim to state")
    there = _replicates(published, results)
    kept = stated(study)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    statements, lines = {}, []
    for name in study.claims:
        if name not in primary:
            if name in study.stated:
                statements[name] = study.stated[name]
                lines.append(f"{name}: stated {study.stated[name].date}, exploratory now")
            continue
        if name in kept.current:
            statements[name] = kept.current[name]
            lines.append(f"{name}: stated {kept.current[name].date}, as it is")
            continue
        first = max((there.get(chain, 0) for chain in groups_of(study.claims[name])), default=0)
        digest = statement_digest(study, name)
        statements[name] = Statement(date=now, digest=digest, first=first)
        again = ", anew, as it has changed" if name in kept.changed else ""
        lines.append(f"{name}: stated {now}{again}; evidence from replicate {first} on is new")
    _write(results / FILE, statements)
    return [*lines, f"written to {results / FILE}: keep it beside the study, and name it with it"]


def _write(path: Path, statements: dict[str, Statement]) -> None:
    text = yaml.safe_dump({"stated": to_plain(statements)}, sort_keys=False)
    with atomic_write(path) as partial:
        partial.write_text(HEADER + text, encoding="utf-8")


def _replicates(published: Path, results: Path) -> dict[Chain, int]:
    """Return of each chain the number after that of its last replicate that is there."""
    found: dict[Chain, int] = {}
    for chain, last in [*_published(published), *_run(results)]:
        found[chain] = max(last + 1, found.get(chain, 0))
    return found


def _published(folder: Path) -> Iterable[tuple[Chain, int]]:
    kept = read_published(folder)
    if kept is not None:
        for keys, rows in kept.records.groupby(["experiment", "method", "T"]):
            experiment, method, T = keys
            yield (str(experiment), str(method), int(T)), int(rows["replicate"].max())


def _run(results: Path) -> Iterable[tuple[Chain, int]]:
    """Yield the chains of which a block was begun: its folder is there."""
    for block in results.glob("*/*/T*/r*"):
        experiment, method, T = block.relative_to(results).parts[:3]
        if BLOCK.fullmatch(block.name) and T[1:].isdigit():
            yield (experiment, method, int(T[1:])), block_replicates(block.name)[-1]
