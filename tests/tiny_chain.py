"""A chain of the smallest stages on real digits, as the workflow's jobs run them, without it."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from incbayes.core.files import sha256_file
from incbayes.core.streams import numpy_stream
from incbayes.data.partition import Partition, partition
from incbayes.data.prepared import prepare
from incbayes.evaluation.score import Evaluation
from incbayes.inference.listener import Listener, Silent
from incbayes.inference.settings import StageSettings
from incbayes.jobs.evaluate import StageScores, run_evaluation
from incbayes.jobs.fit import Lineage, StageOutputs, run_stage
from incbayes.jobs.partition import PartsRequest, run_partition
from incbayes.jobs.request import BlockRequest, Machine
from incbayes.jobs.sources import SourceFiles
from incbayes.study.model import (
    KindSpec,
    ObjectiveSettings,
    PartitionSettings,
    PlateauSettings,
    TrainingSettings,
    read,
)

TRAINING = {
    "epochs": 2,
    "batch_size": 64,
    "learning_rate": 1e-2,
    "log_sigma_rate": 10.0,
    "schedule": "cosine",
    "plateau": None,
    "precision": "fp32",
}
"""Settings of a training that takes little time, for tests to change."""


def training_of(values: dict[str, Any]) -> TrainingSettings:
    """Return settings of training, which no limits of a study bind."""
    plateau = values["plateau"]
    return TrainingSettings(
        **values | {"plateau": plateau and PlateauSettings(**plateau)},
    )


SETTINGS = StageSettings(
    KindSpec("ffg"),
    KindSpec("normal"),
    training_of(TRAINING),
    ObjectiveSettings(kl_scale=1.0),
    KindSpec("mlp", {"widths": [8]}),
)
EVALUATION = Evaluation(20, None, 256, None, 1.0, 15, "fp32")
CUT = {"stratify": False, "fraction": 1.0, "source_classes": None, "target_classes": None}
SILENT = Silent()


@dataclass(frozen=True)
class Chain:
    """Where a chain of stages is, and what it is.

    Attributes:
        folder: of the stages.
        data: folder of the prepared digits.
        parts: T.
        changes: of the request's attributes.
        seconds: between two checkpoints.
    """

    folder: Path
    data: Path
    parts: int = 2
    changes: tuple[tuple[str, Any], ...] = ()
    seconds: float = 1e9

    @property
    def request(self) -> BlockRequest:
        """What a job of the chain is asked for."""
        request = BlockRequest(
            study="tiny",
            experiment="digits",
            method="ffg",
            parts=self.parts,
            replicates=[0],
            seed=0,
            budget="full",
            settings=SETTINGS,
            pixels=KindSpec("standard"),
            code="0" * 64,
            data=self.data,
            partition=PartitionSettings(**CUT),
            parts_file=self.data / f"T{self.parts}.safetensors",
        )
        return replace(request, **dict(self.changes))

    def posterior(self, t: int) -> Path:
        """Return the file of a stage's posterior."""
        return self.folder / f"t{t:02d}" / "posterior.safetensors"

    def outputs(self, t: int) -> StageOutputs:
        """Return the files of a stage."""
        folder = self.posterior(t).parent
        return StageOutputs(self.posterior(t), folder / "training.csv", folder / "run.json")

    def fit(self, t: int, listener: Listener = SILENT) -> None:
        """Fit stage t, whose parent must be there."""
        parent = self.posterior(t - 1) if t > 1 else None
        machine = Machine("cpu", 1, self.seconds, listener=listener)
        lineage = Lineage(parent, SourceFiles())
        run_stage(self.request, t, lineage, self.outputs(t), machine)

    def go_on(self, files: Sequence[Path]) -> None:
        """Fit stage 1 from posterior files, of a chain whose prior is one that is continued."""
        lineage = Lineage(None, continued={path: sha256_file(path) for path in files})
        machine = Machine("cpu", 1, self.seconds, listener=SILENT)
        run_stage(self.request, 1, lineage, self.outputs(1), machine)

    def scores(self, t: int) -> StageScores:
        """Return the files of a stage's scores."""
        folder = self.posterior(t).parent
        evidence = folder / "evidence.parquet" if t == self.parts else None
        return StageScores(folder / "metrics.json", folder / "calibration.csv", evidence)

    def evaluate(self, listener: Listener = SILENT) -> None:
        """Score all stages, which must be there."""
        stages = range(1, self.parts + 1)
        posteriors, outputs = map(self.posterior, stages), map(self.scores, stages)
        machine = Machine("cpu", 1, self.seconds, listener=listener)
        run_evaluation(self.request, EVALUATION, list(posteriors), list(outputs), machine)

    def score_digests(self) -> list[str]:
        """Return the checksums of what scoring all stages writes."""
        scores = [self.scores(t) for t in range(1, self.parts + 1)]
        return [sha256_file(path) for s in scores for path in s.sealed]

    def digests(self, t: int) -> list[str]:
        """Return the checksums of what a stage writes, but for its run record."""
        return [sha256_file(path) for path in (self.outputs(t).posterior, self.outputs(t).training)]

    def trained(self, **training: Any) -> "Chain":
        """Return the chain with settings of training changed."""
        return self.asked(settings=replace(SETTINGS, training=training_of(TRAINING | training)))

    def asked(self, **changes: Any) -> "Chain":
        """Return the chain with attributes of the request changed, sections as JSON values."""
        for key, section in (("pixels", KindSpec), ("partition", PartitionSettings)):
            if key in changes:
                changes[key] = read(section, changes[key])
        return replace(self, changes=(*self.changes, *changes.items()))

    def saving(self, seconds: float) -> "Chain":
        """Return the chain with a checkpoint every so often."""
        return replace(self, seconds=seconds)

    def at(self, folder: Path) -> "Chain":
        """Return the chain with its stages in another folder."""
        return replace(self, folder=folder)


def tiny_chain(folder: Path, parts: int = 2) -> Chain:
    """Return a chain in a new folder, with data prepared and cut and no stage fitted yet."""
    data = folder / "data"
    prepare({"kind": "digits"}, folder, data)
    cut_parts(data, parts)
    return Chain(folder / "chain", data, parts)


def fitted_chain(folder: Path) -> Chain:
    """Return a chain of two stages in a new folder, both fitted."""
    chain = tiny_chain(folder)
    chain.fit(1)
    chain.fit(2)
    return chain


def first_fitted(fitted: Chain, folder: Path) -> Chain:
    """Return a fitted chain in another folder, in which its first stage alone is fitted."""
    copied = fitted.at(folder)
    shutil.copytree(fitted.posterior(1).parent, copied.posterior(1).parent)
    return copied


def cut_parts(data: Path, parts: int) -> None:
    """Cut the prepared digits into parts, as the rule does."""
    asked = PartsRequest("tiny", "digits", [0], 0, PartitionSettings(**CUT))
    run_partition(asked, parts, data / "checksums.json", data / f"T{parts}.safetensors")


def plain_cut(labels: np.ndarray, classes: int, parts: int, replicate: int) -> Partition:
    """Return the i.i.d. parts of all images in the experiment `digits` of a study of seed 0."""
    stream = partial(numpy_stream, 0, "digits", replicate)
    return partition(labels, classes, parts, PartitionSettings(**CUT), stream)
