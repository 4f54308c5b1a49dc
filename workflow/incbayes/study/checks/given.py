"""Checks of what priors are made from: a source task that is trained on, or weights of a file.

And of the data set that these weights were fitted to, which has to be of the network's inputs.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import UNSET

from incbayes.study.datasets import data_constraints, data_name
from incbayes.study.model import Experiment, KindSpec, Method, PretrainSettings
from incbayes.study.schema import kind_constraints
from incbayes.study.streams import arrives
from incbayes.study.user_paths import named_path
from incbayes.study.yaml import KeyPath, StudyError

Facts = Mapping[str, Any]

COLUMNS = ("features", "categories", "missing")
"""Options of a table that say what its columns become."""

LONGEST = 60
"""Characters of what two tables differ in, in a message."""


def check_pretraining(path: KeyPath, experiment: Experiment, data: Facts) -> None:
    """Check that there is something to train on, or weights of a file, and what they are of.

    Raises:
        StudyError: naming the key.
    """
    pretrain, here = experiment.pretrain, (*path, "pretrain")
    if pretrain is None:
        return
    if pretrain.file is None:
        for key in ("data", "images"):
            if getattr(pretrain, key) is not UNSET:
                detail = "says what weights of a file were fitted to; give weights, or leave it out"
                raise StudyError((*here, key), detail)
        if experiment.partition.source_classes is None:
            raise StudyError(
                here,
                "needs a source task to train on; give partition.source_classes, or the weights "
                "of a file, or leave it out",
            )
        return
    if pretrain.training:
        detail = "nothing is trained where the weights are a file's; leave it out"
        raise StudyError((*here, "training"), detail)
    weights_file(experiment, path)
    _check_source_data(here, experiment, pretrain, data)


def weights_file(experiment: Experiment, path: KeyPath) -> Path | None:
    """Return the file with the weights that the first prior is centred on; None without.

    Raises:
        StudyError: its path cannot be expanded, or Snakemake would change it.
    """
    stated = experiment.pretrain and experiment.pretrain.file
    if not stated:
        return None
    return named_path(stated, (*path, "pretrain", "weights"))


def _check_source_data(
    here: KeyPath, experiment: Experiment, pretrain: PretrainSettings, data: Facts
) -> None:
    """Check that a network of the experiment could have been fitted to the stated data set."""
    source, dataset = pretrain.fitted_to, experiment.dataset
    if source is None:
        if pretrain.images is not UNSET:
            detail = "is the number N beside a Fisher information; give data, or leave it out"
            raise StudyError((*here, "images"), detail)
        return
    here = (*here, "data")
    if arrives(source):
        detail = f"found {source.kind}, whose parts are yet to come; allowed: a finished data set"
        raise StudyError(here, detail)
    if data_name(source) == data_name(dataset):
        raise StudyError(
            here,
            "is the experiment's own data set, whose images would count twice: in the prior, and "
            "in the parts; give the data that the weights were fitted to, and no part holds",
        )
    found = data_constraints(source)
    whose = f"{dataset.kind} of the experiment"
    if bool(found.get("table")) != bool(data.get("table")):
        what = "a table" if found.get("table") else "made of images"
        raise StudyError(here, f"{source.kind} is {what}, and {whose} is not")
    for key in COLUMNS:
        if "target" in source.options and "target" in dataset.options:
            _check_same((*here, key), source.options[key], dataset.options[key], whose)
    if list(found["shape"]) != list(data["shape"]):
        detail = f"inputs are {list(found['shape'])}, those of {whose} are {list(data['shape'])}"
        advice = "" if found.get("table") else "; give shape and resize, or images of that size"
        raise StudyError(here, f"{detail}: weights of one network are of inputs alike{advice}")
    if bool(found.get("number")) != bool(data.get("number")):
        what = "a number" if found.get("number") else "a class"
        detail = f"the target of {source.kind} is {what}, and that of {whose} is not"
        raise StudyError(here, f"{detail}: the Fisher information is of one likelihood")
    if found.get("number") and "target" in source.options and "target" in dataset.options:
        target = dataset.options["target"]
        _check_same((*here, "target"), source.options["target"], target, whose)


def _check_same(key: KeyPath, found: Any, meant: Any, whose: str) -> None:
    if found != meant:
        differ = " and ".join(f"{value!r}"[:LONGEST] for value in (found, meant))
        raise StudyError(
            key,
            f"differs from that of {whose}: {differ}; the inputs of a network stand for the same "
            "in both",
        )


def check_source(
    key: KeyPath, experiment: Experiment, name: str, method: Method, needs_source: bool
) -> None:
    """Check that an experiment has what a method's prior is made from.

    Args:
        key: of the method in the experiment.
        experiment: that runs it.
        name: of the method.
        method: as the study describes it.
        needs_source: whether its prior is made from anything.

    Raises:
        StudyError: the prior needs a source task, a posterior of it, or its images.
    """
    prior = method.prior.kind
    if not needs_source:
        return
    if experiment.pretrain is None:
        source = experiment.partition.source_classes
        keys = "pretrain" if source is not None else "partition.source_classes and pretrain"
        if arrives(experiment.dataset):
            keys = "pretrain.weights"
        raise StudyError(
            key,
            f"{name} has the prior {prior}, which is made from a source task; give {keys}, or "
            "leave the method out",
        )
    if experiment.trains_source:
        return
    facts = kind_constraints("prior", prior)
    if facts.get("source", "weights") != "weights":
        raise StudyError(
            key,
            f"{name} has the prior {prior}, which needs the source task itself, a posterior of it; "
            "weights of a file are not enough",
        )
    if "fisher" in facts and experiment.source_data is None:
        raise StudyError(
            key,
            f"{name} has the prior {prior}, which needs the Fisher information of the weights; "
            "give the data that they were fitted to, pretrain.data, or take the prior grid",
        )
    if "variances" in facts and arrives(experiment.dataset):
        raise StudyError(
            key,
            f"{name} has the prior {prior}, which chooses a variance on images held out of part 1; "
            "a stream has none to hold out; allowed there: laplace, pretrained",
        )


def check_scored(path: KeyPath, dataset: KindSpec) -> None:
    """Check that a data set of an experiment has something to score on.

    Raises:
        StudyError: it states that it has not.
    """
    for key in ("test", "test_share"):
        if dataset.options.get(key) == 0:
            detail = "found 0, and an experiment needs images or rows to score on"
            raise StudyError((*path, key), f"{detail}; 0 is for pretrain.data alone")
