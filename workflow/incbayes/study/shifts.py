"""What a study says of shifts: their levels, and the splits that are scored at each."""

import re
from collections.abc import Mapping

from incbayes.study.model import Experiment, KindSpec
from incbayes.study.schema import kind_constraints

PREFIX = "shift_"
"""Of the name of a split of shifted images; name and level of the shift follow."""

SHIFTED = re.compile(PREFIX + r"(.+)_(\d+)", re.ASCII)
"""Name and level of the split of a shift."""


def changed_images(experiment: Experiment) -> dict[str, Mapping[str, KindSpec]]:
    """Return by key of an experiment the kinds of images that it is scored on beside its own."""
    return {"outliers": experiment.outlier_sets, "shifts": experiment.image_shifts}


def shift_split(name: str, level: int) -> str:
    """Return the split of a shift at a level."""
    return f"{PREFIX}{name}_{level}"


def levels_of(shift: KindSpec) -> dict[int, float]:
    """Return the strength at each level of a shift: named by itself, or by its place, from 1."""
    stated = shift.options["levels"]
    if kind_constraints("shifts", shift.kind)["by_value"]:
        return {int(value): value for value in stated}
    return dict(enumerate(stated, 1))


def shift_splits(experiment: Experiment) -> list[str]:
    """Return the splits of an experiment's shifts, in its order."""
    return [
        shift_split(name, level)
        for name, shift in experiment.image_shifts.items()
        for level in levels_of(shift)
    ]
