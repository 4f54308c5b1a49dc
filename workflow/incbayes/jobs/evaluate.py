"""Scores every stage of a chain and writes its tidy records."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from incbayes.core.files import atomic_write, write_json
from incbayes.core.seal import Seal, check_parent, seal_path, write_seal
from incbayes.data.images import ImageSource
from incbayes.data.part import Part
from incbayes.data.partition import Partition
from incbayes.data.pixels import PixelStatistics
from incbayes.evaluation.score import Evaluation, chosen_of_share
from incbayes.jobs.outliers import Outliers
from incbayes.jobs.request import BlockData, BlockRequest, ChainRequest, Machine
from incbayes.jobs.scaling import scaling_numbers
from incbayes.jobs.scoring import CALIBRATION, FoundEvidence, HeldOut, Scoring, scores_summary
from incbayes.jobs.shifts import Shifts
from incbayes.posterior.file import Posterior, verify_chain
from incbayes.posterior.predict import predictions_of
from incbayes.results.evidence import Evidence, evidence_identity, write_evidence
from incbayes.results.records import CALIBRATION_COLUMNS, records_digest

SCORES = "scores"


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

    def write_evidence(self, identity: Mapping[str, Any], found: FoundEvidence) -> None:
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
    shifts = Shifts.open(evaluation.shifts, request.corrupted, test or train)
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
                    stored = shifts.stored_parts(images, cut.target_classes, scaling)
                    added = scoring.add_each(posterior, stored)
                    records += [*added, *shifts.mean_records(added)]
            if t == len(read):
                found.add_to(evidence, replicate, images, cut.target_classes)
            machine.listener.log(
                f"replicate {replicate} stage {t}: {scores_summary(records, replicate, held_out)}"
            )
    for t, ((records, bins), files, seal) in enumerate(zip(rows, outputs, seals, strict=True), 1):
        files.write(records, bins)
        files.write_evidence(request.identity(t), evidence)
        facts = scores_facts(request, evaluation, held_out, records)
        parents = data.seals() | {"posterior": seal} | outliers.seals | shifts.seals
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
