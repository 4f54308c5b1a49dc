"""Five small sets, and how well a family predicts each with a study's defaults and nothing else."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from listening import listening
from sklearn.datasets import load_breast_cancer, load_digits

from incbayes.data.part import Part
from incbayes.evaluation.score import Evaluation, predictor_of
from incbayes.inference.checkpoint import Checkpoint
from incbayes.inference.settings import StageSettings
from incbayes.inference.stage import (
    BlockStage,
    ReplicateTask,
    StreamKeys,
    first_start,
    fit_block,
    later_start,
)
from incbayes.priors.base import Source
from incbayes.study.model import to_plain
from incbayes.study.resolve import resolve_study
from incbayes.study.settings import method_settings

EVALUATION = Evaluation(100, None, 1000, None, 1.0, 15, "fp32")


@dataclass(frozen=True)
class SmallSet:
    """A set of inputs [N, C, H, W] and classes, and what a study says of it."""

    inputs: np.ndarray
    labels: np.ndarray
    train: int
    experiment: dict[str, Any]


def _digits(classes: int = 10) -> tuple[np.ndarray, np.ndarray]:
    found = load_digits()
    kept = found.target < classes
    return found.images[kept][:, None] / 8 - 1, found.target[kept]


def _of_folder(classes: int, train: int) -> dict[str, Any]:
    return {
        "kind": "image_folder", "source": "made", "shape": [1, 8, 8], "train": train,
        "classes": [f"c{number}" for number in range(classes)],
    }  # fmt: skip


def _digits_429() -> SmallSet:
    experiment = {"dataset": _of_folder(10, 429), "model": "digits_net"}
    return SmallSet(*_digits(), 429, experiment)


def _digits_mlp() -> SmallSet:
    model = {"kind": "mlp", "widths": [100]}
    return SmallSet(*_digits(), 1200, {"dataset": _of_folder(10, 1200), "model": model})


def _four_digits() -> SmallSet:
    experiment = {"dataset": _of_folder(4, 150), "model": "digits_net"}
    return SmallSet(*_digits(4), 150, experiment)


def _tumours() -> SmallSet:
    found = load_breast_cancer()
    inputs = (found.data - found.data.mean(0)) / found.data.std(0)
    experiment = {"dataset": "breast_cancer", "model": {"kind": "mlp", "widths": [50]}}
    return SmallSet(inputs[:, :, None, None], found.target, 455, experiment)


def _blobs() -> SmallSet:
    """Six noisy prototypes of 8 x 8 pixels."""
    generator = np.random.default_rng(7)
    prototypes, labels = generator.normal(size=(6, 1, 8, 8)), generator.integers(6, size=900)
    inputs = prototypes[labels] + 1.2 * generator.normal(size=(900, 1, 8, 8))
    experiment = {"dataset": _of_folder(6, 300), "model": {"kind": "mlp", "widths": [64]}}
    return SmallSet(inputs, labels, 300, experiment)


SETS = {
    "digits_429": _digits_429,
    "digits_mlp": _digits_mlp,
    "four_digits": _four_digits,
    "tumours": _tumours,
    "blobs": _blobs,
}


def accuracies(name: str, families: list[str], parts: int, replicates: int) -> dict[str, float]:
    """Return the test accuracy of each family on T parts, a mean over replicates.

    The study states the data, the model and T = 1, 3, and leaves all else to the defaults.
    """
    made = SETS[name]()
    study = resolve_study(
        {
            "study": "defaults",
            "experiments": {"e": made.experiment | {"parts": [1, 3]}},
            "methods": {family: {"family": family} for family in families},
        }
    )
    return {
        family: float(
            np.mean([_accuracy(study, made, family, parts, r) for r in range(replicates)])
        )
        for family in families
    }


def _accuracy(study: Any, made: SmallSet, family: str, parts: int, replicate: int) -> float:
    order = np.random.default_rng(replicate).permutation(len(made.labels))
    inputs = torch.tensor(made.inputs, dtype=torch.float32)
    labels, classes = torch.tensor(made.labels), int(made.labels.max()) + 1
    plain = to_plain(method_settings(study, "e", family))
    settings = StageSettings.of({**plain, "model": to_plain(study.experiments["e"].model)})
    state = None
    for t, chosen in enumerate(np.array_split(order[: made.train], parts), 1):
        keys = StreamKeys(0, "e", parts, t)
        stage = BlockStage(settings, tuple(inputs.shape[1:]), keys)
        if state is None:
            start = first_start(stage, replicate, classes, Source())
        else:
            start = later_start(settings, state)
        task = ReplicateTask(Part(inputs[chosen], labels[chosen]), start, classes)
        with tempfile.TemporaryDirectory() as folder:
            checkpoint = Checkpoint(Path(folder) / "checkpoint", "identity", 1e9)
            tasks = {replicate: lambda task=task: task}
            state, _ = fit_block(stage, tasks, checkpoint, listening())[replicate]
    predictor = predictor_of(stage, classes, EVALUATION, torch.device("cpu"))
    test = order[made.train :]
    if family == "point":
        predicted = predictor.mean(state, inputs[test])
    else:
        generator = torch.Generator().manual_seed(0)
        predicted = predictor.predictive(state, inputs[test], EVALUATION.samples, generator)
    return (predicted.argmax(-1).cpu() == labels[test]).double().mean().item()
