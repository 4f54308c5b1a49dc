"""Scores a posterior on the test set and on the parts seen so far, as tidy records."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor

from incbayes.core.fractions import some_images_in
from incbayes.core.streams import numpy_stream
from incbayes.data.part import Part
from incbayes.evaluation.temperature import at_temperature
from incbayes.inference.stage import BlockStage, family_of
from incbayes.kinds import LIKELIHOODS
from incbayes.metrics.base import Metric
from incbayes.metrics.calibration import calibration_bins
from incbayes.metrics.named import metrics_with
from incbayes.posterior.network import NetworkState
from incbayes.posterior.predict import Passes, Predictor

Record = dict[str, Any]

HELD_OUT = ("test", "validation")
"""Splits of held-out images as they are."""


@dataclass(frozen=True)
class Evaluation:
    """How posteriors are scored; every value comes from the study.

    Attributes:
        samples: draws S of the predictive mean.
        earlier_samples: draws for the stages before the last; None for as many.
        batch_size: images at a time.
        part_images: so many images of every part are scored, the first ones, or of a stream's part
            random ones; None for all.
        test_images: share of the test set that is scored, always the same; 1 is all.
        calibration_bins: bins of the calibration error and the reliability diagram.
        precision: of the networks that predict, `fp32` or `bf16`.
        metrics: names of those from outside the library.
        outliers: the outlier sets by name, `{"kind": …, options}` each.
        shifts: the shifts of the test images, likewise.
    """

    samples: int
    earlier_samples: int | None
    batch_size: int
    part_images: int | None
    test_images: float
    calibration_bins: int
    precision: Literal["fp32", "bf16"]
    metrics: Sequence[str] = ()
    outliers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    shifts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def of_stage(self, last: bool) -> "Evaluation":
        """Return how a stage is scored that is the last of its chain, or is not."""
        if last or self.earlier_samples is None:
            return self
        return dataclasses.replace(self, samples=self.earlier_samples)


def predictor_of(
    stage: BlockStage, classes: int, evaluation: Evaluation, device: torch.device
) -> Predictor:
    """Return what predicts with the posteriors of a stage, of tasks with so many classes."""
    return Predictor(
        stage.architecture(classes),
        family_of(stage.settings),
        Passes(device, evaluation.batch_size, evaluation.precision),
        LIKELIHOODS.build(stage.settings.likelihood),
    )


def share_of(part: Part, share: float) -> Part:
    """Return a share of the images, at least one, in their order: always the same random ones."""
    number = len(part.labels)
    chosen = chosen_of_share(number, share)
    if len(chosen) == number:
        return part
    chosen = chosen.to(part.labels.device)
    return Part(part.images[chosen], part.labels[chosen], unit=part.unit)


def chosen_of_share(number: int, share: float) -> Tensor:
    """Return which of so many images `share_of` keeps, ascending positions, int64 [n].

    Not the first, as a data set may be sorted by class.
    """
    return chosen_of_number(number, some_images_in(share, number))


def chosen_of_number(number: int, kept: int) -> Tensor:
    """Return so many of `number` images, or all, always the same random ones, as int64 [n]."""
    if kept >= number:
        return torch.arange(number)
    order = numpy_stream(0, "share of a test set").permutation(number)
    return torch.from_numpy(order[:kept]).sort().values


def predictions(
    predictor: Predictor,
    q: NetworkState,
    part: Part,
    evaluation: Evaluation,
    generator: torch.Generator,
    heard: Callable[[Iterator[Tensor]], Iterator[Tensor]] = iter,
) -> Iterator[tuple[str, Tensor]]:
    """Yield (`predictive` or `mean`, what it predicts, as the likelihood has it).

    A family that is not drawn from has one network, whose prediction is the predictive mean; it
    gets no second record. Nor does an ensemble of them, which has no network of its mean.

    Args:
        predictor: of the family.
        q: the posterior.
        part: the images.
        evaluation: how to predict.
        generator: of the draws.
        heard: passes on what each draw predicts, and may look at it.
    """
    if predictor.number_of_draws(q, evaluation.samples) is None:
        yield "predictive", predictor.mean(q, part.images)
        return
    images, samples = part.images, evaluation.samples
    yield "predictive", predictor.predictive(q, images, samples, generator, heard)
    if predictor.family.drawn:
        yield "mean", predictor.mean(q, part.images)


def with_truth(predicted: Tensor, part: Part) -> tuple[Tensor, Tensor]:
    """Return what is predicted of a part and what is true, as metrics take them, on the CPU.

    A number is in the target's own unit.

    Args:
        predicted: as the likelihood has it.
        part: of which it is.
    """
    predicted, labels = predicted.cpu(), part.labels.cpu()
    if part.unit is None:
        return predicted, labels
    mean, sigma = predicted.unbind(-1)
    unit = part.unit
    in_unit = torch.stack([mean * unit.std + unit.mean, sigma * unit.std], -1)
    return in_unit, labels.double() * unit.std + unit.mean


def metrics_of(
    predicted: Tensor,
    further: Sequence[str] = (),
    *,
    tempered: bool = False,
    whole: bool = False,
) -> dict[str, Metric]:
    """Return the metrics that make sense of a prediction, by name: of classes, or of a number.

    Args:
        predicted: as `with_truth` returns it.
        further: names of those from outside the library.
        tempered: whether those at a fitted temperature are asked for, or the others.
        whole: whether it is of the held-out images as they are; else without the metrics that
            are of these alone.
    """
    of = "number" if predicted.ndim == 3 else "classes"
    return {
        name: metric
        for name, metric in metrics_with(further).items()
        if metric.of == of and metric.tempered == tempered and (whole or metric.everywhere)
    }


def score(
    predicted: Tensor,
    truth: Tensor,
    evaluation: Evaluation,
    tags: Record,
    temperature: float | None = None,
) -> list[Record]:
    """Return one record per metric that makes sense, with `tags` in each.

    Args:
        predicted: as `with_truth` returns it.
        truth: likewise.
        evaluation: with the bins of a calibration error.
        tags: of the records, the split among them.
        temperature: that was fitted on other images; None where none was.
    """
    bins, further = evaluation.calibration_bins, evaluation.metrics
    whole = tags["split"] in HELD_OUT
    found = metrics_of(predicted, further, whole=whole).items()
    values = {name: metric(predicted, truth, bins) for name, metric in found}
    if temperature is not None:
        # At 1 the very numbers, so that a record shows that no temperature could be fitted.
        scaled = predicted if temperature == 1.0 else at_temperature(predicted, temperature)
        found = metrics_of(predicted, further, tempered=True, whole=whole).items()
        values |= {name: metric(scaled, truth, bins) for name, metric in found}
    return [tags | {"metric": name, "value": value} for name, value in values.items()]


def calibration_table(
    predicted: Tensor, truth: Tensor, evaluation: Evaluation, tags: Record
) -> list[Record]:
    """Return one row per bin of the reliability diagram, with `tags` in each; none of a number."""
    if predicted.ndim == 3:
        return []
    table = calibration_bins(predicted, truth, evaluation.calibration_bins)
    return [tags | {"bin": index, **dataclasses.asdict(entry)} for index, entry in enumerate(table)]
