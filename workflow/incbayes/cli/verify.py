"""`incbayes verify`: are results, byte for byte, what the jobs that made them left?"""

import argparse
import sys
from pathlib import Path

from incbayes.core.seal import SealError
from incbayes.results.verification import Verification, seals_in, unsealed, verify

HELP = "verify results"
DESCRIPTION = """Verify results: that every file is, byte for byte, what the job that made it left,
that it lies in its place, and that it was made from what lies there now. Of published folders it
also verifies that the records are those that were scored."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument(
        "folder",
        nargs="?",
        type=Path,
        default=Path("results"),
        help="of results, of one study, or of a published one (default: results)",
    )


def run(asked: argparse.Namespace) -> int:
    """Print what was found; return the exit code, 1 where there is a problem.

    Raises:
        SealError: there is nothing to verify.
    """
    found = verified(asked.folder)
    for problem in found.problems:
        print(problem, file=sys.stderr)
    print(_summary(asked.folder, found))
    return 1 if found.problems else 0


def verified(folder: Path) -> Verification:
    """Return what verifying a folder found.

    Raises:
        SealError: there is nothing to verify.
    """
    from incbayes.publication.verified import SEAL, verify_publication

    seals = seals_in(folder)
    if not seals:
        raise SealError(f"{folder}: no results of this release; expected results/ or results/STUDY")
    found = verify(seals)
    found.problems += [
        f"{path}: no seal covers it; the job that made it did not end, or its seal was deleted; "
        "delete it, and the same command makes it again"
        for path in unsealed(folder, seals)
    ]
    for seal in seals:
        if seal.name == SEAL and not any(str(seal.parent) in line for line in found.problems):
            try:
                verify_publication(seal.parent)
            except SealError as error:
                found.problems.append(str(error))
    return found


def _summary(folder: Path, found: Verification) -> str:
    """Return one line on what was verified, and one on each thing that is gone."""
    problems = len(found.problems)
    state = f"{problems} problem{'s' if problems != 1 else ''}" if problems else "all is well"
    lines = [f"{folder}: {found.count} files verified, {found.seals} seals among them; {state}"]
    return "\n".join(lines + [f"gone, and not needed for this: {path}" for path in found.gone])
