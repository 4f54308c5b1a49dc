"""Fits of a few replicates, one by one or stacked, and how they are compared."""

import pytest
import torch
from listening import listening
from tiny_chain import TRAINING, training_of

from incbayes.data.part import Part
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
from incbayes.priors.base import Source, Start
from incbayes.study.model import KindSpec, ObjectiveSettings

SHAPE, CLASSES = (1, 8, 8), 3

SHORT = TRAINING | {"epochs": 1, "batch_size": 7}


def settings(family, options=None, model=None, objective=None, **training):
    return StageSettings(
        KindSpec(family, options),
        KindSpec("normal"),
        training_of(SHORT | training),
        ObjectiveSettings(**{"kl_scale": 1.0} | (objective or {})),
        KindSpec.of(model or {"kind": "digits_net"}),
    )


def part(seed, images=20, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.randn(images, *SHAPE, generator=generator, dtype=torch.float64)
    return Part(pixels.to(dtype), torch.randint(CLASSES, (images,), generator=generator))


def cast(state, dtype):
    return {
        layer: {key: value.to(dtype) for key, value in tensors.items()}
        for layer, tensors in state.items()
    }


def stage_of(chosen, parts=1, t=1):
    """Return a stage of blocks of the method with these settings."""
    return BlockStage(chosen, SHAPE, StreamKeys(0, "experiment", parts, t))


def fit(path, chosen, together, parts=None, *, seconds=1e9, before=None, **heard):
    """Fit three replicates, each on a part of its own; `heard` is as of `listening`.

    `before` is what the fit of an earlier stage returned, from which this is the second.
    """
    stage = stage_of(chosen) if before is None else stage_of(chosen, 2, 2)
    parts = [part(seed) for seed in range(3)] if parts is None else parts

    def task(replicate):
        dtype = parts[replicate].images.dtype
        if before is None:
            start = first_start(stage, replicate, CLASSES, Source())
        else:
            start = later_start(chosen, before[replicate][0])
        start = Start(cast(start.state, dtype), cast(start.prior, dtype))
        return ReplicateTask(parts[replicate], start, CLASSES)

    tasks = {replicate: lambda replicate=replicate: task(replicate) for replicate in range(3)}
    checkpoint = Checkpoint(path, "identity", seconds)
    return fit_block(stage, tasks, checkpoint, listening(**heard), together)


def assert_close(found, expected, **tolerance):
    assert found.keys() == expected.keys()
    for replicate, (state, history) in found.items():
        other_state, other_history = expected[replicate]
        assert len(history) == len(other_history)
        for record, other in zip(history, other_history, strict=True):
            assert record == pytest.approx(other, rel=tolerance["rtol"], abs=tolerance["atol"])
        for layer, parameters in other_state.items():
            for key, value in parameters.items():
                torch.testing.assert_close(state[layer][key], value, **tolerance)
