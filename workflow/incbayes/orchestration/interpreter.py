"""The running Python under a name that every shell takes; knows nothing of what is run by it."""

import os
import shlex
import shutil
import sys
from pathlib import Path

from incbayes.core.errors import UserError


class InterpreterError(UserError):
    """An interpreter that no shell could be told to start."""


def name_for_shells() -> Path:
    """Make `sys.executable` a word that a shell takes without quotes, and return its path.

    Snakemake writes `sys.executable` into the command lines of jobs as it is. Where that is the
    path of an environment in a folder with a blank or a quote, the interpreter's name takes its
    place, and its folder goes to the head of PATH.

    Raises:
        InterpreterError: PATH cannot hold the folder, or the name itself is no plain word.
    """
    path = Path(shutil.which(sys.executable) or sys.executable)
    if _is_plain(sys.executable):
        return path
    if os.pathsep in str(path.parent) or not _is_plain(path.name):
        raise InterpreterError(
            f"{path}: shells cannot be told to start this Python; move its environment to a "
            f"folder without blanks, quotes and {os.pathsep!r}"
        )
    search = [str(path.parent), os.environ.get("PATH", os.defpath)]
    os.environ["PATH"] = os.pathsep.join(search)
    sys.executable = path.name
    return path


def _is_plain(word: str) -> bool:
    return shlex.quote(word) == word
