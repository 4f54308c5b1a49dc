"""Command lines that a person types: to make a study again, or one file of it alone."""

import json
import os
import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from incbayes.core.errors import PACKAGE

SNAKEFILE = PACKAGE.parent / "Snakefile"
"""The workflow of this checkout; an installed library has none."""


def study_options(files: Iterable[str], settings: Mapping[str, Any]) -> list[str]:
    """Return the options that choose a study.

    Args:
        files: paths of its config files.
        settings: of the command line.
    """
    chosen = [
        f"{key}={value if isinstance(value, str) else json.dumps(value)}"
        for key, value in settings.items()
    ]
    given = [("--configfile", list(files)), ("--config", chosen)]
    return [" ".join([option, *map(shlex.quote, values)]) for option, values in given if values]


def reproducing(
    files: Iterable[str], settings: Mapping[str, Any], top: str, target: str | None
) -> str:
    """Return the command that makes a study again, from the top of the repository.

    Args:
        files: paths of its config files.
        settings: of the command line.
        top: of the repository.
        target: what to make, where a plain run would make other things.
    """
    options = study_options([os.path.relpath(file, top) for file in files], settings)
    return " ".join(
        ["snakemake --cores all", *options, *(["--", shlex.quote(target)] if target else [])]
    )


def running_alone(
    python: str | Path, snakefile: str | Path, files: Iterable[str], settings: Mapping[str, Any]
) -> str:
    """Return the command, from any folder, that makes one file again once `-- FILE` is added.

    Time stamps alone decide what the file still lacks, so that code under change refits nothing
    but that file.

    Args:
        python: the interpreter.
        snakefile: entry of the workflow.
        files: paths of the study's config files.
        settings: of the command line.
    """
    places = [("--snakefile", snakefile), ("--directory", os.getcwd())]
    return " ".join(
        [
            f"{shlex.quote(str(python))} -m snakemake",
            *(f"{option} {shlex.quote(str(path))}" for option, path in places),
            *study_options([os.path.abspath(file) for file in files], settings),
            "--rerun-triggers mtime --force",
        ]
    )
