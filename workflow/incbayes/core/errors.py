"""How a job ends early: by an error that a user can act on, or because it was told to stop."""

import signal
import traceback
from pathlib import Path

PACKAGE = Path(__file__).parent.parent

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
"""What tells a job to stop: a scheduler sends the one, Ctrl-C the other."""


def stopped_by(number: int) -> int:
    """Return the exit status of a job that a signal told to stop, as shells count it."""
    return 128 + number


class UserError(Exception):
    """Names the thing that is wrong, what was found, and the way out.

    Shown as one line, without a traceback.
    """


class CodeFault(UserError):
    """A fault of code that was added: shown as one line, with its traceback in the job's log."""


def last_word(error: BaseException, file: Path | None = None) -> str:
    """Return an error in one line: its kind, what it says, and the line of this library it left.

    Args:
        error: that was caught.
        file: with code of a user's own, whose line is said in place of the library's.
    """
    said = " ".join(f"{type(error).__name__}: {error}".split())
    frames = traceback.extract_tb(error.__traceback__)
    if file is not None:
        theirs = [frame for frame in frames if Path(frame.filename) == file.absolute()]
        return f"{said} (in {file}, line {theirs[-1].lineno})" if theirs else said
    ours = [frame for frame in frames if PACKAGE in Path(frame.filename).parents]
    if not ours:
        return said
    return (
        f"{said} (in {Path(ours[-1].filename).relative_to(PACKAGE.parent)}, line {ours[-1].lineno})"
    )
