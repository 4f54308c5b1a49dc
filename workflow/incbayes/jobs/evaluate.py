"""Scores every stage of a chain and writes its tidy records."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch

from incbayes.core.files import atomic_write, write_json
from incbayes.core.seal import Seal, check_parent, seal_path, write_seal
from incbayes.data.images import ImageSource
from incbayes.data.part import Part
from incbayes.data.partition import Partition
from incbayes.data.pixels import PixelStatistics
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
    chosen_of_share,
    predictions,
    predictor_of,
    score,
    with_truth,
)
from incbayes.evaluation.temperature import best_temperature
from incbayes.jobs.outliers import Outliers
from incbayes.jobs.request import BlockData, BlockRequest, ChainRequest, Machine
from incbayes.jobs.scaling import scaling_numbers
from incbayes.jobs.shifts import Shifts
from incbayes.metrics.named import metric_of
from incbayes.posterior.file import Posterior, verify_chain
from incbayes.posterior.predict import predictions_of
from incbayes.results.evidence import Evidence, Of, evidence_identity, write_evidence
from incbayes.results.records import CALIBRATION_COLUMNS, records_digest
from incbayes.study.outliers import PREFIX

SCORES = "scores"
CALIBRATION = "calibration"
"""The split that temperatures are fitted on; it has no records."""

HeldOut = Literal["test", "validation"]


@dataclass(frozen=True)
class StageScores:
    """The files of one stage's scores.

    Attributes:
        metrics: its records.
        calibration: the bins of the reliability diagram.
        evidence: what it says of every scored image, of a chain's last stage; None of others.
    """

    metrics: Path
    calibration: Path
    evidence: Path | None = None

    @property
    def drift(self) -> Path:
        """Of a stage of a stream: what the stage before said of its part."""
        return self.metrics.with_name("drift.json")

    @property
    def seal(self) -> Path:
        """The seal of all of them."""
        return seal_path(self.metrics)

    @property
    def sealed(self) -> list[Path]:
        """Those that the seal covers, whatever else there is."""
        return [self.metrics, self.calibration, *([self.evidence] if self.evidence else [])]

    def write(
        self, records: Sequence[Mapping[str, Any]], bins: Sequence[Mapping[str, Any]]
    ) -> None:
        """Write the records, and the bins of the calibration."""
        with atomic_write(self.calibration) as partial:
            columns = None if bins else list(CALIBRATION_COLUMNS)  # of a number there are no bins
            pd.DataFrame(bins, columns=columns).to_csv(partial, index=False, lineterminator="\n")
        write_json(self.metrics, records)

    def write_evidence(self, identity: Mapping[str, Any], found: "FoundEvidence") -> None:
        """Write what was said of every image, of a stage that keeps it.

        Args:
            identity: of the stage.
            found: of every replicate.
        """
        if self.evidence is None:
            return
        described = evidence_identity(identity, found.split, found.of, found.images)
        frame = pd.concat(found.frames, ignore_index=True)
        write_evidence(self.evidence, Evidence(described, frame))


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


def scores_facts(
    request: ChainRequest,
    evaluation: Evaluation,
    held_out: HeldOut,
    records: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """Return what the seal of a stage's scores says of how they came about."""
    return {
        "evaluation": vars(evaluation),
        "held_out": held_out,
        "records": records_digest(records),
        "code": request.code,
    }


def run_evaluation(
    request: BlockRequest,
    evaluation: Evaluation,
    posteriors: Sequence[Path],
    outputs: Sequence[StageScores],
    machine: Machine,
) -> None:
    """Score the posteriors of stages 1 to T on the test set and on the parts seen by then.

    In a search, on the validation images alone: the test set is not opened.

    Args:
        request: of the chain.
        evaluation: how to score.
        posteriors: files of stages 1 to T, which must form one chain.
        outputs: where the scores of each go.
        machine: where to run.
    """
    held_out: HeldOut = "validation" if request.partition.is_of_search else "test"
    device = machine.prepare()
    data = request.open(device)
    test = request.images("test", device) if held_out == "test" else None
    read, seals = _read_chain(request, data, posteriors)
    train, cuts = data.train, data.parts.cuts
    numbers = scaling_numbers(request, train, cuts, list(posteriors))
    evidence = FoundEvidence(held_out, (test or train).sha256)
    outliers = Outliers.open(evaluation.outliers, request.outliers, test or train)
    shifts = Shifts(evaluation.shifts, test or train)
    rows: list[tuple[list, list]] = [([], []) for _ in read]
    for replicate, cut in cuts.items():
        scaling = numbers[replicate]
        if test:
            images = scored_images(test, cut.target_classes, evaluation.test_images)
            splits = {held_out: test.load(images, cut.target_classes, scaling)}
            stream = (request.seed, request.experiment, replicate)
            splits |= outliers.parts(images, cut.target_classes, scaling, stream)
            if request.partition.is_calibrated:
                held = data.parts.validation[replicate]
                splits[CALIBRATION] = train.load(held, cut.target_classes, scaling)
        else:
            images = held = data.parts.validation[replicate]
            splits = {held_out: train.load(held, cut.target_classes, scaling)}
        for t, (posterior, (records, bins)) in enumerate(zip(read, rows, strict=True), 1):
            if test:
                splits[f"part_{t:02d}"] = _part(cut, t, train, evaluation, scaling)
            if test and t == len(read):
                splits |= shifts.parts(images, cut.target_classes, scaling, stream)
            settings = evaluation.of_stage(last=t == len(read))
            scoring = Scoring(request, settings, device, train.shape, held_out, t, replicate)
            with predictions_of(scoring.name):
                found = scoring.add(posterior, splits, records, bins)[held_out]
            if t == len(read):
                found.add_to(evidence, replicate, images, cut.target_classes)
            machine.listener.log(
                f"replicate {replicate} stage {t}: {scores_summary(records, replicate, held_out)}"
            )
    for t, ((records, bins), files, seal) in enumerate(zip(rows, outputs, seals, strict=True), 1):
        files.write(records, bins)
        files.write_evidence(request.identity(t), evidence)
        facts = scores_facts(request, evaluation, held_out, records)
        parents = data.seals() | {"posterior": seal} | outliers.seals
        write_seal(files.seal, SCORES, request.identity(t), files.sealed, parents, facts)


def scored_images(images: ImageSource, classes: Sequence[int], share: float) -> np.ndarray:
    """Return the positions of the scored images in their file, int64 [N], as they are scored."""
    index = images.indices_of(classes)
    return index[chosen_of_share(len(index), share)].numpy()


def _read_chain(
    request: BlockRequest, data: BlockData, paths: Sequence[Path]
) -> tuple[list[Posterior], list[Seal]]:
    """Return the posteriors of stages 1 to T and their seals.

    Raises:
        UserError: one is damaged, of other settings, images or parts, or of another chain.
    """
    found = [data.read_stage(path, request.identity(t)) for t, path in enumerate(paths, 1)]
    read, seals = [posterior for posterior, _ in found], [seal for _, seal in found]
    for previous, seal in zip(seals, seals[1:], strict=False):
        check_parent(seal, "parent", previous)
    verify_chain(list(paths), read)
    for t, (path, posterior) in enumerate(zip(paths, read, strict=True), 1):
        cuts = data.parts.cuts.items()
        data.check_data(path, posterior, request.fitted(t, dict(cuts)))
    return read, seals


def _part(
    cut: Partition,
    t: int,
    train: ImageSource,
    evaluation: Evaluation,
    scaling: PixelStatistics | None,
) -> Part:
    """Return the scored images of part t, the first `part_images` of it."""
    return train.load(cut.parts[t - 1][: evaluation.part_images], cut.target_classes, scaling)


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
    """

    request: ChainRequest
    evaluation: Evaluation
    device: torch.device
    shape: tuple[int, ...]
    held_out: HeldOut
    t: int
    replicate: int

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
        """
        found, entropies = {}, MeanEntropy()
        q = posterior.states[self.replicate]
        classes = len(posterior.metadata["classes"][str(self.replicate)])
        stage = self.request.stage(self.t, self.shape)
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
            temperature, uncertain = None, dict[str, torch.Tensor]()
            if CALIBRATION in parts:
                held = with_truth(parts[CALIBRATION], splits[CALIBRATION])
                temperature = best_temperature(*held)
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
