"""What a schema cannot say of outliers and shifts: checks between keys, before anything runs."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from incbayes.study.datasets import data_constraints, data_name
from incbayes.study.model import Experiment
from incbayes.study.outliers import data_sets_among
from incbayes.study.schema import kind_constraints
from incbayes.study.shifts import MEAN, changed_images, is_stored
from incbayes.study.streams import arrives
from incbayes.study.tables import is_table
from incbayes.study.yaml import KeyPath, StudyError, shown

CORRUPTION = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", re.ASCII)
"""The name of a corruption."""


def check_changed_images(path: KeyPath, experiment: Experiment, data: Mapping[str, Any]) -> None:
    """Check outliers and shifts of an experiment.

    Args:
        path: of the experiment.
        experiment: in normal form.
        data: what is said of its data set.

    Raises:
        StudyError: they make no sense of its data set, or contradict themselves or each other.
    """
    for key, specs in changed_images(experiment).items():
        _check_images((*path, key), experiment, bool(specs))
    _check_outliers(path, experiment, data)
    _check_shifts((*path, "shifts"), experiment)


def _check_outliers(path: KeyPath, experiment: Experiment, data: Mapping[str, Any]) -> None:
    """Check that outlier sets are of the images' shape, and are not the task's own images."""
    kind, shape = experiment.dataset.kind, list(data["shape"])
    sets = data_sets_among(experiment.outlier_sets)
    for name, spec in experiment.outlier_sets.items():
        here = (*path, "outliers", name)
        if name not in sets:
            if kind_constraints("outliers", spec.kind).get("square") and shape[1] != shape[2]:
                raise StudyError(
                    here,
                    f"{spec.kind} keeps the shape of square images alone; those of {kind} "
                    f"are {shape[1]}×{shape[2]}",
                )
            continue
        if data_name(spec) == data_name(experiment.dataset):
            raise StudyError(here, f"{spec.kind} is the experiment's own data set; name another")
        found = list(data_constraints(spec)["shape"])
        if found != shape:
            raise StudyError(
                here,
                f"images of {spec.kind} are {found}, channels first, and those of {kind} "
                f"{shape}; name a data set of the same shape",
            )


def _check_shifts(path: KeyPath, experiment: Experiment) -> None:
    """Check that no level is given twice, nor has the name of another one."""
    for name, spec in experiment.image_shifts.items():
        here, levels = (*path, name), spec.options["levels"]
        for place, level in enumerate(levels):
            if level in levels[:place]:
                raise StudyError((*here, "levels", place), f"{level:g} is given twice")
        if not levels:
            raise StudyError((*here, "levels"), "found []; give one or more")
        if is_stored(spec):
            _check_corruptions((*here, "names"), spec.options["names"])
        others = [other for other in experiment.image_shifts if other.startswith(f"{name}_")]
        for other in others:
            if other.removeprefix(f"{name}_").isdecimal():
                raise StudyError(here, f"{other} has the name of a level of {name}; rename one")


def _check_corruptions(path: KeyPath, names: Sequence[str]) -> None:
    """Check the names of corruptions, which are those of files and a part of a split's name."""
    if not names:
        raise StudyError(path, "found []; give one or more")
    for place, name in enumerate(names):
        if not CORRUPTION.fullmatch(name) or name == MEAN:
            raise StudyError(
                (*path, place),
                f"found {shown(name)}; allowed: the name of a file or folder without its ending, "
                f"of letters, digits, _ and -, and not {MEAN}, which names the mean over all",
            )
        if name in names[:place]:
            raise StudyError((*path, place), f"{name} is given twice")


def _check_images(path: KeyPath, experiment: Experiment, stated: bool) -> None:
    """Check that an experiment is on images that are cut into parts, where a key needs them."""
    if not stated:
        return
    is_a_table = is_table(experiment.dataset)
    if is_a_table or arrives(experiment.dataset):
        what, key = "a table" if is_a_table else "a stream", path[-1]
        raise StudyError(
            path,
            f"{experiment.dataset.kind} is {what}, and {key} are of images that are cut into "
            "parts: leave this key out",
        )
