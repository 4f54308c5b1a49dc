"""What a schema cannot say of outlier sets: checks between keys, made before anything runs."""

from collections.abc import Mapping
from typing import Any

from incbayes.study.datasets import data_constraints, data_name
from incbayes.study.model import Experiment
from incbayes.study.outliers import data_sets_among
from incbayes.study.schema import kind_constraints
from incbayes.study.streams import arrives
from incbayes.study.tables import is_table
from incbayes.study.yaml import KeyPath, StudyError


def check_outliers(path: KeyPath, experiment: Experiment, data: Mapping[str, Any]) -> None:
    """Check the outlier sets of an experiment.

    Args:
        path: of the experiment.
        experiment: in normal form.
        data: what is said of its data set.

    Raises:
        StudyError: they make no sense of its data set, are not of its images' shape, or are its
            own images.
    """
    if not experiment.outlier_sets:
        return
    kind, shape = experiment.dataset.kind, list(data["shape"])
    if is_table(experiment.dataset) or arrives(experiment.dataset):
        what = "a table" if is_table(experiment.dataset) else "a stream"
        raise StudyError(
            (*path, "outliers"),
            f"{kind} is {what}, and outliers are of images that are cut into "
            "parts: leave this key out",
        )
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
