"""Chooses the variance of a grid prior on a validation cut of the target's first part."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch

from incbayes.data.raw import DataError
from incbayes.evaluate import Evaluation, predictions
from incbayes.families import FAMILIES
from incbayes.inference.checkpoint import Checkpoint
from incbayes.inference.optimisation import Optimisation, Part
from incbayes.inference.stage import Names, ReplicateTask, StageSettings, first_start, fit_block
from incbayes.metrics.scores import nll
from incbayes.predict import Predictor
from incbayes.priors import PRIORS
from incbayes.priors.base import Source


@dataclass(frozen=True)
class Choice:
    """The outcome of a search for one replicate.

    Attributes:
        variance: the chosen σ².
        validation_nll: of every variance tried, in nats per image, by its text.
        images: images of the validation cut.
    """

    variance: float
    validation_nll: dict[str, float]
    images: int


def validation_cut(part: Part, fraction: float, generator: torch.Generator) -> tuple[Part, Part]:
    """Return (training, validation) cuts of a part, the latter with `fraction` of its images.

    Both hold at least one image; a part of one image cannot be cut.

    Raises:
        DataError: the part has fewer than two images.
    """
    count = len(part.labels)
    if count < 2:
        raise DataError(f"prior grid: the first part has {count} image, too few to hold any out")
    held_out = min(max(1, round(fraction * count)), count - 1)
    order = torch.randperm(count, generator=generator).to(part.labels.device)
    validation, training = order[:held_out], order[held_out:]
    return (
        Part(part.images[training], part.labels[training], part.available),
        Part(part.images[validation], part.labels[validation]),
    )


def choose_variance(
    settings: StageSettings,
    replicate: int,
    part: Part,
    classes: int,
    shape: tuple[int, int, int],
    source: Source,
    names: Names,
    evaluation: Evaluation,
    checkpoint: Callable[[int, float], Checkpoint],
    narrate: Callable[[int, Optimisation], None],
) -> Choice:
    """Fit a first stage with every variance of the grid and choose the least validation NLL.

    Args:
        settings: of the method; its prior has `variances` and a `validation_fraction`.
        replicate: which.
        part: the target's first part.
        classes: K of the target task.
        shape: [C, H, W] of an image.
        source: what the source task left.
        names: of the random streams.
        evaluation: how to predict.
        checkpoint: makes the checkpoint of the fit with a replicate and a variance.
        narrate: as of `fit_block`.
    """
    prior, family = PRIORS.build(settings.prior), FAMILIES.build(settings.family)
    stream = names.stream(replicate)
    training, validation = validation_cut(part, prior.validation_fraction, stream("validation cut"))
    device = part.images.device
    batch_size, precision = evaluation.batch_size, evaluation.precision
    predictor = Predictor(settings.model, shape, classes, family, device, batch_size, precision)
    scores: dict[float, float] = {}
    for variance in prior.variances:
        candidate = replace(source, variance=variance)
        start = first_start(settings, shape, classes, candidate, names, replicate)
        task = ReplicateTask(training, start, classes)
        saved = checkpoint(replicate, variance)
        tasks = {replicate: lambda task=task: task}
        fitted = fit_block(settings, tasks, shape, names, saved, narrate)
        q, _ = fitted[replicate]
        generator = stream("validation prediction", device=device)
        _, probabilities = next(predictions(predictor, q, validation, evaluation, generator))
        score = nll(probabilities.cpu(), validation.labels.cpu(), evaluation.calibration_bins)
        scores[variance] = score if math.isfinite(score) else math.inf
    best = min(scores, key=scores.get)
    return Choice(best, {f"{v:g}": score for v, score in scores.items()}, len(validation.labels))
