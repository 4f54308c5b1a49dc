"""SWAG over a chain: moments against those of recorded weights, and where the next stage starts."""

import dataclasses

import pytest
import torch
from replicate_fits import CLASSES, fit, part, settings, stage_of
from torch import nn

from incbayes.inference.stage import family_of
from incbayes.inference.swag import SwagRun
from incbayes.networks.layers import NetworkError
from incbayes.posterior.predict import Passes, Predictor
from incbayes.study.model import KindSpec

MLP = {"kind": "mlp", "widths": [5]}
PARTS = [part(seed) for seed in range(3)]
EPOCHS, STEPS, RANK = 4, 12, 3


def chosen(**options):
    made = settings("swag", {"rank": RANK, "l2": 0.5}, model=MLP, epochs=EPOCHS)
    return dataclasses.replace(made, inference=KindSpec("swag", options))


def recorded(path, method, together=False, before=None):
    """Return a fit, and the weights after every step, by replicate."""
    steps = {replicate: [] for replicate in range(3)}

    def note(replicate, run):
        state = run.network.state()
        weights = {
            (layer, key): tensors[key].clone()
            for layer, tensors in state.items()
            for key in ("weight", "bias")
        }
        steps[replicate].append((weights, run.learning_rate()))

    return fit(path, method, together, PARTS, on_step=note, before=before), steps


@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize(
    ("options", "first", "taken"),
    [
        ({"share": 0.5, "snapshots": 6}, 6, [7, 8, 9, 10, 11, 12]),
        ({"share": 0.5, "snapshots": 100}, 6, [7, 8, 9, 10, 11, 12]),
        ({"share": 0.75, "snapshots": 4}, 3, [6, 8, 10, 12]),
        ({"share": 0.34, "snapshots": 2}, 8, [10, 12]),
    ],
)
def test_the_moments_are_those_of_the_weights_that_were_recorded(
    options, first, taken, together, tmp_path
):
    found, steps = recorded(tmp_path / "fit", chosen(**options), together)
    for replicate, (state, history) in found.items():
        assert len(steps[replicate]) == STEPS and len(history) == EPOCHS
        for layer, tensors in state.items():
            for key in ("weight", "bias"):
                path = [weights[layer, key] for weights, _ in steps[replicate]]
                points = torch.stack([path[place - 1] for place in (first, *taken)])
                torch.testing.assert_close(tensors[key], points.mean(0))
                variance = points.square().mean(0) - points.mean(0).square()
                torch.testing.assert_close(
                    tensors[f"{key}_variance"], variance, rtol=1e-6, atol=1e-14
                )
                columns = [points[i] - points[: i + 1].mean(0) for i in range(1, len(points))]
                columns = torch.stack(columns[-RANK:])
                low_rank = torch.einsum("k...,k...->...", columns, columns) / (len(columns) - 1)
                kept = tensors[f"{key}_deviations"]
                torch.testing.assert_close(kept.square().sum(0), low_rank)
                # Of any order, as the last snapshots take the places of the first.
                of_kept = kept.flatten(1).T @ kept.flatten(1)
                expected = columns.flatten(1).T @ columns.flatten(1) / (len(columns) - 1)
                torch.testing.assert_close(of_kept, expected)


def test_the_rate_is_as_scheduled_and_then_constant(tmp_path):
    method = chosen(share=0.5, rate=0.3)
    _, steps = recorded(tmp_path / "fit", method)
    _, plain = recorded(tmp_path / "all", chosen(share=1.0, rate=0.3))
    rate = method.training.learning_rate
    # After step k the rate of step k + 1 is told.
    assert [found for _, found in steps[0][5:]] == [0.3 * rate] * 7
    assert all(found > 0.5 * rate for _, found in steps[0][:5])
    assert [found for _, found in plain[0]] == [0.3 * rate] * 12


def test_the_next_stage_is_that_of_a_point_at_the_mean(tmp_path):
    first, _ = recorded(tmp_path / "first", chosen())
    point = settings("point", {"l2": 0.5}, model=MLP, epochs=EPOCHS, schedule="constant")
    # All steps belong to the collection, so that the rate is that of a constant schedule.
    swag = dataclasses.replace(chosen(share=1.0, rate=1.0), training=point.training)
    means = {
        replicate: (
            {o: {k: tensors[k] for k in ("weight", "bias")} for o, tensors in state.items()},
            history,
        )
        for replicate, (state, history) in first.items()
    }
    _, found = recorded(tmp_path / "swag", swag, before=first)
    _, expected = recorded(tmp_path / "point", point, before=means)
    for replicate in range(3):
        for (one, _), (other, _) in zip(found[replicate], expected[replicate], strict=True):
            assert all(torch.equal(one[key], other[key]) for key in one)


def test_the_mean_network_is_that_of_the_averaged_weights(tmp_path):
    parts = [part(seed, dtype=torch.float32) for seed in range(3)]
    method = chosen()
    state = fit(tmp_path / "fit", method, False, parts)[0][0]
    architecture = stage_of(method).architecture(CLASSES)
    predictor = Predictor(architecture, family_of(method), Passes(torch.device("cpu"), 7))
    mean = predictor.mean(state, parts[0].images)
    draws = list(predictor.draws(state, parts[0].images, 3, torch.Generator().manual_seed(0)))
    assert not torch.equal(draws[0], draws[1])
    narrow = {
        layer: {
            key: value if key in ("weight", "bias") else torch.zeros_like(value)
            for key, value in tensors.items()
        }
        for layer, tensors in state.items()
    }
    (still,) = predictor.draws(narrow, parts[0].images, 1, torch.Generator().manual_seed(0))
    assert torch.equal(still, mean)


def test_what_cannot_be_averaged_is_refused(tmp_path, monkeypatch):
    few = settings("swag", model=MLP, epochs=1, batch_size=20)
    few = dataclasses.replace(few, inference={"kind": "swag"})
    with pytest.raises(NetworkError, match="collects over 0 of 1 steps of the stage and needs two"):
        fit(tmp_path / "few", few, False, PARTS)

    class Normalised(nn.Module):
        running = ["1"]

    def prepared(run, problem):
        run.network = Normalised()

    monkeypatch.setattr("incbayes.inference.vi_run.VariationalRun.__init__", prepared)
    with pytest.raises(NetworkError, match="layer 1 has running statistics"):
        SwagRun(None, None)
