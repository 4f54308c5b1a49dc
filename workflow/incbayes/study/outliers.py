"""What a study says of outlier sets: their splits, and which of them are data sets."""

from collections.abc import Mapping

from incbayes.kinds import DATASETS
from incbayes.study.model import Experiment, KindSpec

PREFIX = "outliers_"
"""Of the name of a split of outliers; the set's own name follows."""


def outlier_splits(experiment: Experiment) -> list[str]:
    """Return the splits of an experiment's outlier sets, in its order."""
    return [f"{PREFIX}{name}" for name in experiment.outlier_sets]


def data_sets_among(outliers: Mapping[str, KindSpec]) -> dict[str, KindSpec]:
    """Return the outlier sets that are data sets of their own, which are to be prepared."""
    return {name: spec for name, spec in outliers.items() if spec.kind in DATASETS}
