"""Averaging of stage ends: the chain is that of fine-tuning, and what predicts is their mean."""

import dataclasses

import pytest
import torch
from replicate_fits import CLASSES, fit, part, settings, stage_of
from torch import nn

from incbayes.inference.averaging import AveragedRun
from incbayes.inference.stage import family_of, first_start, later_start
from incbayes.networks.layers import NetworkError
from incbayes.posterior.predict import Passes, Predictor
from incbayes.priors.base import Source
from incbayes.study.model import KindSpec

PARTS = [[part(10 * t + seed, dtype=torch.float32) for seed in range(3)] for t in range(3)]


def chosen(kind, **options):
    made = settings("point", {"l2": 0.5}, model={"kind": "mlp", "widths": [5]})
    return dataclasses.replace(made, inference=KindSpec(kind, options))


def chain(folder, method):
    """Return what each of three stages ends in."""
    ends = [None]
    for t, parts in enumerate(PARTS):
        ends.append(fit(folder / str(t), method, False, parts, before=ends[-1]))
    return ends[1:]


def test_the_readout_is_the_exponential_mean_and_the_chain_that_of_fine_tuning(tmp_path):
    plain = chain(tmp_path / "plain", chosen("vi"))
    averaged = chain(tmp_path / "averaged", chosen("averaging", decay=0.3))
    for replicate in range(3):
        for layer, tensors in plain[0][replicate][0].items():
            for key in tensors:
                mean = plain[0][replicate][0][layer][key]
                for stage, found in zip(plain, averaged, strict=True):
                    end = stage[replicate][0][layer][key]
                    mean = mean if stage is plain[0] else 0.3 * mean + 0.7 * end
                    state = found[replicate][0][layer]
                    assert torch.equal(state[f"{key}_beside"], end)
                    torch.testing.assert_close(state[key], mean, rtol=1e-6, atol=1e-7)
        histories = [[stage[replicate][1] for stage in chain] for chain in (plain, averaged)]
        assert histories[0] == histories[1]


def test_predictions_are_those_of_the_mean(tmp_path):
    method = chosen("averaging")
    state = chain(tmp_path, method)[-1][0][0]
    architecture = stage_of(method).architecture(CLASSES)
    predictor = Predictor(architecture, family_of(method), Passes(torch.device("cpu"), 7))
    images = PARTS[0][0].images
    found = predictor.mean(state, images)
    alone = {
        layer: {key: value for key, value in tensors.items() if not key.endswith("_beside")}
        for layer, tensors in state.items()
    }
    assert torch.equal(found, predictor.mean(alone, images))
    ends = {
        layer: {key: tensors[f"{key}_beside"] for key in alone[layer]}
        for layer, tensors in state.items()
    }
    assert not torch.equal(found, predictor.mean(ends, images))


def continued(state, kind, **options):
    """Return the start of a chain that goes on from a posterior."""
    method = dataclasses.replace(
        chosen(kind, **options), prior=KindSpec("posterior", {"continue_from": "a chain"})
    )
    return first_start(stage_of(method), 0, CLASSES, Source(state=state))


def test_a_chain_that_goes_on_from_another_does_so_as_the_next_stage(tmp_path):
    method = chosen("averaging", decay=0.3)
    state = chain(tmp_path, method)[-1][0][0]
    start, expected = continued(state, "averaging", decay=0.3), later_start(method, state)
    for found, meant in ((start.state, expected.state), (start.prior, expected.prior)):
        assert found.keys() == meant.keys()
        for layer in found:
            assert found[layer].keys() == meant[layer].keys()
            assert all(torch.equal(found[layer][key], meant[layer][key]) for key in found[layer])
    fresh = continued(continued(state, "vi").state, "averaging")
    for layer, own in fresh.state.items():
        assert own.keys() == state[layer].keys()
        assert all(torch.equal(own[key], own[f"{key}_beside"]) for key in own if "_" not in key)


def test_another_algorithm_goes_on_from_the_mean_alone(tmp_path):
    state = chain(tmp_path, chosen("averaging"))[-1][0][0]
    start = continued(state, "vi")
    for found in (start.state, start.prior):
        for layer, own in found.items():
            assert own.keys() == {"weight", "bias"}
            assert all(torch.equal(own[key], state[layer][key]) for key in own)


def test_running_statistics_are_refused(monkeypatch):
    class Normalised(nn.Module):
        running = ["1"]

    def prepared(run, problem):
        run.network = Normalised()

    monkeypatch.setattr("incbayes.inference.vi_run.VariationalRun.__init__", prepared)

    @dataclasses.dataclass
    class Following:
        follows: bool = True

    with pytest.raises(NetworkError, match="layer 1 has running statistics"):
        AveragedRun(Following(), 0.5)
