"""Paths as a user writes them: `~`, variables, and what Snakemake would take for something else.

It knows the environment and how Snakemake reads a path, and nothing of what lies there.
"""

import os
import re
import string
from pathlib import Path

from incbayes.study.yaml import KeyPath, StudyError, shown

TAKEN_FOR_A_NAME = re.compile(r"\{\s*[.\w]+\s*(,([^{}]|\{\d+(,\d+)?\})*)?\}|<[a-z][a-z0-9_]*>")
"""What Snakemake replaces in a path: `{wildcard}`, also with a pattern, and `<variable>`."""


def expanded(text: str, key: KeyPath) -> Path:
    """Return a path of a study with `~`, `~user`, `$NAME` and `${NAME}` replaced, `$$` by `$`.

    Args:
        text: as the study gives it.
        key: of the study, for the message.

    Raises:
        StudyError: there is no such user or variable, or a `$` stands before no name.
    """
    try:
        replaced = string.Template(text).substitute(os.environ)
    except KeyError as error:
        detail = f"found {shown(text)}, but the variable {error.args[0]} is not set"
        raise StudyError(key, f"{detail}; set it, or write $$ for a dollar sign") from None
    except ValueError:
        detail = f"found {shown(text)}, with a dollar sign before no name; write $$ for one"
        raise StudyError(key, detail) from None
    path = os.path.expanduser(replaced)
    if path.startswith("~"):
        detail = f"found {shown(text)}, but there is no such user; write ./~… for a folder"
        raise StudyError(key, detail)
    return Path(path)


def named_path(text: str, key: KeyPath) -> Path:
    """Return a path of a study as `expanded` does, which Snakemake must leave as it is.

    Args: as of `expanded`.

    Raises:
        StudyError: as of `expanded`, or Snakemake would replace a part of it.
    """
    path = expanded(text, key)
    if taken := taken_for_a_name(path):
        raise StudyError(key, f"{path} holds {taken}, which Snakemake replaces; rename it")
    return path


def taken_for_a_name(path: Path) -> str:
    """Return the first part of a path that Snakemake would replace; an empty text for none."""
    match = TAKEN_FOR_A_NAME.search(str(path))
    return match[0] if match else ""
