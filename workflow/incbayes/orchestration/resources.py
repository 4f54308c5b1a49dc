"""What a job asks a cluster for: memory, time, and whether it needs a GPU.

Estimates from the sizes of model, part and budget alone, so that planning needs neither torch nor
data. They are ample for a two-core laptop and are no limits of the method: a job that runs out all
the same asks for more at its next attempt, and goes on from its checkpoint.
"""

import math
from dataclasses import dataclass
from typing import Any, Literal

from msgspec import UnsetType

from incbayes.core.fractions import images_in
from incbayes.study.datasets import data_constraints
from incbayes.study.model import EvaluationSettings, Experiment, KindSpec, MethodSettings, Study
from incbayes.study.schema import kind_constraints
from incbayes.study.settings import (
    evaluation_settings,
    method_settings,
    pretrain_training,
    prior_option,
)
from incbayes.study.shifts import level_splits, shift_splits, stored_among
from incbayes.study.small_sets import count_weights
from incbayes.study.yaml import KeyPath

Work = Literal["stage", "source", "search", "fisher", "scores"]

WEIGHED_VALUES = 3 * 32 * 32
"""Values of the images that a model's fact `weights` is for: colour, 32x32 pixels, ten classes."""

UNKNOWN_WEIGHTS = 10_000_000
"""Taken for a model without that fact."""

UNKNOWN_COST = 30
"""Step of a family without the fact `step_cost`, as a multiple of `point`'s: docs/families.md."""

UNKNOWN_FACTOR = 3
"""Step of an inference algorithm without that fact, as a multiple of the step of `vi`."""

PROCESS_MB = 2000
"""A process that has imported torch, and the Snakemake processes around it in a cluster's job."""

UNCOUNTED = {"train": 50_000, "test": 10_000}
"""Images that a set is taken to have while their number is not known, …"""

UNCOUNTED_BYTES = 4e9
"""… as long as their pixels take no more than this."""

BYTES_OF_A_COLUMN = 8
"""Of a table, in each row; a pixel has one."""

CUDA_MB = 4000
"""What a process that computes on a GPU holds in the host's memory on top."""

BYTES_PER_WEIGHT = 200
"""What a fit holds of every weight, for an inference algorithm without that fact; as of `vi`."""

BYTES_PER_FINISHED_WEIGHT = 16
"""What a replicate that is done leaves in the checkpoint, and its parent's state."""

STEP_MB = 60
"""What a `point` step of a minibatch of `STEP_IMAGES` keeps for its backward pass."""

STEP_IMAGES = 128
"""Images of a usual minibatch; scoring, which keeps less of each, takes `SCORED_IMAGES` at once."""

SCORED_IMAGES = 1000

SECONDS_PER_WEIGHT = 8e-10
"""Training on one image with one thread, measured on LeNet5 and 3Conv3FC."""

SECONDS_PER_IMAGE = 5e-5
"""The same of a model that is too small for its weights to matter."""

FORWARD = 1 / 3
"""Share of a training step that is its forward pass, which is all that scoring does."""

MARGIN = 4.0
"""Factor for slower machines."""

START_MINUTES = 15
"""For a start from a cold file system that many jobs share."""

LONGEST_MINUTES = 24 * 60
"""What most clusters grant; a job that needs longer goes on from its checkpoint."""


@dataclass(frozen=True)
class Demand:
    """What a job asks for at one attempt.

    Attributes:
        mem_mb: memory in MB, for Snakemake's resource of this name.
        runtime: minutes.
    """

    mem_mb: int
    runtime: int


@dataclass(frozen=True)
class Job:
    """A job of a block.

    Attributes:
        experiment: its name.
        method: its name; None for the plain network of the source task.
        parts: T.
        replicates: how many the block has.
        work: `stage` fits a stage, `source` the source task, `search` every variance of a grid;
            `fisher` goes over the source task's images, `scores` evaluates a chain.
        outputs: of the network that a Fisher information is of, where they are not the classes.
    """

    experiment: str
    method: str | None
    parts: int
    replicates: int
    work: Work
    outputs: int | None = None


def demand(study: Study, job: Job, attempt: int) -> Demand:
    """Return what a job asks for.

    Args:
        study: in normal form.
        job: of it.
        attempt: 1 for the first.
    """
    experiment, method, parts, work = job.experiment, job.method, job.parts, job.work
    described = study.experiments[experiment]
    data = _data(study, experiment, work)
    weights = weights_of(described.model, data["shape"], len(data["classes"]))
    cost = _cost(study, experiment, method, work)
    held = _held(study, experiment, method, parts, work)
    if work == "scores":
        settings = _scoring(study, method)
        shifted = data["test"] * len(shift_splits(described))  # of the last stage alone
        every = held - data["test"] * _shifts_held(described)
        passes = FORWARD * (
            (parts - 1) * settings.samples_before * every + settings.samples * (every + shifted)
        )
    elif work == "fisher":
        passes = held * (job.outputs or len(data["classes"]))
    elif work == "source" and not described.trains_source:
        passes = 0
    else:
        passes = held * _passes(study, experiment, method, work)
    seconds = max(SECONDS_PER_IMAGE, SECONDS_PER_WEIGHT * weights) * cost * passes * job.replicates
    mem_mb = PROCESS_MB + sum(memory(study, job).values())
    if needs_gpu(study):
        mem_mb += CUDA_MB
    runtime = START_MINUTES + MARGIN * seconds / 60
    return Demand(grown(mem_mb, attempt), min(grown(runtime, attempt), LONGEST_MINUTES))


def memory(study: Study, job: Job) -> dict[KeyPath, float]:
    """Return MB of memory of a job, by the key of the study that they are for."""
    experiment, method, parts, work = job.experiment, job.method, job.parts, job.work
    described = study.experiments[experiment]
    data = _data(study, experiment, work)
    weights = weights_of(described.model, data["shape"], len(data["classes"]))
    settings = None if method is None else method_settings(study, experiment, method)
    cost = _cost(study, experiment, method, work)
    held = _held(study, experiment, method, parts, work)
    usual, scoring = STEP_IMAGES, "evaluation" if work == "scores" else "training"
    if work == "scores":
        usual, batch = SCORED_IMAGES, study.evaluation.batch_size
    elif settings is None or work == "source":
        batch = pretrain_training(study, experiment).batch_size
    else:
        batch = settings.training.batch_size
    pixels = math.prod(data["shape"])
    stored = BYTES_OF_A_COLUMN if data.get("table") else 1
    # Of a number every draw is kept: a mean and a deviation.
    drawn = 16 * held * study.evaluation.samples if data.get("number") and work == "scores" else 0
    path = ("experiments", experiment)
    return {
        (*path, "dataset"): (stored * data["train"] * pixels + 8 * held * pixels) / 1e6,
        ("evaluation", "samples"): drawn / 1e6,
        (*path, "model"): weights * _bytes_per_weight(settings) / 1e6,
        ("replicates_per_block",): weights * BYTES_PER_FINISHED_WEIGHT * job.replicates / 1e6,
        (scoring, "batch_size"): STEP_MB * cost * max(1.0, min(batch, held) / usual),
    }


def grown(amount: float, attempt: int) -> int:
    """Return what an attempt asks for that at first asks for `amount`: twice as much each time."""
    return math.ceil(amount) * 2 ** (attempt - 1)


def needs_gpu(study: Study) -> bool:
    """Return whether jobs that compute ask for a GPU: only where the study says `cuda`.

    With `auto` a job takes the GPU that it happens to see; a cluster without any would refuse
    a job that asks for one.
    """
    return study.machine.device == "cuda"


def weights_of(model: KindSpec, shape: tuple[int, int, int], classes: int) -> int:
    """Return about how many weights a model has, without building it; rather too many.

    Of dense layers they are counted; else its class says how many it has on images of
    `WEIGHED_VALUES` (`weights`).

    Args:
        model: with its options.
        shape: [C, H, W] of an image.
        classes: outputs.
    """
    facts = kind_constraints("model", model.kind)
    if "hidden_units" in facts:
        counted = count_weights(model, shape, classes)
        assert counted is not None, model  # of dense layers it never is
        return counted
    larger = max(1.0, math.prod(shape) / WEIGHED_VALUES)
    return math.ceil(larger * facts.get("weights", UNKNOWN_WEIGHTS))


def step_cost(family: KindSpec) -> float:
    """Return a family's training step as a multiple of `point`'s."""
    facts = kind_constraints("family", family.kind)
    cost = facts.get("step_cost", UNKNOWN_COST)
    for option, costs in facts.get("step_cost_of", {}).items():
        cost = costs.get(family.options.get(option), cost)
    return cost


def _data(study: Study, experiment: str, work: Work) -> dict[str, Any]:
    """Return the constraints of the data set that a job reads, with a number of images in any case.

    That is the experiment's, or what given weights were fitted to, for their Fisher information.
    """
    described = study.experiments[experiment]
    dataset = described.source_data if work == "fisher" else None
    data = data_constraints(dataset or described.dataset, study.data_root)
    most = max(1, int(UNCOUNTED_BYTES / math.prod(data["shape"])))
    taken = {split: min(number, most) for split, number in UNCOUNTED.items()}
    return data | {split: number for split, number in taken.items() if data[split] is None}


def _cost(study: Study, experiment: str, method: str | None, work: Work) -> float:
    """Return what a step of a job costs as a multiple of a plain network's."""
    if method is None:
        return 1
    settings = method_settings(study, experiment, method)
    fits = work in ("stage", "source", "search")
    facts = kind_constraints("inference", settings.inference.kind)
    factor = facts.get("step_cost", UNKNOWN_FACTOR) if fits else 1
    return step_cost(settings.family) * factor


def _bytes_per_weight(settings: MethodSettings | None) -> float:
    """Return what a job holds of every weight; without settings, of a plain network."""
    if settings is None:
        return BYTES_PER_WEIGHT
    facts = kind_constraints("inference", settings.inference.kind)
    held: float = facts.get("bytes_per_weight", BYTES_PER_WEIGHT)
    of_options = kind_constraints("family", settings.family.kind).get("bytes_per_weight_of", {})
    held += sum(each * settings.family.options[key] for key, each in of_options.items())
    return held * _networks(settings)


def _held(study: Study, experiment: str, method: str | None, parts: int, work: Work) -> int:
    """Return how many images a job holds as numbers, beside those that it reads."""
    described = study.experiments[experiment]
    data = _data(study, experiment, work)
    whole = images_in(described.partition.fraction, data["train"])
    if work in ("stage", "search"):
        if _takes_all_parts(study, method):
            return whole
        kept = _kept(study, experiment, method) if parts > 1 and work == "stage" else 0
        return min(whole, math.ceil(whole / parts) + kept)
    if work == "fisher" and described.source_data is not None:
        return int(data["train"])
    if work in ("source", "fisher"):
        return images_in(described.partition.source_fraction, data["train"])
    shown = _scoring(study, method).part_images or whole
    calibration = described.partition.calibration
    held_out = 0 if isinstance(calibration, UnsetType) else images_in(calibration, whole)
    # Each set of outliers is at most as large as the test set.
    sets = 1 + len(described.outlier_sets) + _shifts_held(described)
    return sets * data["test"] + min(parts * shown, whole) + held_out


def _shifts_held(described: Experiment) -> int:
    """Return how many shifted test sets are held at once; those in files come one at a time."""
    stored = stored_among(described.image_shifts)
    in_files = sum(1 for name, of in stored.items() for _ in level_splits(name, of))
    return len(shift_splits(described)) - in_files + bool(stored)


def _kept(study: Study, experiment: str, method: str | None) -> int:
    """Return how many images of earlier parts a method keeps."""
    if method is None:
        return 0
    inference = method_settings(study, experiment, method).inference
    option = kind_constraints("inference", inference.kind).get("keeps")
    return 0 if option is None else int(inference.options[option])


def _takes_all_parts(study: Study, method: str | None) -> bool:
    if method is None:
        return False
    facts = kind_constraints("inference", study.methods[method].inference.kind)
    return bool(facts.get("all_parts", False))


def _scoring(study: Study, method: str | None) -> EvaluationSettings:
    return study.evaluation if method is None else evaluation_settings(study, method)


def _passes(study: Study, experiment: str, method: str | None, work: Work) -> int:
    """Return how often a job that fits goes over its images."""
    settings = None if method is None else method_settings(study, experiment, method)
    objective = study.objective if settings is None else settings.objective
    if settings is None or work == "source":
        epochs = pretrain_training(study, experiment).epochs
    else:
        epochs = settings.training.epochs
    grid = None
    if settings is not None and work == "search":
        grid = prior_option(settings.prior, "variances")
    fits = len(grid) if grid else 1
    return fits * objective.draws * epochs * _networks(settings)


def _networks(settings: MethodSettings | None) -> int:
    """Return how many networks a replicate has, each of which is fitted by itself."""
    if settings is None:
        return 1
    option = kind_constraints("inference", settings.inference.kind).get("times")
    return 1 if option is None else int(settings.inference.options[option])
