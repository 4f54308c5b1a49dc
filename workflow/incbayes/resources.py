"""What a job asks a cluster for: memory, time, and whether it needs a GPU.

Estimates from the sizes of model, part and budget alone, so that planning needs neither torch nor
data. They are ample for a two-core laptop and are no limits of the method: a job that runs out all
the same asks for more at its next attempt, and goes on from its checkpoint.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from incbayes.study import evaluation_settings, method_settings, pretrain_training
from incbayes.study_data import data_constraints

Study = Mapping[str, Any]
Work = Literal["stage", "source", "search", "fisher", "scores"]

WEIGHTS = {"lenet5": 700_000, "conv3fc3": 2_500_000, "digits_net": 210_000}
"""Weights of a model on colour images of 32x32 pixels with ten classes."""

WEIGHED_VALUES = 3 * 32 * 32
"""Values of an image that `WEIGHTS` are for."""

UNKNOWN_WEIGHTS = 10_000_000
"""Taken for a model that is not listed."""

STEP_COST = {
    "point": 1,
    "ffg": 4,
    "ffg weight": 3,
    "cfg": 5,
    "cfg local": 30,
    "mnf": 8,
    "planar": 12,
}
"""Training step as a multiple of `point`'s, by family and estimator: docs/families.md, and room."""

UNKNOWN_COST = 30

PROCESS_MB = 2000
"""A process that has imported torch, and the Snakemake processes around it in a cluster's job."""

CUDA_MB = 4000
"""What a process that computes on a GPU holds in the host's memory on top."""

BYTES_PER_WEIGHT = 200
"""Posterior, prior, gradients, Adam's moments and a checkpoint under way, in single precision."""

BYTES_PER_FINISHED_WEIGHT = 16
"""What a replicate that is done leaves in the checkpoint, and its parent's state."""

STEP_MB = 60
"""What a `point` step of a minibatch keeps for its backward pass."""

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


def demand(
    study: Study,
    experiment: str,
    method: str | None,
    parts: int,
    replicates: int,
    work: Work,
    attempt: int,
) -> Demand:
    """Return what a job of a block asks for.

    Args:
        study: in normal form.
        experiment: its name.
        method: its name; None for the plain network of the source task.
        parts: T.
        replicates: of the block.
        work: `stage` fits a stage, `source` the source task, `search` every variance of a grid;
            `fisher` goes over the source task's images, `scores` evaluates a chain.
        attempt: 1 for the first.
    """
    described = study["experiments"][experiment]
    data = data_constraints(described["dataset"])
    weights = weights_of(described["model"], data["shape"], len(data["classes"]))
    cost = 1 if method is None else step_cost(method_settings(study, experiment, method)["family"])
    whole = math.ceil(described["partition"]["fraction"] * data["train"])
    held = math.ceil(whole / parts) if work in ("stage", "search") else whole
    if work in ("source", "fisher"):
        held = math.ceil(described["partition"]["source_fraction"] * data["train"])
    if work == "scores":
        settings = evaluation_settings(study, method)
        shown = whole if settings["part_images"] is None else settings["part_images"]
        held = data["test"] + min(parts * shown, whole)
        earlier = settings["earlier_samples"] or settings["samples"]
        passes = FORWARD * held * ((parts - 1) * earlier + settings["samples"])
    elif work == "fisher":
        passes = held * len(data["classes"])
    else:
        passes = held * _passes(study, experiment, method, work)
    seconds = max(SECONDS_PER_IMAGE, SECONDS_PER_WEIGHT * weights) * cost * passes * replicates
    pixels = math.prod(data["shape"])
    held_mb = (data["train"] * pixels + 8 * held * pixels) / 1e6
    weights_mb = weights * (BYTES_PER_WEIGHT + BYTES_PER_FINISHED_WEIGHT * replicates) / 1e6
    mem_mb = PROCESS_MB + held_mb + weights_mb + STEP_MB * cost
    if needs_gpu(study):
        mem_mb += CUDA_MB
    runtime = START_MINUTES + MARGIN * seconds / 60
    return Demand(grown(mem_mb, attempt), min(grown(runtime, attempt), LONGEST_MINUTES))


def grown(amount: float, attempt: int) -> int:
    """Return what an attempt asks for that at first asks for `amount`: twice as much each time."""
    return math.ceil(amount) * 2 ** (attempt - 1)


def needs_gpu(study: Study) -> bool:
    """Return whether jobs that compute ask for a GPU: only where the study says `cuda`.

    With `auto` a job takes the GPU that it happens to see; a cluster without any would refuse
    a job that asks for one.
    """
    return study["machine"]["device"] == "cuda"


def weights_of(model: Mapping[str, Any], shape: tuple[int, int, int], classes: int) -> int:
    """Return about how many weights a model has, without building it; rather too many.

    Args:
        model: `{"kind": …, options}`.
        shape: [C, H, W] of an image.
        classes: outputs.
    """
    if "widths" not in model:
        larger = max(1.0, math.prod(shape) / WEIGHED_VALUES)
        return math.ceil(larger * WEIGHTS.get(model["kind"], UNKNOWN_WEIGHTS))
    units = [math.prod(shape), *model["widths"], classes]
    return sum((inputs + 1) * outputs for inputs, outputs in zip(units, units[1:], strict=False))


def step_cost(family: Mapping[str, Any]) -> float:
    """Return a family's training step as a multiple of `point`'s.

    Args:
        family: `{"kind": …, options}`.
    """
    kind = family["kind"]
    named = f"{kind} {family.get('estimator')}"
    return STEP_COST.get(named, STEP_COST.get(kind, UNKNOWN_COST))


def _passes(study: Study, experiment: str, method: str | None, work: Work) -> int:
    """Return how often a job that fits goes over its images."""
    settings = {} if method is None else method_settings(study, experiment, method)
    if work == "source":
        settings = settings | {"training": pretrain_training(study, experiment)}
    fits = len(settings["prior"]["variances"]) if work == "search" else 1
    draws = settings.get("objective", study["objective"]).get("draws", 1)
    return fits * draws * settings["training"]["epochs"]
