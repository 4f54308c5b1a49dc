"""Defaults that fit the size of the data: what a study leaves open of `kl_scale` and `epochs`.

A rule of two lines, applied where a study is completed, so that all that reads the study in normal
form sees numbers. What a study states, at any level, stays.
"""

import math
from typing import Any

from incbayes.study.checks.experiments import target_size
from incbayes.study.datasets import PREPARED, data_constraints, is_gone_unrecorded
from incbayes.study.merging import Plain
from incbayes.study.model import Experiment, KindSpec, Study, TrainingSettings
from incbayes.study.schema import kind_constraints
from incbayes.study.streams import arrives
from incbayes.study.yaml import StudyError

LEAST_STEPS = 400
"""Steps of a stage below which passes are added."""

SIZED = (("objective", "kl_scale"), ("training", "epochs"))
"""What follows from the size of the data."""

DIGITS = 2
"""Of a default `kl_scale`, as it is written beside numbers."""


def defaults_by_size(study: Study, written: Plain) -> Plain:
    """Return what experiments take for what the study leaves open, as a mapping to merge into it.

    With N the training images of the smallest part (of the largest T) and W the weights of the
    network: `objective.kl_scale` = min(1, N/W), for at 1 and N much below W what N images say
    cannot pay for moving W weights, and the bound is highest near the prior; `training.epochs` =
    max(30, so many that a stage takes 400 steps). All T of an experiment have the same settings.
    An experiment whose N or W is not known while a study is planned takes 1 and 30: a stream, a tar
    archive or a large CSV of one's own, and a network of one's own that does not say its `weights`.
    A source that is gone counts as it did when it was prepared.

    Args:
        study: in its resolved form, sound.
        written: the same as it is written.
    """
    found: Plain = {}
    for name, experiment in study.experiments.items():
        stated = [written, written["experiments"][name]]
        known = images_of(study, experiment)
        if known is None:
            continue
        images, _ = known
        changes: Plain = {}
        weights = _weights(study, experiment)
        if not _states(stated, "objective", "kl_scale") and weights is not None:
            scale = kl_scale_of_size(images, weights)
            changes |= {"objective": {"kl_scale": scale}} if scale < 1 else {}
        if not _states(stated, "training", "epochs"):
            training: TrainingSettings = experiment.training.over(study.training)
            epochs = epochs_of_size(images, training.batch_size)
            changes |= {"training": {"epochs": epochs}} if epochs > training.epochs else {}
        if changes:
            found[name] = changes
    return {"experiments": found} if found else {}


def check_sizes_are_known(study: Study, written: Plain) -> None:
    """Check that no experiment that was fitted would be fitted anew by defaults of another size.

    Args:
        study: in normal form.
        written: the same as it is written.

    Raises:
        StudyError: its source is gone, and how many it held is not on record.
    """
    for name, experiment in study.experiments.items():
        stated = [written, written["experiments"][name]]
        left_open = [".".join(key) for key in SIZED if not _states(stated, *key)]
        if not left_open or not _is_forgotten(study, experiment):
            continue
        fitted = PREPARED.folder.parent / study.study_id / name
        if any(fitted.glob("*/T*/*/t01/posterior.seal.json")):
            follow = "follow" if len(left_open) > 1 else "follows"
            raise StudyError(
                ("experiments", name),
                f"{' and '.join(left_open)} {follow} from the number of training images or rows, "
                "which is not known: the source is gone. State them as they were, or put the "
                "source back",
            )


def _is_forgotten(study: Study, experiment: Experiment) -> bool:
    """Return whether nothing says how large a set is whose source could be counted once."""
    dataset = experiment.dataset
    if arrives(dataset) or images_of(study, experiment) is not None:
        return False
    return is_gone_unrecorded(dataset, study.data_root)


def kl_scale_of_size(images: int, weights: int) -> float:
    """Return the factor on the KL for parts of so many images and a network of so many weights."""
    return min(1.0, float(f"{images / weights:.{DIGITS}g}"))


def epochs_of_size(images: int, batch_size: int) -> int:
    """Return the passes over a part of so many images."""
    return max(TrainingSettings().epochs, math.ceil(LEAST_STEPS / math.ceil(images / batch_size)))


def count_weights(model: KindSpec, shape: tuple[int, int, int], outputs: int) -> int | None:
    """Return how many weights and biases a network has, without building it; None if unknown.

    Args:
        model: with its options. Its class says of what layers it is (`layout`), which option lists
            the hidden units of its dense layers (`hidden_units`), after which vectors of
            categories (`widening`, `columns`), or about how many weights it has (`weights`).
        shape: [C, H, W] of an image.
        outputs: of the last layer.
    """
    facts = kind_constraints("model", model.kind)
    if "hidden_units" in facts:
        layout = [{"dense": units} for units in model.options[facts["hidden_units"]]]
    elif "layout" in facts:
        layout = facts["layout"]
    else:
        return facts.get("weights")
    channels, *sides = shape
    total = 0
    if "widening" in facts:  # an embedding before them, of the features that are categories
        size = model.options[facts["widening"]]
        counts = model.options.get(facts["columns"]) or [0] * math.prod(shape)
        total, channels, sides = sum(counts) * size, sum(size if n else 1 for n in counts), []
    for layer in layout:
        if "convolution" in layer:
            kernel, (size, stride) = layer["kernel"], layer["pool"]
            total += (channels * kernel**2 + 1) * layer["convolution"]
            channels = layer["convolution"]
            sides = [side + 2 * layer["padding"] - kernel + 1 for side in sides]
            sides = [(side - size) // stride + 1 for side in sides]
        else:
            total += (channels * math.prod(sides) + 1) * layer["dense"]
            channels, sides = layer["dense"], []
    return total + (channels * math.prod(sides) + 1) * outputs


def _states(levels: list[Plain], section: str, key: str) -> bool:
    return any(key in level.get(section, {}) for level in levels)


def images_of(study: Study, experiment: Experiment) -> tuple[int, int] | None:
    """Return the training images of a part of the largest T, at least 1, and of the whole task.

    None where they are not known while a study is planned.
    """
    if arrives(experiment.dataset):
        return None
    data = data_constraints(experiment.dataset, study.data_root)
    if data.get("train") is None:
        return None
    task = data["train"] * target_size(experiment, data) // len(data["classes"])
    part = experiment.partition.images_to_fit(task) // max(experiment.parts)
    return max(1, part), max(1, task)


def _weights(study: Study, experiment: Experiment) -> int | None:
    data: dict[str, Any] = data_constraints(experiment.dataset, study.data_root)
    return count_weights(experiment.model, tuple(data["shape"]), target_size(experiment, data))
