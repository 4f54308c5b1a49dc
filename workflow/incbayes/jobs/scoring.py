"""Scores one stage of one replicate on its splits, as tidy records."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch

from incbayes.data.part import Part
from incbayes.evaluation.evidence import (
    MeanEntropy,
    class_columns,
    number_columns,
    of_replicate,
    uncertainty_of,
)
from incbayes.evaluation.outliers import uncertainty_records
from incbayes.evaluation.score import (
    Evaluation,
    calibration_table,
    predictions,
    predictor_of,
    score,
    with_truth,
)
from incbayes.evaluation.temperature import best_temperature
from incbayes.inference.stage import family_of
from incbayes.jobs.request import ChainRequest
from incbayes.metrics.named import metric_of
from incbayes.posterior.file import Posterior
from incbayes.posterior.probe import MeanOf, check_probe
from incbayes.results.evidence import Of
from incbayes.study.outliers import PREFIX

CALIBRATION = "calibration"
"""The split that temperatures are fitted on; it has no records."""

HeldOut = Literal["test", "validation"]


@dataclass
class FoundEvidence:
    """What the last stage of a chain says of every scored image, gathered over its replicates.

    Attributes:
        split: that is scored.
        images: SHA-256 of the file that holds them.
        of: what is predicted.
        frames: one a replicate, with the columns of `results.evidence.COLUMNS`.
    """

    split: str
    images: str
    of: Of = "classes"
    frames: list[pd.DataFrame] = field(default_factory=list)


@dataclass(frozen=True)
class Prediction:
    """What one posterior predicts of a split, and what is true, as metrics take them.

    Attributes:
        predicted: of classes ln p [N, K], of a number a mixture [N, S, 2], float64.
        truth: [N].
        mean_entropy: of the draws, float64 [N], in nats; None of one network, and of a number.
    """

    predicted: torch.Tensor
    truth: torch.Tensor
    mean_entropy: torch.Tensor | None

    def add_to(
        self, found: FoundEvidence, replicate: int, images: np.ndarray, classes: Sequence[int]
    ) -> None:
        """Add this to the evidence of a stage.

        Args:
            found: takes it.
            replicate: whose it is.
            images: positions of the images in their file.
            classes: numbers of the task's classes in the data set.
        """
        if self.predicted.ndim == 3:
            found.of, columns = "number", number_columns(self.predicted, self.truth)
        else:
            columns = class_columns(self.predicted, self.truth, self.mean_entropy, classes)
        found.frames.append(of_replicate(columns, replicate, images))


@dataclass(frozen=True)
class Scoring:
    """Scores one stage of one replicate.

    Attributes:
        request: of its chain.
        evaluation: how to score.
        device: to compute on.
        shape: of an input.
        held_out: the split whose bins of the calibration are kept.
        t: the stage.
        replicate: which.
        temperatures: by predictor, those that were fitted, for what is added later.
    """

    request: ChainRequest
    evaluation: Evaluation
    device: torch.device
    shape: tuple[int, ...]
    held_out: HeldOut
    t: int
    replicate: int
    temperatures: dict[str, float] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What is scored, for an error."""
        count = self.request.count(self.t)
        chain = f"{self.request.experiment} {self.request.method}"
        return f"{chain}{f' T={count}' if count else ''} t={self.t} replicate {self.replicate}"

    def add(
        self, posterior: Posterior, splits: dict[str, Part], records: list, bins: list
    ) -> dict[str, Prediction]:
        """Append the records of every split and predictor, and the held-out images' bins.

        Returns:
            By split, the predictive distribution and what is true.

        Raises:
            PosteriorError: the network's code is not that of the fit.
        """
        found, entropies = {}, MeanEntropy()
        q = posterior.states[self.replicate]
        classes = len(posterior.metadata["classes"][str(self.replicate)])
        stage = self.request.stage(self.t, self.shape)
        mean = MeanOf(stage.architecture(classes), family_of(self.request.settings), q)
        check_probe(self.name, posterior.metadata, self.replicate, mean)
        predictor = predictor_of(stage, classes, self.evaluation, self.device)
        stream = stage.keys.stream(self.replicate)
        generator = stream("prediction", device=self.device)
        # One pass over all splits: a draw of the weights serves them all.
        whole = Part(
            *(torch.cat(tensors) for tensors in zip(*map(_tensors, splits.values()), strict=True))
        )
        sizes = [len(part.labels) for part in splits.values()]
        drawn = predictor.number_of_draws(q, self.evaluation.samples) or 1
        predicting = predictions(predictor, q, whole, self.evaluation, generator, entropies.heard)
        for name, of_all in predicting:
            spread = entropies.value() if name == "predictive" else None
            spreads = [None] * len(sizes) if spread is None else spread.split(sizes)
            parts = dict(zip(splits, of_all.split(sizes), strict=True))
            uncertain = dict[str, torch.Tensor]()
            if CALIBRATION in parts:
                held = with_truth(parts[CALIBRATION], splits[CALIBRATION])
                self.temperatures[name] = best_temperature(*held)
            temperature = self.temperatures.get(name)
            for (split, part), of_part, of_draws in zip(
                splits.items(), parts.values(), spreads, strict=True
            ):
                if split == CALIBRATION:
                    continue
                if split.startswith(PREFIX):
                    uncertain[split] = uncertainty_of(of_part.cpu(), of_draws)
                    continue
                predicted, truth = with_truth(of_part, part)
                tags, budget = self._tags(split, name), {"budget": self.request.budget}
                records += score(predicted, truth, self.evaluation, tags | budget, temperature)
                if name == "predictive":
                    found[split] = Prediction(predicted, truth, of_draws)
                if split == self.held_out and predicted.ndim == 2:
                    uncertain[split] = uncertainty_of(predicted, of_draws)
                if split == self.held_out:
                    bins += calibration_table(predicted, truth, self.evaluation, tags)
            if self.held_out in uncertain:
                records += uncertainty_records(
                    uncertain.pop(self.held_out),
                    uncertain,
                    self._tags(self.held_out, name) | {"budget": self.request.budget},
                    several_draws=spread is not None and drawn > 1,
                    bins=self.evaluation.calibration_bins,
                    further=self.evaluation.metrics,
                )
        return found

    def add_each(
        self, posterior: Posterior, splits: Iterable[tuple[str, Part]]
    ) -> list[dict[str, Any]]:
        """Return the records of further splits, of which one at a time is held.

        The draws of the weights are those of `add`, from the beginning of the same stream.
        """
        records: list[dict[str, Any]] = []
        for name, part in splits:
            self.add(posterior, {name: part}, records, [])
        return records

    def _tags(self, split: str, predictor: str) -> dict[str, Any]:
        return {
            "study": self.request.study,
            "experiment": self.request.experiment,
            "method": self.request.method,
            "family": self.request.settings.family.kind,
            "T": self.request.count(self.t) or self.t,
            "t": self.t,
            "replicate": self.replicate,
            "split": split,
            "predictor": predictor,
        }


def _tensors(part: Part) -> tuple[torch.Tensor, torch.Tensor]:
    return part.images, part.labels


def scores_summary(records: list[dict[str, Any]], replicate: int, held_out: HeldOut) -> str:
    """Return the first two metrics of the held-out images among the records, for the log."""
    chosen = [
        f"{metric_of(record['metric']).title} {record['value']:.4f}"
        for record in records
        if record["replicate"] == replicate
        and record["split"] == held_out
        and record["predictor"] == "predictive"
    ]
    return f"{held_out} {', '.join(chosen[:2])}"
