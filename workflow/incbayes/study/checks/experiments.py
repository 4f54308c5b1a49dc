"""What a schema cannot say: checks between the keys of a study, made before anything runs.

They take a study in normal form and the facts of its kinds; no data. What is not known yet passes.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from msgspec import UNSET, UnsetType

from incbayes.core.fractions import images_in
from incbayes.core.outside import is_outside
from incbayes.core.registry import nearest
from incbayes.study.chains import check_only
from incbayes.study.checks.changed_images import check_changed_images
from incbayes.study.checks.claims import check_claims, check_metrics
from incbayes.study.checks.given import check_pretraining, check_scored, check_source
from incbayes.study.checks.inference import check_inference, check_suitable
from incbayes.study.checks.published import check_readings
from incbayes.study.checks.tables import TABLE_CHECKS, check_predicted, check_stated_table
from incbayes.study.checks.tuning import check_tuning
from incbayes.study.continuation import continued_path
from incbayes.study.datasets import data_constraints
from incbayes.study.messages import check_known
from incbayes.study.model import Experiment, Method, PartitionSettings, Study
from incbayes.study.outliers import data_sets_among
from incbayes.study.schema import kind_constraints, kind_names
from incbayes.study.settings import mean_scale_of, method_settings
from incbayes.study.streams import arrives
from incbayes.study.yaml import KeyPath, StudyError, shown

Facts = Mapping[str, Any]
"""What `data_constraints` says of a data set."""

WHOLE = ("all", "last_layer")
"""What a method may say of its Bayesian layers without naming them."""

LEAST_CLASSES = 2
"""Of a task."""

TAKEN = {
    "data": "results/data holds the data sets of all studies",
    "published": "results/published holds what full runs measured",
}
"""Folders under results/ that are no study's."""

OWN = ("benchmarks", "logs", "tuning")
"""Folders of a study's results that are no experiment's."""


def check_meaning(study: Study) -> None:
    """Check a study in normal form.

    Raises:
        StudyError: the first contradiction between keys.
    """
    if study.study in TAKEN:
        name = study.study
        raise StudyError(("study",), f"found {shown(name)}; {TAKEN[name]}: choose another name")
    check_only(study)
    for name, method in study.methods.items():
        continued_path(method.prior, ("methods", name, "prior"))
        _check_prior_suits_family(study, name)
        check_suitable(study, name)
        _check_bayesian_layers(study, name)
    for name, experiment in study.experiments.items():
        path = ("experiments", name)
        if name in OWN:
            detail = f"results/{study.study}/{name} holds other files: choose another name"
            raise StudyError(path, detail)
        data = data_constraints(experiment.dataset, study.data_root)
        for check in EXPERIMENT_CHECKS:
            check(path, experiment, data)
        _check_methods(path, experiment, study.methods)
        check_predicted(path, experiment, data, study.methods)
        _check_complexity(name, study)
        check_inference(name, study)
        _check_transfer(name, study)
    check_readings(study)
    check_metrics(study)
    check_claims(study)
    check_tuning(study)


def _check_prior_suits_family(study: Study, name: str) -> None:
    family = study.methods[name].family.kind
    prior = study.methods[name].prior.kind
    if not _suits(prior, family):
        suitable = [other for other in kind_names("prior") if _suits(other, family)]
        lack = "is a distribution" if _is_distribution(prior) else "has no width"
        verb = "cannot use" if _is_distribution(prior) else "needs"
        raise StudyError(
            ("methods", name, "prior"),
            f"{prior} {lack}, which the family {family} {verb}; allowed: {', '.join(suitable)}",
        )


def _suits(prior: str, family: str) -> bool:
    """Return whether a family can use a prior; without a source every family can."""
    if not _needs_source(prior):
        return True
    return _is_bayesian(family) == _is_distribution(prior)


def _is_distribution(prior: str) -> bool:
    """Return whether a prior is one, and not only a place to start at."""
    return kind_constraints("prior", prior).get("distribution", True)


def _needs_source(prior: str) -> bool:
    return kind_constraints("prior", prior).get("needs_source", False)


def _check_bayesian_layers(study: Study, name: str) -> None:
    """Check what a method says of its layers, whatever the network's are called."""
    method, path = study.methods[name], ("methods", name, "bayesian")
    if isinstance(method.bayesian, str) and method.bayesian not in WHOLE:
        close = nearest(method.bayesian, WHOLE)
        detail = f"found {shown(method.bayesian)}{close}; allowed: {', '.join(WHOLE)}, or a list of"
        raise StudyError(path, f"{detail} names of layers")
    for key, usual in (("bayesian", WHOLE[0]), ("normalisation", "point")):
        if getattr(method, key) not in (UNSET, usual) and not _is_bayesian(method.family.kind):
            raise StudyError(
                ("methods", name, key),
                f"found {shown(getattr(method, key))}, but the family {method.family.kind} has no "
                f"width: all its layers are points; leave it out",
            )


def _check_stated(path: KeyPath, experiment: Experiment, data: Facts) -> None:
    """Check what a study states of its data sets, beyond the types."""
    here = (*path, "dataset")
    check_scored(here, experiment.dataset)
    places = {here: experiment.dataset}
    if experiment.source_data is not None:
        places[(*path, "pretrain", "data")] = experiment.source_data
    for name, outliers in data_sets_among(experiment.outlier_sets).items():
        check_scored((*path, "outliers", name), outliers)
        places[(*path, "outliers", name)] = outliers
    for key, dataset in places.items():
        _check_stated_images(key, dataset.options)
        check_stated_table(key, dataset.options)


def _check_stated_images(path: KeyPath, dataset: Mapping[str, Any]) -> None:
    """Check what is stated of images of one's own."""
    if "shape" not in dataset:
        return
    shape, classes = dataset["shape"], dataset["classes"]
    if not dataset["source"].strip() or "\n" in dataset["source"]:
        found = f"found {shown(dataset['source'])}; allowed: a path in one line, not empty"
        raise StudyError((*path, "source"), found)
    if len(shape) != 3 or shape[0] not in (1, 3):
        raise StudyError(
            (*path, "shape"),
            f"found {shown(shape)}; allowed: [channels, height, width] with 1 channel (grey) or 3 "
            "(colour)",
        )
    for position, name in enumerate(classes):
        here = (*path, "classes", position)
        if name in classes[:position]:
            raise StudyError(here, f"{shown(name)} is given twice")
        if not name or name.startswith(".") or re.search(r"[/\\\n]", name):
            raise StudyError(
                here,
                f"found {shown(name)}; allowed: the name of a folder, not empty, without / and "
                "not beginning with a dot",
            )


def _check_pixels(path: KeyPath, experiment: Experiment, data: Facts) -> None:
    """Check mean and std that a study gives: both or neither, a number a channel."""
    pixels, here = experiment.pixels.options, (*path, "pixels")
    given = {key: pixels[key] for key in ("mean", "std") if pixels.get(key) is not None}
    if not given:
        return
    if len(given) == 1:
        ((found, _),) = given.items()
        lacking = "std" if found == "mean" else "mean"
        raise StudyError(
            (*here, lacking), f"lacks, though {found} is given; give both, or leave both out"
        )
    if pixels["statistics"] != "first":
        raise StudyError(
            (*here, "statistics"),
            f"found {shown(pixels['statistics'])} beside a given mean and std; leave one out",
        )
    channels = data["shape"][0]
    for key, values in given.items():
        if len(values) != channels:
            raise StudyError(
                (*here, key),
                f"found {len(values)} numbers; the images of {experiment.dataset.kind} have "
                f"{channels} {'channel' if channels == 1 else 'channels'}: give one for each",
            )


def _check_model(path: KeyPath, experiment: Experiment, data: Facts) -> None:
    model, dataset = experiment.model.kind, experiment.dataset.kind
    shape = data["shape"]
    least = kind_constraints("model", model).get("min_side", 1)
    if min(shape[1:]) < least:
        size = "none, only columns" if data.get("table") else f"{shape[1]}x{shape[2]}"
        raise StudyError(
            (*path, "model"),
            f"{model} needs images of at least {least}x{least} pixels; {dataset} has {size}",
        )


def _check_classes(path: KeyPath, experiment: Experiment, data: Facts) -> None:
    classes = len(data["classes"])
    partition = experiment.partition
    source, target = partition.source_classes, partition.target_classes
    for key, numbers in (("source_classes", source), ("target_classes", target)):
        for position, number in enumerate(numbers if isinstance(numbers, tuple) else ()):
            if number >= classes:
                raise StudyError(
                    (*path, "partition", key, position),
                    f"class {shown(number)} does not exist; {experiment.dataset.kind} has "
                    f"the classes 0 to {classes - 1}",
                )
    where = (*path, "partition", "source_classes")
    if isinstance(source, int):
        most = classes - (len(target) if target else LEAST_CLASSES)
        if source > most:
            raise StudyError(
                where,
                f"found {shown(source)} random classes; allowed: 1 to {most}, as "
                f"{experiment.dataset.kind} has {classes} classes and the target task "
                f"needs {len(target) if target else 'at least two'} of them",
            )
    elif source and not target and len(source) == classes:
        raise StudyError(where, "all the classes; none is left for the target task")
    elif source and set(source) & set(target or ()):
        shared = sorted(set(source) & set(target or ()))
        raise StudyError(
            (*path, "partition", "target_classes"),
            f"the classes {shown(shared)} are in source_classes too; a class belongs to one task",
        )


def _check_tasks(path: KeyPath, experiment: Experiment, data: Facts) -> None:
    """Check that each task has classes to tell apart: of one, every network is right at once."""
    partition = experiment.partition
    source, target = partition.source_classes, partition.target_classes
    if target_size(experiment, data) < LEAST_CLASSES and not data.get("number"):
        key = "source_classes" if target is None else "target_classes"
        detail = f"found {shown(getattr(partition, key))}; the target task has one class then"
        raise StudyError((*path, "partition", key), f"{detail}; allowed: two classes or more")
    if experiment.trains_source and partition.source_size == 1:
        detail = f"found {shown(source)}; there is nothing to learn from one class; allowed: two "
        raise StudyError((*path, "partition", "source_classes"), f"{detail}classes or more")


def _check_source(path: KeyPath, experiment: Experiment, data: Facts) -> None:
    """Check that a share of the source task's images is at least one of them."""
    partition = experiment.partition
    if data["train"] is None:
        return
    classes = len(data["classes"])
    images = data["train"] * partition.source_size // classes
    fraction = partition.source_fraction
    if images and images_in(fraction, images) == 0:
        detail = f"leaves no training image: fraction {fraction} of about {images}"
        raise StudyError((*path, "partition", "source_fraction"), detail)


def _check_parts(path: KeyPath, experiment: Experiment, data: Facts) -> None:
    partition = experiment.partition
    if data["train"] is None:
        return
    classes, target = len(data["classes"]), target_size(experiment, data)
    images = data["train"] if target == classes else data["train"] * target // classes
    kept = images_in(partition.fraction, images)
    about = "" if target == classes else "about "
    share = f"fraction {partition.fraction} of {about}{images}"
    if kept == 0:
        raise StudyError((*path, "partition", "fraction"), f"leaves no training image: {share}")
    if not isinstance(partition.calibration, UnsetType):
        share += f", without {partition.calibration:g} for calibration"
    kept = partition.images_to_fit(images)
    for position, number in enumerate(experiment.parts):
        if number > kept:
            whose = f"{experiment.dataset.kind}, {target} of {classes} classes, {share}"
            raise StudyError(
                (*path, "parts", position),
                f"found {shown(number)} parts of {about}{kept} training images ({whose}); "
                f"allowed: 1 to {kept}",
            )


def _check_methods(path: KeyPath, experiment: Experiment, methods: Mapping[str, Method]) -> None:
    labels: dict[str, str] = {}
    for position, name in enumerate(experiment.methods):
        here = (*path, "methods", position)
        check_known(here, name, methods, f"unknown method {name!r}")
        label = methods[name].label
        if label in labels:
            raise StudyError(
                here, f"{name} has the label of {labels[label]}, {label!r}; give each its own"
            )
        labels[label] = name
        needs_source = _needs_source(methods[name].prior.kind)
        check_source(here, experiment, name, methods[name], needs_source)


def _check_complexity(experiment: str, study: Study) -> None:
    for name in study.experiments[experiment].methods:
        settings = method_settings(study, experiment, name)
        complexity, family = settings.objective.complexity, settings.family.kind
        if complexity == "monte_carlo" and mean_scale_of(settings.family) != 1:
            raise StudyError(
                ("methods", name, "objective", "complexity"),
                f"monte_carlo estimates the KL itself, and {family} weighs its means apart; give "
                "this method closed_form",
            )
        if complexity == "monte_carlo" and not _is_bayesian(family):
            raise StudyError(
                ("methods", name, "objective", "complexity"),
                f"monte_carlo needs the density of a draw, which the family {family} has not; "
                "give this method closed_form",
            )


def _check_transfer(experiment: str, study: Study) -> None:
    """Check that there are convolutions where they alone carry over from the source task."""
    model = study.experiments[experiment].model.kind
    if kind_constraints("model", model).get("convolutions", is_outside(model)):
        return
    for name in study.experiments[experiment].methods:
        prior = method_settings(study, experiment, name).prior
        if prior.options.get("transfer") == "convolutions":
            raise StudyError(
                ("methods", name, "prior", "transfer"),
                f"found 'convolutions', but the model {model} of {experiment} has none, so that "
                "nothing would carry over; allowed there: all_but_output",
            )


def _is_bayesian(family: str) -> bool:
    return kind_constraints("family", family).get("bayesian", True)


def target_size(experiment: Experiment, data: Facts) -> int:
    """Return the number of classes of the target task."""
    partition = experiment.partition
    if partition.target_classes is not None:
        return len(partition.target_classes)
    return len(data["classes"]) - partition.source_size


def _check_stream(path: KeyPath, experiment: Experiment, data: Facts) -> None:
    """Check that nothing is asked of a stream that needs parts which are yet to come."""
    if not arrives(experiment.dataset):
        return
    if experiment.partition != PartitionSettings():
        raise StudyError((*path, "partition"), "a stream comes in parts: leave this key out")
    if experiment.trains_source:
        detail = "a stream has no source task: give the weights of a file, or leave this key out"
        raise StudyError((*path, "pretrain"), detail)
    if experiment.pixels.options.get("statistics") == "all":
        raise StudyError(
            (*path, "pixels", "statistics"),
            "found 'all', and parts are yet to come; allowed: first, or a given mean and std",
        )


EXPERIMENT_CHECKS: Iterable[Callable[[KeyPath, Experiment, Facts], None]] = (
    _check_stated,
    *TABLE_CHECKS,
    _check_stream,
    _check_pixels,
    _check_model,
    _check_classes,
    _check_tasks,
    _check_source,
    _check_parts,
    check_pretraining,
    check_changed_images,
)
