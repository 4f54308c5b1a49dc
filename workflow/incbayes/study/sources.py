"""Where a study comes from: config files and the command line, merged into one by one rule.

It knows which source wins; what a study may say it leaves to `resolve`.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from incbayes.study.merging import Plain, merged
from incbayes.study.model import Study
from incbayes.study.resolve import resolve_study
from incbayes.study.yaml import check_extent, read_yaml, stated, typed


def load_study(files: Iterable[str | Path], settings: Mapping[str, Any]) -> Study:
    """Return the normal form of the study that config files and a command line give.

    Args:
        files: the later ones win.
        settings: of the command line, as Snakemake reads it; they win over all files.

    Raises:
        StudyError: the first mistake, in one line with the file and line or the path of its key.
    """
    return resolve_study(written_study(files, settings))


def load_module_study(config: Mapping[str, Any], settings: Mapping[str, Any]) -> Study:
    """Return the normal form of the study that another workflow gives, as a module's `config:`.

    Args:
        config: what it gives.
        settings: of the command line, as Snakemake reads it, which may be part of that.

    Raises:
        StudyError: the first mistake, in one line with the path of its key.
    """
    check_extent(config)
    return resolve_study(stated(config, settings))


def written_study(files: Iterable[str | Path], settings: Mapping[str, Any]) -> Plain:
    """Return what config files and a command line say together, neither checked nor completed.

    They are merged as a budget is merged into its study: mappings key by key, all else replaced,
    and a kind of another name replaces the options of the first.

    Args:
        files: the later ones win.
        settings: of the command line; they win over all files.

    Raises:
        StudyError: a file cannot be read.
    """
    study: Plain = {}
    for written in [*map(read_yaml, files), command_line(settings)]:
        study = merged(study, written)
    return study


def command_line(settings: Mapping[str, Any]) -> Plain:
    """Return the settings of a command line as a file would give them.

    Args:
        settings: as Snakemake reads `--config`, where some numbers are text.

    Raises:
        StudyError: they hold themselves, or more than a study does.
    """
    check_extent(settings)
    given: Plain = typed(dict(settings))
    return given
