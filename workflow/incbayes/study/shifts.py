"""What a study says of shifts: their levels, and the splits that are scored at each."""

import re
from collections.abc import Iterator, Mapping

from incbayes.study.model import Experiment, KindSpec
from incbayes.study.schema import kind_constraints

PREFIX = "shift_"
"""Of the name of a split of shifted images; name and level of the shift follow."""

SHIFTED = re.compile(PREFIX + r"(.+)_(\d+)", re.ASCII)
"""Name and level of the split of a shift."""

CORRUPTED = re.compile(r"(.+)\.(.+)")
"""Of the name in `SHIFTED`: a shift whose images lie in files, and the corruption."""

MEAN = "mean"
"""In place of a corruption and its level: what is the mean over all of a shift."""


def changed_images(experiment: Experiment) -> dict[str, Mapping[str, KindSpec]]:
    """Return by key of an experiment the kinds of images that it is scored on beside its own."""
    return {"outliers": experiment.outlier_sets, "shifts": experiment.image_shifts}


def is_stored(shift: KindSpec) -> bool:
    """Return whether the images of a shift lie in files, of several corruptions."""
    return "strengths" in kind_constraints("shifts", shift.kind)


def stored_among(shifts: Mapping[str, KindSpec]) -> dict[str, KindSpec]:
    """Return the shifts whose images lie in files, which are to be prepared."""
    return {name: shift for name, shift in shifts.items() if is_stored(shift)}


def shift_split(name: str, level: int) -> str:
    """Return the split of a shift at a level."""
    return f"{PREFIX}{name}_{level}"


def corrupted(name: str, corruption: str) -> str:
    """Return the name of one corruption of a shift whose images lie in files.

    No name of a study holds a dot, so that it is nothing else's.
    """
    return f"{name}.{corruption}"


def mean_split(name: str) -> str:
    """Return the split of the means over all corruptions and levels of a shift."""
    return f"{PREFIX}{name}.{MEAN}"


def levels_of(shift: KindSpec) -> dict[int, float]:
    """Return the strength at each level of a shift: named by itself, or by its place, from 1."""
    stated = shift.options["levels"]
    if kind_constraints("shifts", shift.kind)["by_value"]:
        return {int(value): value for value in stated}
    return dict(enumerate(stated, 1))


def level_splits(name: str, shift: KindSpec) -> Iterator[str]:
    """Yield the splits of a shift at its levels, of files corruption by corruption."""
    names = [corrupted(name, of) for of in shift.options["names"]] if is_stored(shift) else [name]
    for each in names:
        for level in levels_of(shift):
            yield shift_split(each, level)


def shift_splits(experiment: Experiment) -> list[str]:
    """Return the splits of an experiment's shifts, in its order, a test set each."""
    shifts = experiment.image_shifts.items()
    return [split for name, shift in shifts for split in level_splits(name, shift)]


def mean_splits(experiment: Experiment) -> list[str]:
    """Return the splits that are means over others of an experiment's shifts."""
    return [mean_split(name) for name in stored_among(experiment.image_shifts)]
