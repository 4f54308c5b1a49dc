"""What a schema cannot say of a table, and of what suits one: checks between keys, no data read."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from msgspec import UNSET

from incbayes.core.registry import nearest
from incbayes.study.model import Experiment, Method
from incbayes.study.schema import kind_constraints, kind_names
from incbayes.study.tables import (
    MOST_COLUMNS,
    SOURCES,
    counted_categories,
    encoded_columns,
    is_table,
)
from incbayes.study.yaml import KeyPath, StudyError, shown

Facts = Mapping[str, Any]


def check_stated_table(here: KeyPath, options: Mapping[str, Any]) -> None:
    """Check what a study states of a table of its own, beyond the types.

    Args:
        here: key of the data set.
        options: of it; of images none of this.

    Raises:
        StudyError: a column or a class is given twice, or a key contradicts another.
    """
    if "target" not in options:
        return
    for key in SOURCES:
        stated = options.get(key)
        if stated is not None and (not stated.strip() or "\n" in stated):
            found = f"found {shown(stated)}; allowed: a path in one line, not empty"
            raise StudyError((*here, key), found)
    features, categories = options["features"], options["categories"]
    _check_once((*here, "features"), features)
    if options["target"] in features:
        place = features.index(options["target"])
        raise StudyError(
            (*here, "features", place),
            f"{shown(options['target'])} is the target, which no feature can be: leave it out",
        )
    for name, values in categories.items():
        if name not in features:
            raise StudyError(
                (*here, "categories", name),
                f"no feature{nearest(name, features)}; name it in features too",
            )
        if not values:
            raise StudyError((*here, "categories", name), "found []; allowed: one or more")
        _check_once((*here, "categories", name), values)
    if options["classes"] is not None:
        _check_once((*here, "classes"), options["classes"])
    if options.get("test_source") is not None and options.get("test_share") is not None:
        raise StudyError(
            (*here, "test_share"), "given beside test_source, which has all rows to score on"
        )
    columns = len(encoded_columns(features, categories))
    if columns > MOST_COLUMNS:
        raise StudyError(
            (*here, "features"),
            f"{columns} columns, categories counted, where {MOST_COLUMNS} are the most",
        )


def _check_once(path: KeyPath, names: Sequence[str]) -> None:
    for position, name in enumerate(names):
        if not name.strip():
            raise StudyError((*path, position), f"found {shown(name)}; allowed: a name, not empty")
        if name in names[:position]:
            raise StudyError((*path, position), f"{shown(name)} is given twice")


def check_scaling(path: KeyPath, experiment: Experiment, data: Facts) -> None:
    """Check that columns are scaled as columns are, and pixels as pixels.

    Raises:
        StudyError: the scaling is of the other.
    """
    table = bool(data.get("table"))
    _check_kind(
        (*path, "pixels"),
        experiment.pixels.kind,
        lambda kind: (kind_constraints("pixels", kind).get("of") == "columns") == table,
        f"{experiment.dataset.kind} is {'a table' if table else 'made of images'}",
    )


def check_embedded(path: KeyPath, experiment: Experiment, data: Facts) -> None:
    """Check that a model of a table's columns has a table, and those columns.

    Raises:
        StudyError: the data set is made of images, or its features are others.
    """
    model, dataset = experiment.model, experiment.dataset
    key = kind_constraints("model", model.kind).get("columns")
    if key is None:
        return
    if not is_table(dataset):
        detail = f"{model.kind} is for tables; {dataset.kind} is made of images"
        raise StudyError((*path, "model"), detail)
    found, there = list(model.options[key] or ()), counted_categories(dataset)
    if found != there:
        detail = f"found {shown(found)}, but the features of {dataset.kind} have {shown(there)}"
        raise StudyError((*path, "model", key), f"{detail}; leave it out, and it is that")


def check_likelihood(path: KeyPath, experiment: Experiment, data: Facts) -> None:
    """Check that the likelihood is of what the data set asks for: classes, or a number.

    Raises:
        StudyError: it is of the other.
    """
    meant = "number" if data.get("number") else "classes"
    what = "a number" if meant == "number" else "a class"
    _check_kind(
        (*path, "likelihood"),
        experiment.likelihood.kind,
        lambda kind: kind_constraints("likelihood", kind).get("predicts", "classes") == meant,
        f"the target of {experiment.dataset.kind} is {what}",
    )


def _check_kind(path: KeyPath, kind: str, suits: Callable[[str], bool], why: str) -> None:
    if not suits(kind):
        allowed = ", ".join(filter(suits, kind_names(str(path[-1]))))
        raise StudyError(path, f"found {shown(kind)}, but {why}; allowed: {allowed}")


def check_number(path: KeyPath, experiment: Experiment, data: Facts) -> None:
    """Check that nothing is asked of a number that only classes have.

    Raises:
        StudyError: classes of a task, parts that share out classes, or a source task.
    """
    if not data.get("number"):
        return
    partition = experiment.partition
    usually = {"stratify": False, "source_classes": None, "target_classes": None}
    for key, usual in (usually | {"calibration": UNSET}).items():
        if getattr(partition, key) != usual:
            raise StudyError(
                (*path, "partition", key),
                f"the target of {experiment.dataset.kind} is a number, which has no classes: "
                "leave this key out",
            )


def check_predicted(
    path: KeyPath, experiment: Experiment, data: Facts, methods: Mapping[str, Method]
) -> None:
    """Check that the algorithms of an experiment's methods can fit what it predicts.

    Raises:
        StudyError: one is of classes alone, and the target is a number.
    """
    predicted = "number" if data.get("number") else "classes"
    for position, name in enumerate(experiment.methods):
        algorithm = methods[name].inference.kind
        if kind_constraints("inference", algorithm).get("predicts", predicted) != predicted:
            raise StudyError(
                (*path, "methods", position),
                f"{name} is fitted by {algorithm}, which is of classes alone; the target of "
                f"{experiment.dataset.kind} is a number",
            )


def check_augmentation(path: KeyPath, experiment: Experiment, data: Facts) -> None:
    """Check that images are augmented, and no rows, and by less than their size.

    Raises:
        StudyError: naming the key.
    """
    augmentation, here = experiment.augmentation, (*path, "augmentation")
    if augmentation is UNSET:
        return
    if data.get("table"):
        detail = f"{experiment.dataset.kind} is a table, which has nothing to crop or flip"
        raise StudyError(here, f"{detail}; leave it out")
    if not (augmentation.crop or augmentation.flip):
        raise StudyError(here, "neither crops nor flips; leave it out")
    side = min(data["shape"][1:])
    if augmentation.crop >= side:
        found = f"found {augmentation.crop}, but images have {side} pixels on a side"
        raise StudyError((*here, "crop"), f"{found}; allowed: less")


TABLE_CHECKS: Iterable[Callable[[KeyPath, Experiment, Facts], None]] = (
    check_scaling,
    check_embedded,
    check_likelihood,
    check_number,
    check_augmentation,
)
