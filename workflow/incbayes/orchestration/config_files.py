"""Reads the config files of a run before Snakemake does, which says little of their mistakes."""

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from incbayes.core.errors import UserError
from incbayes.study.yaml import StudyError, one_line, read_yaml

TEMPLATE = "__use_yte__"
"""Key with which Snakemake runs what a config file holds as Python."""

TAKE_SEVERAL = {"--config": {"--config", "-C"}, "--configfile": {"--configfile", "--configfiles"}}
"""Options of Snakemake that take several values, with their other spellings."""


def refuse_repeated(arguments: Sequence[str]) -> None:
    """Refuse a command line on which Snakemake would forget settings without a word.

    Given twice, such an option has the values of the last time alone: the study without what was
    chosen for it, or the full budget for the reduced one.

    Raises:
        UserError: naming the option.
    """
    for option, spellings in TAKE_SEVERAL.items():
        given = [word for word in arguments if word.partition("=")[0] in spellings]
        if len(given) > 1:
            raise UserError(
                f"{option} is given {len(given)} times, and Snakemake would take the last alone: "
                f"give it once, with all that belongs to it, such as `{option} A B`"
            )


def refuse_unreadable(files: Iterable[str | Path]) -> None:
    """End Snakemake with one line where a file of `--configfile` cannot be read.

    The profile calls it, as Snakemake itself reads these files before it reads the Snakefile, says
    little of their mistakes, does not end where aliases stand for billions of values, and runs a
    file as a program that asks for it.
    """
    for file in files:
        try:
            if TEMPLATE in read_yaml(file):
                detail = f"the key {TEMPLATE}, with which Snakemake runs a file; a study is data"
                raise StudyError((), f"{file}: found {detail}")
            _check_for_snakemake(file)
        except StudyError as error:
            sys.exit(str(error))


def _check_for_snakemake(file: str | Path) -> None:
    """Check that Snakemake too can read a file, by YAML 1.1: `2018-02-31` is no date there."""
    from snakemake.common.configfile import load_configfile

    try:
        load_configfile(file)
    except Exception as error:  # whatever YAML's types raise of a text
        cause = one_line(str(error))
        detail = f"Snakemake, which reads it by YAML 1.1, cannot ({cause}); quote such a value"
        raise StudyError((), f"{file}: {detail}") from None
