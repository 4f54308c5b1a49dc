"""The bound that an epoch records is the one that its steps optimised, and plateaus judge it."""

import pytest
import torch
from tiny_chain import training_of

from incbayes.data.part import Part
from incbayes.inference.checkpoint import Checkpoint
from incbayes.inference.listener import Silent
from incbayes.inference.settings import StageSettings
from incbayes.inference.stage import (
    BlockStage,
    ReplicateTask,
    StreamKeys,
    first_start,
    fit_block,
)
from incbayes.priors.base import Source
from incbayes.study.model import KindSpec, ObjectiveSettings

SHAPE, CLASSES, IMAGES, AVAILABLE = (1, 2, 2), 3, 20, 200
AT_REST = 1e-30
"""A learning rate at which nothing moves, so that epochs differ by the KL's weight alone."""


def history(folder, objective, family="ffg", plateau=None, epochs=6, together=False):
    """Return the records of the epochs of a stage of which nothing moves, for two replicates."""
    training = {
        "epochs": epochs,
        "batch_size": 5,
        "learning_rate": AT_REST,
        "log_sigma_rate": 1.0,
        "schedule": "constant",
        "plateau": plateau,
        "precision": "fp32",
    }
    settings = StageSettings(
        KindSpec(family),
        KindSpec("normal"),
        training_of(training),
        ObjectiveSettings(**{"kl_scale": 0.5} | objective),
        KindSpec("mlp", {"widths": [4]}),
    )
    stage = BlockStage(settings, SHAPE, StreamKeys(0, "experiment", 1, 1))
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(IMAGES, *SHAPE, generator=generator)
    part = Part(images, torch.randint(CLASSES, (IMAGES,), generator=generator), AVAILABLE)
    tasks = {
        replicate: lambda replicate=replicate: ReplicateTask(
            part, first_start(stage, replicate, CLASSES, Source()), CLASSES
        )
        for replicate in range(2)
    }
    checkpoint = Checkpoint(folder / "checkpoint", "identity", 1e9)
    fitted = fit_block(stage, tasks, checkpoint, Silent(), together)
    return [records for _, records in fitted.values()]


@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize(
    ("objective", "factors"),
    [
        ({}, [0.5] * 6),
        ({"beta": "none"}, [0.0] * 6),
        ({"beta": "geometric"}, [0.5] * 6),
        # Of 40 minibatches that the whole set would make, 4 are used.
        ({"batches": "whole_set"}, [0.05] * 6),
        ({"likelihood": "mean"}, [2.5] * 6),
        ({"likelihood": "mean", "batches": "whole_set"}, [0.25] * 6),
        ({"warmup_epochs": 4}, [0.125, 0.25, 0.375, 0.5, 0.5, 0.5]),
    ],
    ids=str,
)
def test_the_recorded_bound_counts_the_kl_as_the_minibatches_did(
    tmp_path, objective, factors, together
):
    for records in history(tmp_path, objective, together=together):
        assert len(records) == len(factors)
        for record, factor in zip(records, factors, strict=True):
            bound = -record["nll"] * IMAGES - factor * record["kl"]
            assert record["elbo"] == pytest.approx(bound) and record["kl"] > 1


@pytest.mark.parametrize("together", [False, True])
def test_no_plateau_is_found_while_the_weight_of_the_kl_rises(tmp_path, together):
    plateau = {"patience": 2, "min_delta": 1.0}  # more than the noise of the likelihood
    for warmup, epochs in ((0, 3), (6, 8)):
        folder = tmp_path / str(warmup)
        folder.mkdir()
        objective = {"warmup_epochs": warmup}
        found = history(folder, objective, plateau=plateau, epochs=20, together=together)
        assert [len(records) for records in found] == [epochs, epochs]
