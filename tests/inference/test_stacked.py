"""Replicates whose steps are taken together end where each would have ended alone."""

import dataclasses
import os
import signal

import pytest
import torch
from cases import ESTIMATORS, TRAINED_BAYESIAN
from replicate_fits import assert_close, fit, part, settings

from incbayes.data.prepared import prepare
from incbayes.inference.base import DivergenceError
from incbayes.inference.checkpoint import Checkpoint
from incbayes.jobs.fit import Lineage, StageOutputs, run_stage
from incbayes.jobs.partition import PartsRequest, run_partition
from incbayes.jobs.request import BlockRequest, Machine
from incbayes.jobs.sources import SourceFiles
from incbayes.posterior.file import read_posterior
from incbayes.study.model import KindSpec, PartitionSettings

MLP = {"kind": "mlp", "widths": [5]}
SMALL = {"mnf": {"flow_width": 5}, "planar": {"steps": 3}}
"""By family: options that keep it small."""

FITS = {
    **{case: (name, SMALL.get(name, {}) | chosen) for case, (name, chosen) in ESTIMATORS.items()},
    "point": ("point", {}),
    "point l2": ("point", {"l2": 0.1}),
    "mnf example": ("mnf", SMALL["mnf"] | {"z_draw": "example"}),
}
"""By name: a family, and the options that choose one of its estimators."""


class StopError(Exception):
    pass


def equal(one, other):
    assert_close(one, other, rtol=0, atol=0)


@pytest.mark.parametrize("case", FITS)
def test_every_replicate_ends_where_it_would_have_ended_alone(case, tmp_path):
    chosen = settings(*FITS[case])
    found = fit(tmp_path / "stacked", chosen, True)
    assert_close(found, fit(tmp_path / "alone", chosen, False), rtol=1e-6, atol=1e-7)
    # None of them saw another's images, order or noise.
    assert len({history[-1]["nll"] for _, history in found.values()}) == 3


@pytest.mark.parametrize("case", FITS)
def test_in_float32_too(case, tmp_path):
    chosen = settings(*FITS[case], learning_rate=1e-3, log_sigma_rate=1.0)
    parts = [part(seed, dtype=torch.float32) for seed in range(3)]
    found = fit(tmp_path / "stacked", chosen, True, parts)
    alone = fit(tmp_path / "alone", chosen, False, parts)
    # The densities of planar maps cancel to some 1e-3 in float32, by CPU, and Adam scales
    # gradients to 1.
    rounding = {"rtol": 3e-4, "atol": 2e-3} if "planar" in case else {"rtol": 1e-4, "atol": 2e-5}
    assert_close(found, alone, **rounding)


@pytest.mark.parametrize("family", TRAINED_BAYESIAN)
def test_costs_of_draws_several_passes_and_weights_of_the_kl(family, tmp_path):
    objective = {
        "complexity": "monte_carlo",
        "draws": 2,
        "warmup_epochs": 2,
        "beta": "geometric",
        "batches": "whole_set",
    }
    chosen = settings(family, SMALL.get(family), MLP, objective, epochs=2)
    parts = [dataclasses.replace(part(seed), available=30) for seed in range(3)]
    found = fit(tmp_path / "stacked", chosen, True, parts)
    assert_close(found, fit(tmp_path / "alone", chosen, False, parts), rtol=1e-5, atol=1e-6)


def test_bfloat16_products(tmp_path):
    chosen = settings("ffg", precision="bf16", learning_rate=1e-4, log_sigma_rate=1.0)
    parts = [part(seed, dtype=torch.float32) for seed in range(3)]
    found = fit(tmp_path / "stacked", chosen, True, parts)
    assert_close(found, fit(tmp_path / "alone", chosen, False, parts), rtol=2e-2, atol=4e-4)


@pytest.mark.parametrize("stop", [1, 3, 5])
def test_resuming_after_any_step_gives_the_same_bits(stop, tmp_path):
    chosen, path = settings("mnf", SMALL["mnf"], MLP, epochs=2), tmp_path / "checkpoint"
    undisturbed = fit(tmp_path / "none", chosen, True)
    steps = 0

    def interrupt(replicate, optimisation):
        nonlocal steps
        steps += replicate == 2
        if steps == stop:
            raise StopError

    with pytest.raises(StopError):
        fit(path, chosen, True, on_step=interrupt, seconds=0)
    assert Checkpoint(path, "identity", 1).finished(0) is None
    resumed = []
    found = fit(path, chosen, True, on_step=lambda *step: resumed.append(step), seconds=0)
    equal(found, undisturbed)
    assert len(resumed) == 3 * (6 - (stop - 1))  # the step that stopped was not stored


def test_a_checkpoint_of_either_way_serves_the_other(tmp_path):
    chosen, path, lines = settings("ffg", model=MLP), tmp_path / "checkpoint", []

    def interrupt(replicate, optimisation):
        if optimisation.step == 2:
            raise StopError

    alone = fit(tmp_path / "none", chosen, False)
    for first in (True, False):
        path.unlink(missing_ok=True)
        with pytest.raises(StopError):
            fit(path, chosen, first, on_step=interrupt, seconds=0)
        found = fit(path, chosen, not first, seconds=0, log=lines.append)
        assert_close(found, alone, rtol=1e-6, atol=1e-7)
    assert lines == ["replicates are fitted in turn: they differ in steps taken: 0, 1"]


def test_sigterm_writes_a_checkpoint(tmp_path):
    chosen, path = settings("ffg", model=MLP), tmp_path / "checkpoint"

    def terminate(replicate, optimisation):
        if (replicate, optimisation.step) == (1, 2):
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(SystemExit, match="143"):
        fit(path, chosen, True, on_step=terminate)
    saved = Checkpoint(path, "identity", 1)
    assert [saved.running(replicate).progress["step"] for replicate in range(3)] == [2, 2, 2]
    equal(fit(path, chosen, True), fit(tmp_path / "none", chosen, True))


def test_divergence_names_replicate_step_and_tensor(tmp_path):
    chosen, parts = settings("ffg", model=MLP), [part(seed) for seed in range(3)]
    parts[1].images[5] = torch.nan
    match = r"^replicate 1, epoch 1, step 1 of 3: the scaled pixels of the images are not finite$"
    with pytest.raises(DivergenceError, match=match):
        fit(tmp_path / "c", chosen, True, parts)
    parts[1].images[5] = 1e200
    with pytest.raises(DivergenceError, match=r"^replicate 1, epoch 1, step \d of 3: .* is"):
        fit(tmp_path / "c", chosen, True, parts)


def test_a_replicate_at_its_plateau_changes_no_more(tmp_path):
    plateau = {"patience": 2, "min_delta": 0.02}
    chosen = settings("point", model=MLP, epochs=60, schedule="constant", plateau=plateau)
    told, path = [], tmp_path / "checkpoint"
    parts = [part(0), part(1), dataclasses.replace(part(2), labels=torch.zeros(20).long())]
    alone = fit(tmp_path / "alone", chosen, False, parts)
    epochs = [len(history) for _, history in alone.values()]
    assert len(set(epochs)) > 1 and max(epochs) < 60
    found = fit(
        tmp_path / "stacked", chosen, True, parts, on_step=lambda *step: told.append(step[0])
    )
    assert_close(found, alone, rtol=1e-6, atol=1e-7)
    assert [told.count(replicate) for replicate in range(3)] == [3 * count for count in epochs]

    def interrupt(replicate, optimisation):
        if optimisation.epoch == max(epochs) - 1:
            raise StopError

    with pytest.raises(StopError):
        fit(path, chosen, True, parts, on_step=interrupt, seconds=0)
    equal(fit(path, chosen, True, parts), found)


def test_unequal_parts_are_fitted_in_turn(tmp_path):
    chosen, lines = settings("ffg", model=MLP), []
    parts = [part(0), part(1, images=21), part(2)]
    found = fit(tmp_path / "stacked", chosen, True, parts, log=lines.append)
    equal(found, fit(tmp_path / "alone", chosen, False, parts))
    assert lines == ["replicates are fitted in turn: they differ in images of a part: 20, 21"]


def test_the_machine_decides():
    cpu, cuda = torch.device("cpu"), torch.device("cuda")
    for replicates, expected in {
        "auto": [False, True],
        "stacked": [True, True],
        "in_turn": [False, False],
    }.items():
        machine = Machine("auto", 1, 60.0, replicates)
        assert [machine.stacked(device) for device in (cpu, cuda)] == expected


class Listener:
    def __init__(self):
        self.steps = []

    def log(self, line):
        raise AssertionError(line)

    def on_step(self, replicate, optimisation):
        self.steps.append(replicate)


TENTH = PartitionSettings(fraction=0.1)


def prepared_digits(folder):
    """Write the digits and two replicates' partitions of a tenth of them into two parts."""
    prepare({"kind": "digits"}, folder, folder)
    asked = PartsRequest("s", "digits", (0, 1), 0, TENTH)
    run_partition(asked, 2, folder / "checksums.json", folder / "parts.safetensors")


def test_two_stages_of_a_block(tmp_path):
    prepared_digits(tmp_path)
    pixels = KindSpec("standard")
    chosen = settings("ffg", batch_size=32, log_sigma_rate=1.0, learning_rate=1e-3)
    data, parts = tmp_path, tmp_path / "parts.safetensors"
    request = BlockRequest(
        study="s",
        experiment="digits",
        method="ffg",
        parts=2,
        replicates=(0, 1),
        seed=0,
        budget="full",
        settings=chosen,
        pixels=pixels,
        code="c",
        data=data,
        partition=TENTH,
        parts_file=parts,
    )
    posteriors, order = {}, {}
    for replicates in ("stacked", "in_turn"):
        parent = None
        for t in (1, 2):
            folder = tmp_path / replicates / f"t{t}"
            outputs = StageOutputs(
                *(folder / name for name in ("posterior", "training", "run.json"))
            )
            listener = Listener()
            machine = Machine("cpu", 1, 60.0, replicates, listener)
            run_stage(request, t, Lineage(parent, SourceFiles()), outputs, machine)
            parent = outputs.posterior
            assert not outputs.checkpoint.exists()
        posteriors[replicates] = read_posterior(parent, request.identity(2))
        order[replicates] = listener.steps[:4]
    assert order == {"stacked": [0, 1, 0, 1], "in_turn": [0, 0, 0, 1]}
    for replicate, state in posteriors["stacked"].states.items():
        for layer, parameters in posteriors["in_turn"].states[replicate].items():
            for key, value in parameters.items():
                torch.testing.assert_close(state[layer][key], value, rtol=1e-4, atol=2e-5)
