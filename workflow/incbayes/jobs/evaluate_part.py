"""Scores the stage of a part, and the stage before on the part that it had not seen."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from incbayes.core.files import write_json
from incbayes.core.seal import Seal, write_seal
from incbayes.core.streams import numpy_stream
from incbayes.data.images import ImageSource
from incbayes.evaluation.drift import Drift, drift, unmarked
from incbayes.evaluation.score import Evaluation, chosen_of_number, share_of
from incbayes.jobs.evaluate import SCORES, StageScores, scored_images, scores_facts
from incbayes.jobs.part import PartRequest
from incbayes.jobs.request import Machine
from incbayes.jobs.scaling import scaling_numbers
from incbayes.jobs.scoring import FoundEvidence, Scoring, scores_summary
from incbayes.posterior.file import Posterior
from incbayes.posterior.predict import predictions_of

BEFORE, AFTER = "arrived_before", "arrived_after"
"""Splits: the images of the part that arrived, under the posteriors of stages t-1 and t."""


@dataclass(frozen=True)
class Scored:
    """What is scored.

    Attributes:
        t: the stage.
        posterior: its file.
        before: file of stage t-1; None for the first stage.
        test: folder of the stream's prepared test images; None where a share of the part was held
            out.
    """

    t: int
    posterior: Path
    before: Path | None
    test: Path | None


def run_part_evaluation(
    request: PartRequest,
    evaluation: Evaluation,
    scored: Scored,
    outputs: StageScores,
    machine: Machine,
) -> None:
    """Score stage t on the images to score and on its part, and stage t-1 on the part.

    Beside the scores it writes what the stage says of every scored image, as it is the last of its
    chain by now, and `drift.json`: every metric on the part's held-out images, or on all
    of it where none were held out, under the posteriors of stages t-1 and t. Only of held-out ones
    it is said whether they differ. Earlier parts, which may be gone, are not scored.

    Args:
        request: of the block, at the part.
        evaluation: how to score.
        scored: the stage, its posteriors and the test images.
        outputs: where the scores go.
        machine: where to run.

    Raises:
        UserError: a posterior or data are damaged or of another run, or what is scored is among
            what was fitted, which the study does not allow.
    """
    device, t = machine.prepare(), scored.t
    request.check_repeats(t, scored.posterior, machine.listener.log)
    train, held = request.images("train", device), request.images("test", device)
    test = held
    if scored.test is not None:
        test = ImageSource.open(scored.test, "test", request.pixels, device)
    posterior, seal = request.read_own(scored.posterior, t, train.seal)
    parents: dict[str, Seal] = {"images": train.seal, "test": test.seal, "posterior": seal}
    before: Posterior | None = None
    if scored.before is not None:
        before, parents["before"] = request.read_before(scored.before, t)
    cut = request.cut(train)
    cuts = dict.fromkeys(request.replicates, cut)
    numbers = scaling_numbers(request, train, cuts, [scored.posterior])
    records: list[dict[str, Any]] = []
    bins: list[dict[str, Any]] = []
    drifts: list[Drift] = []
    evidence = FoundEvidence("test", test.sha256)
    images = scored_images(test, cut.target_classes, evaluation.test_images)
    shown = cut.parts[0][part_rows(len(cut.parts[0]), evaluation.part_images)]
    is_held_out = len(held.split.labels) > 0
    arrived = held if is_held_out else train
    for replicate, scaling in numbers.items():
        part = train.load(shown, cut.target_classes, scaling)
        splits = {
            "test": share_of(test.load(None, cut.target_classes, scaling), evaluation.test_images),
            f"part_{t:02d}": part,
            AFTER: arrived.load(None, cut.target_classes, scaling),
        }
        scoring = Scoring(request, evaluation, device, train.shape, "test", t, replicate)
        with predictions_of(scoring.name):
            scored_now = scoring.add(posterior, splits, records, bins)
            scored_now["test"].add_to(evidence, replicate, images, cut.target_classes)
            after = scored_now[AFTER]
            if before is not None:
                of_before = {BEFORE: splits[AFTER]}
                found = {"before": scoring.add(before, of_before, records, bins)[BEFORE].predicted}
                found["after"] = after.predicted
                rows = _drift(request, evaluation, t, after.truth, (replicate, found))
                drifts += rows if is_held_out else unmarked(rows)
        machine.listener.log(
            f"replicate {replicate} stage {t}: {scores_summary(records, replicate, 'test')}"
        )
    outputs.write(records, bins)
    outputs.write_evidence(request.identity(t), evidence)
    write_json(outputs.drift, [dataclasses.asdict(found) for found in drifts])
    facts = scores_facts(request, evaluation, "test", records)
    sealed = [*outputs.sealed, outputs.drift]
    write_seal(outputs.seal, SCORES, request.identity(t), sealed, parents, facts)


def part_rows(number: int, most: int | None) -> np.ndarray:
    """Return which of a part's images are scored as `part_…`, int64, ascending.

    At random, always the same ones: those of a part are in the order of their classes.

    Args:
        number: that the part holds.
        most: of them are scored; None for all.
    """
    return chosen_of_number(number, number if most is None else most).numpy()


def _drift(
    request: PartRequest,
    evaluation: Evaluation,
    t: int,
    truth: torch.Tensor,
    of_replicate: tuple[int, dict[str, torch.Tensor]],
) -> list[Drift]:
    """Return what every metric says of a replicate before and after its stage."""
    replicate, predictions = of_replicate
    path = (request.experiment, "stream", f"t{t}", replicate, "drift")
    generator = numpy_stream(request.seed, *path)
    bins = evaluation.calibration_bins
    return drift(replicate, predictions, truth, bins, generator)
