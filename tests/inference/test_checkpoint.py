"""A stage that is interrupted, at any step and by any means, ends in the same bits."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from cases import TRAINED
from listening import listening
from tiny_chain import TRAINING, training_of

from incbayes.data.part import Part
from incbayes.inference.base import DivergenceError
from incbayes.inference.checkpoint import Checkpoint
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

SHAPE, CLASSES = (1, 4, 4), 3
SHORT = TRAINING | {"epochs": 3, "batch_size": 7}


def settings(family, **training):
    return StageSettings(
        KindSpec(family),
        KindSpec("normal"),
        training_of(SHORT | training),
        ObjectiveSettings(kl_scale=1.0),
        KindSpec("mlp", {"widths": [5]}),
    )


def part(seed=0):
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(20, *SHAPE, generator=generator)
    return Part(images, torch.randint(CLASSES, (20,), generator=generator))


def fit(path, chosen, on_step=lambda replicate, run: None, seconds=1e9, data=None):
    stage = BlockStage(chosen, SHAPE, StreamKeys(0, "experiment", 1, 1))
    data = part() if data is None else data

    def task(replicate):
        start = first_start(stage, replicate, CLASSES, Source())
        return lambda: ReplicateTask(data, start, CLASSES)

    tasks = {replicate: task(replicate) for replicate in (0, 1)}
    checkpoint = Checkpoint(path, "identity", seconds)
    return fit_block(stage, tasks, checkpoint, listening(on_step))


def equal(one, other):
    assert one.keys() == other.keys()
    for replicate in one:
        (state, history), (expected, past) = one[replicate], other[replicate]
        assert history == past
        for layer, parameters in expected.items():
            for key, value in parameters.items():
                assert torch.equal(state[layer][key], value), (replicate, layer, key)


class StopError(Exception):
    pass


@pytest.mark.parametrize("family", TRAINED)
@pytest.mark.parametrize("stop", [1, 3, 4, 9, 11])
def test_resuming_after_any_step_gives_the_same_bits(family, stop, tmp_path):
    chosen, path = settings(family), tmp_path / "checkpoint"
    undisturbed = fit(tmp_path / "none", chosen)
    steps = 0

    def interrupt(replicate, optimisation):
        nonlocal steps
        steps += 1
        if steps == stop:
            raise StopError

    with pytest.raises(StopError):
        fit(path, chosen, interrupt, seconds=0)
    resumed_steps = 0

    def count(replicate, optimisation):
        nonlocal resumed_steps
        resumed_steps += 1

    equal(fit(path, chosen, count, seconds=0), undisturbed)
    assert resumed_steps == 18 - (stop - 1)  # the step that stopped was not stored


def test_a_checkpoint_of_another_stage_or_a_damaged_one_counts_as_absent(tmp_path):
    chosen, path = settings("ffg"), tmp_path / "checkpoint"
    fit(path, chosen, seconds=0)
    content = path.read_bytes()
    assert Checkpoint(path, "identity", 1).finished(0) is not None
    assert Checkpoint(path, "another", 1).finished(0) is None
    for damaged in (b"", content[: len(content) // 2], b"\x80\x04nonsense"):
        path.write_bytes(damaged)
        assert Checkpoint(path, "identity", 1).finished(0) is None


KILLED = """
import sys, time
sys.path[:0] = [*{tests!r}, {library!r}]
from pathlib import Path
from test_checkpoint import fit, settings
def slow(replicate, optimisation):
    print("step", flush=True)
    time.sleep(0.01)
fit(Path({path!r}), settings("ffg", epochs=40), slow, seconds=0)
"""


def start_slow_fit(path):
    here = Path(__file__).parent
    library = str(here.parents[1] / "workflow")
    code = KILLED.format(tests=[str(here), str(here.parent)], library=library, path=str(path))
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    for _ in range(40):
        process.stdout.readline()
    return process


def test_kill_9_in_the_middle_and_resume_gives_the_same_bits(tmp_path):
    path = tmp_path / "checkpoint"
    process = start_slow_fit(path)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    chosen = settings("ffg", epochs=40)
    assert 0 < Checkpoint(path, "identity", 1).running(0).progress["epoch"] < 40
    equal(fit(path, chosen), fit(tmp_path / "none", chosen))


def test_sigterm_writes_a_checkpoint_and_ends_soon(tmp_path):
    path = tmp_path / "checkpoint"
    process = start_slow_fit(path)
    process.send_signal(signal.SIGTERM)
    begun = time.monotonic()
    assert process.wait(timeout=10) == 143
    assert time.monotonic() - begun < 10
    chosen = settings("ffg", epochs=40)
    equal(fit(path, chosen), fit(tmp_path / "none", chosen))


def test_divergence_names_replicate_step_and_tensor(tmp_path):
    data = part()
    data.images[13] = torch.nan
    where = r"replicate 0, epoch 1, step \d of 3"
    with pytest.raises(DivergenceError, match=f"{where}: the scaled pixels .* are not finite"):
        fit(tmp_path / "c", settings("ffg"), data=data)
    data.images[13] = 1e30
    with pytest.raises(DivergenceError, match=r"replicate 0, epoch \d, step \d of 3: .* is"):
        fit(tmp_path / "c", settings("ffg"), data=data)


def test_a_plateau_stops_before_the_cap(tmp_path):
    plateau = {"patience": 3, "min_delta": 0.05}
    chosen = settings("point", epochs=400, schedule="constant", plateau=plateau)
    history = fit(tmp_path / "c", chosen)[0][1]
    assert 5 < len(history) < 400
