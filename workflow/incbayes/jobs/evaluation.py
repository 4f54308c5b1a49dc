"""Scores every stage of a chain and writes its tidy records."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import torch

from incbayes.data.validation import read_validation
from incbayes.evaluate import (
    Evaluation,
    calibration_table,
    predictions,
    score,
    share_of,
)
from incbayes.families import FAMILIES
from incbayes.files import atomic_write, write_json
from incbayes.images import ImageSource
from incbayes.inference.optimisation import Part
from incbayes.jobs.request import BlockRequest, Machine
from incbayes.jobs.voice import Voice
from incbayes.posterior import Posterior, read_posterior, verify_chain
from incbayes.predict import Predictor

HeldOut = Literal["test", "validation"]


@dataclass(frozen=True)
class StageScores:
    """The files of one stage's scores."""

    metrics: Path
    calibration: Path


def run_evaluation(
    request: BlockRequest,
    evaluation: Evaluation,
    posteriors: Sequence[Path],
    outputs: Sequence[StageScores],
    machine: Machine,
    voice: Voice,
    held_out: HeldOut = "test",
) -> None:
    """Score the posteriors of stages 1 to T on the test set and on the parts seen by then.

    With `validation`, on the validation images alone: the test set is not opened.

    Args:
        request: of the chain.
        evaluation: how to score.
        posteriors: files of stages 1 to T, which must form one chain.
        outputs: where the scores of each go.
        machine: where to run.
        voice: what to say it to.
        held_out: what no stage was fitted to.
    """
    device = machine.prepare()
    train = request.images("train", device)
    test = request.images("test", device) if held_out == "test" else None
    read = [read_posterior(path, request.identity(t)) for t, path in enumerate(posteriors, 1)]
    verify_chain(list(posteriors), read)
    rows: list[tuple[list, list]] = [([], []) for _ in read]
    for replicate in request.replicates:
        if test:
            splits = {held_out: _test_set(request, replicate, test, evaluation)}
        else:
            splits = {held_out: _validation_set(request, replicate, train)}
        for t, (posterior, (records, bins)) in enumerate(zip(read, rows, strict=True), 1):
            if test:
                splits[f"part_{t:02d}"] = _part(request, replicate, t, train, evaluation)
            settings = evaluation.of_stage(last=t == len(read))
            scoring = _Scoring(request, settings, device, train.shape, held_out, t, replicate)
            scoring.add(posterior, splits, records, bins)
            voice.say(f"replicate {replicate} stage {t}: {_summary(records, replicate, held_out)}")
    for (records, bins), files in zip(rows, outputs, strict=True):
        with atomic_write(files.calibration) as partial:
            pd.DataFrame(bins).to_csv(partial, index=False, lineterminator="\n")
        write_json(files.metrics, records)


def _test_set(
    request: BlockRequest, replicate: int, test: ImageSource, evaluation: Evaluation
) -> Part:
    """Return the scored images of the test set."""
    whole = test.load(None, request.cut(replicate).target_classes)
    return share_of(whole, evaluation.test_images)


def _validation_set(request: BlockRequest, replicate: int, train: ImageSource) -> Part:
    """Return the training images that are in no part."""
    indices = read_validation(request.partition, replicate)
    return train.load(indices, request.cut(replicate).target_classes)


def _part(
    request: BlockRequest, replicate: int, t: int, train: ImageSource, evaluation: Evaluation
) -> Part:
    """Return the scored images of part t, the first `part_images` of it."""
    cut = request.cut(replicate)
    return train.load(cut.parts[t - 1][: evaluation.part_images], cut.target_classes)


@dataclass(frozen=True)
class _Scoring:
    """Scores one stage of one replicate."""

    request: BlockRequest
    evaluation: Evaluation
    device: torch.device
    shape: tuple[int, int, int]
    held_out: HeldOut
    t: int
    replicate: int

    def add(self, posterior: Posterior, splits: dict[str, Part], records: list, bins: list) -> None:
        """Append the records of every split and predictor, and the held-out images' bins."""
        settings, q = self.request.settings, posterior.states[self.replicate]
        classes = len(posterior.metadata["classes"][str(self.replicate)])
        family = FAMILIES.build(settings.family)
        predictor = Predictor(
            settings.model,
            self.shape,
            classes,
            family,
            self.device,
            self.evaluation.batch_size,
            self.evaluation.precision,
        )
        stream = self.request.names(self.t).stream(self.replicate)
        generator = stream("prediction", device=self.device)
        # One pass over all splits together: a draw of the weights serves them all.
        whole = Part(
            *(torch.cat(tensors) for tensors in zip(*map(_tensors, splits.values()), strict=True))
        )
        sizes = [len(part.labels) for part in splits.values()]
        for name, together in predictions(predictor, q, whole, self.evaluation, generator):
            for (split, part), probabilities in zip(
                splits.items(), together.split(sizes), strict=True
            ):
                tags, budget = self._tags(split, name), {"budget": self.request.budget}
                records += score(probabilities, part.labels, self.evaluation, tags | budget)
                if split == self.held_out:
                    bins += calibration_table(probabilities, part.labels, self.evaluation, tags)

    def _tags(self, split: str, predictor: str) -> dict[str, Any]:
        return {
            "study": self.request.study,
            "experiment": self.request.experiment,
            "method": self.request.method,
            "family": self.request.settings.family["kind"],
            "T": self.request.parts,
            "t": self.t,
            "replicate": self.replicate,
            "split": split,
            "predictor": predictor,
        }


def _tensors(part: Part) -> tuple[torch.Tensor, torch.Tensor]:
    return part.images, part.labels


def _summary(records: list[dict[str, Any]], replicate: int, held_out: HeldOut) -> str:
    """Return accuracy and NLL of the held-out images among the records, for the log."""
    chosen = {
        record["metric"]: record["value"]
        for record in records
        if record["replicate"] == replicate
        and record["split"] == held_out
        and record["predictor"] == "predictive"
    }
    return f"{held_out} accuracy {chosen['accuracy']:.4f}, NLL {chosen['nll']:.4f}"
