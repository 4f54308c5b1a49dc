"""A chain of the smallest stages on real digits, as the workflow's jobs run them, without it."""

from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from incbayes.data.partition import Partition, partition, write_partitions
from incbayes.data.prepared import load_checksums, prepare, read_labels
from incbayes.evaluate import Evaluation
from incbayes.files import sha256_file
from incbayes.inference.stage import StageSettings
from incbayes.jobs.evaluation import StageScores, run_evaluation
from incbayes.jobs.request import BlockRequest, Machine, SourceFiles
from incbayes.jobs.stage import Lineage, StageOutputs, run_stage
from incbayes.streams import numpy_stream

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

SETTINGS = StageSettings(
    {"kind": "ffg"},
    {"kind": "normal"},
    TRAINING,
    {"kl_scale": 1.0},
    {"kind": "mlp", "widths": [8]},
)
EVALUATION = Evaluation(20, None, 256, None, 1.0, 15, "fp32")
SILENT = SimpleNamespace(say=lambda line: None, narrate=lambda replicate, optimisation: None)


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
            pixels={"kind": "standard"},
            code="0" * 64,
            data=self.data,
            partition=self.data / f"T{self.parts}.safetensors",
        )
        return replace(request, **dict(self.changes))

    def posterior(self, t: int) -> Path:
        """Return the file of a stage's posterior."""
        return self.folder / f"t{t:02d}" / "posterior.safetensors"

    def outputs(self, t: int) -> StageOutputs:
        """Return the files of a stage."""
        folder = self.posterior(t).parent
        return StageOutputs(self.posterior(t), folder / "training.csv", folder / "run.json")

    def fit(self, t: int, voice: Any = SILENT) -> None:
        """Fit stage t, whose parent must be there."""
        parent = self.posterior(t - 1) if t > 1 else None
        machine = Machine("cpu", 1, self.seconds)
        lineage = Lineage(parent, SourceFiles())
        run_stage(self.request, t, lineage, self.outputs(t), machine, voice)

    def scores(self, t: int) -> StageScores:
        """Return the files of a stage's scores."""
        folder = self.posterior(t).parent
        return StageScores(folder / "metrics.json", folder / "calibration.csv")

    def evaluate(self, voice: Any = SILENT) -> None:
        """Score all stages, which must be there."""
        stages = range(1, self.parts + 1)
        posteriors, outputs = map(self.posterior, stages), map(self.scores, stages)
        machine = Machine("cpu", 1, self.seconds)
        run_evaluation(self.request, EVALUATION, list(posteriors), list(outputs), machine, voice)

    def score_digests(self) -> list[str]:
        """Return the checksums of what scoring all stages writes."""
        scores = [self.scores(t) for t in range(1, self.parts + 1)]
        return [sha256_file(path) for s in scores for path in (s.metrics, s.calibration)]

    def digests(self, t: int) -> list[str]:
        """Return the checksums of what a stage writes, but for its run record."""
        return [sha256_file(path) for path in (self.outputs(t).posterior, self.outputs(t).training)]

    def trained(self, **training: Any) -> "Chain":
        """Return the chain with settings of training changed."""
        return self.asked(settings=replace(SETTINGS, training=TRAINING | training))

    def asked(self, **changes: Any) -> "Chain":
        """Return the chain with attributes of the request changed."""
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
    names = ("train.safetensors", "test.safetensors", "checksums.json")
    prepare("digits", {"kind": "digits"}, folder, *(data / name for name in names))
    cut_parts(data, parts)
    return Chain(folder / "chain", data, parts)


def cut_parts(data: Path, parts: int) -> None:
    """Cut the prepared digits into parts, as the rule does."""
    classes = len(load_checksums(data / "checksums.json")["classes"])
    cut = plain_cut(read_labels(data / "train.safetensors"), classes, parts, replicate=0)
    write_partitions(data / f"T{parts}.safetensors", {0: cut})


def plain_cut(labels: np.ndarray, classes: int, parts: int, replicate: int) -> Partition:
    """Return the i.i.d. parts of all images in the experiment `digits` of a study of seed 0."""
    return partition(
        labels,
        classes,
        parts=parts,
        stratify=False,
        fraction=1.0,
        source_classes=None,
        target_classes=None,
        rng_source=numpy_stream(0, "digits", replicate, "source"),
        rng_parts=numpy_stream(0, "digits", replicate, "parts"),
    )
