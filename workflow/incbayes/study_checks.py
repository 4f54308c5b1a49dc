"""What a schema cannot say: checks between the keys of a study, made before anything runs.

They take a study in normal form and the constraints of its kinds (how many images a data set has,
which classes, …), and read no data.
"""

import math
import re
from collections.abc import Callable, Iterable
from typing import Any

from incbayes.chains import check_only
from incbayes.claim_checks import check_claims
from incbayes.registry import nearest
from incbayes.study_data import STATED, data_constraints
from incbayes.study_file import KeyPath, StudyError, shown
from incbayes.study_schema import kind_constraints, kind_names
from incbayes.study_settings import method_settings
from incbayes.tuning_checks import check_tuning

Study = dict[str, Any]
Experiment = dict[str, Any]

WIDTHLESS_PRIORS = {"pretrained"}
"""Priors that are a place to start at and no distribution: for families without a width."""

TAKEN = {
    "data": "results/data holds the data sets of all studies",
    "published": "results/published holds what full runs measured",
}
"""Folders under results/ that are no study's."""


def check_meaning(study: Study) -> None:
    """Check a study in normal form.

    Raises:
        StudyError: the first contradiction between keys.
    """
    if study["study"] in TAKEN:
        name = study["study"]
        raise StudyError(("study",), f"found {shown(name)}; {TAKEN[name]}: choose another name")
    check_only(study)
    for name in study["methods"]:
        _check_prior_suits_family(study, name)
    for name, experiment in study["experiments"].items():
        path = ("experiments", name)
        for check in EXPERIMENT_CHECKS:
            check(path, experiment)
        _check_methods(path, experiment, study["methods"])
        _check_complexity(name, study)
    check_claims(study)
    check_tuning(study)


def _check_prior_suits_family(study: Study, name: str) -> None:
    family = study["methods"][name]["family"]["kind"]
    prior = study["methods"][name]["prior"]["kind"]
    suitable = [other for other in kind_names("prior") if _suits(other, family)]
    if prior not in suitable:
        lack = "has no width" if prior in WIDTHLESS_PRIORS else "is a distribution"
        verb = "needs" if prior in WIDTHLESS_PRIORS else "cannot use"
        raise StudyError(
            ("methods", name, "prior"),
            f"{prior} {lack}, which the family {family} {verb}; allowed: {', '.join(suitable)}",
        )


def _suits(prior: str, family: str) -> bool:
    """Return whether a family can use a prior; without a source every family can."""
    if not _needs_source(prior):
        return True
    return _is_bayesian(family) != (prior in WIDTHLESS_PRIORS)


def _needs_source(prior: str) -> bool:
    return kind_constraints("prior", prior).get("needs_source", False)


def _check_stated_data(path: KeyPath, experiment: Experiment) -> None:
    """Check what a study states of images of its own, beyond the types."""
    dataset = experiment["dataset"]
    if not set(STATED) <= dataset.keys():
        return
    shape, classes = dataset["shape"], dataset["classes"]
    if len(shape) != 3 or shape[0] not in (1, 3):
        raise StudyError(
            (*path, "dataset", "shape"),
            f"found {shown(shape)}; allowed: [channels, height, width] with 1 channel (grey) or 3 "
            "(colour)",
        )
    for position, name in enumerate(classes):
        here = (*path, "dataset", "classes", position)
        if name in classes[:position]:
            raise StudyError(here, f"{shown(name)} is given twice")
        if not name or name.startswith(".") or re.search(r"[/\\]", name):
            raise StudyError(
                here,
                f"found {shown(name)}; allowed: the name of a folder, not empty, without / and "
                "not beginning with a dot",
            )


def _check_model(path: KeyPath, experiment: Experiment) -> None:
    model, dataset = experiment["model"]["kind"], experiment["dataset"]["kind"]
    shape = _dataset(experiment)["shape"]
    least = kind_constraints("model", model).get("min_side", 1)
    if min(shape[1:]) < least:
        size = f"{shape[1]}x{shape[2]}"
        raise StudyError(
            (*path, "model"),
            f"{model} needs images of at least {least}x{least} pixels; {dataset} has {size}",
        )


def _check_classes(path: KeyPath, experiment: Experiment) -> None:
    classes = len(_dataset(experiment)["classes"])
    partition = experiment["partition"]
    source, target = partition["source_classes"], partition["target_classes"]
    for key, numbers in (("source_classes", source), ("target_classes", target)):
        for position, number in enumerate(numbers if isinstance(numbers, list) else []):
            if number >= classes:
                raise StudyError(
                    (*path, "partition", key, position),
                    f"class {shown(number)} does not exist; {experiment['dataset']['kind']} has "
                    f"the classes 0 to {classes - 1}",
                )
    where = (*path, "partition", "source_classes")
    if isinstance(source, int):
        most = classes - len(target) if target else classes - 1
        if source > most:
            raise StudyError(
                where,
                f"found {shown(source)} random classes; allowed: 1 to {most}, as "
                f"{experiment['dataset']['kind']} has {classes} classes and the target task "
                f"needs {len(target) if target else 'at least one'} of them",
            )
    elif source and not target and len(source) == classes:
        raise StudyError(where, "all the classes; none is left for the target task")
    elif source and set(source) & set(target or []):
        shared = sorted(set(source) & set(target))
        raise StudyError(
            (*path, "partition", "target_classes"),
            f"the classes {shown(shared)} are in source_classes too; a class belongs to one task",
        )


def _check_parts(path: KeyPath, experiment: Experiment) -> None:
    data, partition = _dataset(experiment), experiment["partition"]
    classes, target = len(data["classes"]), _target_size(experiment)
    images = data["train"] if target == classes else data["train"] * target // classes
    # Rounded half up, as the partition does it.
    kept = math.floor(partition["fraction"] * images + 0.5)
    about = "" if target == classes else "about "
    share = f"fraction {partition['fraction']} of {about}{images}"
    if kept == 0:
        raise StudyError((*path, "partition", "fraction"), f"leaves no training image: {share}")
    for position, number in enumerate(experiment["parts"]):
        if number > kept:
            whose = f"{experiment['dataset']['kind']}, {target} of {classes} classes, {share}"
            raise StudyError(
                (*path, "parts", position),
                f"found {shown(number)} parts of {about}{kept} training images ({whose}); "
                f"allowed: 1 to {kept}",
            )


def _check_pretraining(path: KeyPath, experiment: Experiment) -> None:
    if experiment["pretrain"] is not None and experiment["partition"]["source_classes"] is None:
        raise StudyError(
            (*path, "pretrain"),
            "needs a source task to train on; give partition.source_classes, or leave it out",
        )


def _check_methods(path: KeyPath, experiment: Experiment, methods: dict[str, Any]) -> None:
    labels: dict[str, str] = {}
    for position, name in enumerate(experiment["methods"]):
        here = (*path, "methods", position)
        if name not in methods:
            known = f"known: {', '.join(methods)}"
            raise StudyError(here, f"unknown method {name!r}{nearest(name, methods)}; {known}")
        label = methods[name]["label"]
        if label in labels:
            raise StudyError(
                here, f"{name} has the label of {labels[label]}, {label!r}; give each its own"
            )
        labels[label] = name
        prior = methods[name]["prior"]["kind"]
        if _needs_source(prior) and experiment["pretrain"] is None:
            source = experiment["partition"]["source_classes"]
            keys = "pretrain" if source is not None else "partition.source_classes and pretrain"
            raise StudyError(
                here,
                f"{name} has the prior {prior}, which is made from a source task; give {keys}, "
                "or leave the method out",
            )


def _check_complexity(experiment: str, study: Study) -> None:
    for name in study["experiments"][experiment]["methods"]:
        settings = method_settings(study, experiment, name)
        complexity, family = settings["objective"]["complexity"], settings["family"]["kind"]
        if complexity == "monte_carlo" and not _is_bayesian(family):
            raise StudyError(
                ("methods", name, "objective", "complexity"),
                f"monte_carlo needs the density of a draw, which the family {family} has not; "
                "give this method closed_form",
            )


def _is_bayesian(family: str) -> bool:
    return kind_constraints("family", family).get("bayesian", True)


def _dataset(experiment: Experiment) -> dict[str, Any]:
    return data_constraints(experiment["dataset"])


def _target_size(experiment: Experiment) -> int:
    """Return the number of classes of the target task."""
    partition = experiment["partition"]
    source, target = partition["source_classes"], partition["target_classes"]
    if target is not None:
        return len(target)
    taken = len(source) if isinstance(source, list) else source or 0
    return len(_dataset(experiment)["classes"]) - taken


EXPERIMENT_CHECKS: Iterable[Callable[[KeyPath, Experiment], None]] = (
    _check_stated_data,
    _check_model,
    _check_classes,
    _check_parts,
    _check_pretraining,
)
