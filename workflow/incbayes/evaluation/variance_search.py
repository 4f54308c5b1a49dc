"""Chooses the variance of a grid prior on a validation cut of the target's first part."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch

from incbayes.core.fractions import images_in
from incbayes.data.part import Part
from incbayes.data.raw import DataError
from incbayes.evaluation.score import Evaluation, predictions, predictor_of
from incbayes.inference.base import DivergenceError
from incbayes.inference.checkpoint import Checkpoint
from incbayes.inference.listener import Listener
from incbayes.inference.stage import BlockStage, ReplicateTask, first_start, fit_block
from incbayes.kinds import PRIORS
from incbayes.metrics.nll import nll
from incbayes.posterior.predict import PredictionError
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
    held_out = min(max(1, images_in(fraction, count)), count - 1)
    order = torch.randperm(count, generator=generator).to(part.labels.device)
    validation, training = order[:held_out], order[held_out:]
    return (
        Part(part.images[training], part.labels[training], part.available, part.unit),
        Part(part.images[validation], part.labels[validation], unit=part.unit),
    )


@dataclass(frozen=True)
class FirstTask:
    """The first stage of a replicate, as far as a search has to know it.

    Attributes:
        replicate: which.
        part: the target's first part.
        classes: K, of the target task.
        source: what the source task left.
    """

    replicate: int
    part: Part
    classes: int
    source: Source


def choose_variance(
    stage: BlockStage,
    task: FirstTask,
    evaluation: Evaluation,
    checkpoint: Callable[[int, float], Checkpoint],
    listener: Listener,
) -> Choice:
    """Fit a first stage with every variance of the grid and choose the least validation NLL.

    A variance under which the network predicts what is not finite is not chosen.

    Args:
        stage: the first; the method's prior has `variances` and a `validation_fraction`.
        task: of the replicate.
        evaluation: how to predict.
        checkpoint: makes the checkpoint of the fit with a replicate and a variance.
        listener: hears of every step.

    Raises:
        DivergenceError: naming the variance, replicate, epoch, step and tensor.
        PredictionError: no variance gives finite predictions; naming the layer of the last.
    """
    prior, replicate = PRIORS.build(stage.settings.prior), task.replicate
    stream, held_out = stage.keys.stream(replicate), prior.validation_fraction
    training, validation = validation_cut(task.part, held_out, stream("validation cut"))
    device = task.part.images.device
    predictor = predictor_of(stage, task.classes, evaluation, device)
    scores: dict[float, float] = {}
    failure = ""
    for variance in prior.variances:
        candidate = replace(task.source, variance=variance)
        start = first_start(stage, replicate, task.classes, candidate)
        fitted_to = ReplicateTask(training, start, task.classes)
        saved = checkpoint(replicate, variance)
        tasks = {replicate: lambda fitted_to=fitted_to: fitted_to}
        try:
            q, _ = fit_block(stage, tasks, saved, listener)[replicate]
            generator = stream("validation prediction", device=device)
            _, log_p = next(predictions(predictor, q, validation, evaluation, generator))
        except DivergenceError as error:
            raise DivergenceError(f"variance {variance:g}, {error}") from None
        except PredictionError as error:
            scores[variance], failure = math.inf, f"variance {variance:g}: {error}"
            continue
        scores[variance] = nll(log_p.cpu(), validation.labels.cpu(), evaluation.calibration_bins)
    best = min(scores, key=lambda variance: scores[variance])
    if math.isinf(scores[best]):
        raise PredictionError(f"replicate {replicate}, no variance is left; {failure}")
    return Choice(best, {f"{v:g}": score for v, score in scores.items()}, len(validation.labels))
