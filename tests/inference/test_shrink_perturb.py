"""Shrink and perturb: where a stage starts, and that nothing else changes."""

import dataclasses

import pytest
import torch
from replicate_fits import CLASSES, assert_close, fit, part, settings, stage_of

from incbayes.core.streams import stream_seed
from incbayes.networks.layers import plain_weights
from incbayes.posterior.build import fresh_network
from incbayes.study.model import KindSpec

PARTS = [part(seed, dtype=torch.float32) for seed in range(3)]


def chosen(family, kind="shrink_perturb", options=None, **training):
    made = settings(family, model={"kind": "mlp", "widths": [5]}, **training)
    return dataclasses.replace(made, inference=KindSpec(kind, options or {}))


@pytest.mark.parametrize("family", ["point", "ffg"])
def test_a_stage_starts_between_the_last_one_and_fresh_weights(family, tmp_path):
    first = fit(tmp_path / "first", chosen(family, "vi"), False, PARTS)
    options = {"shrink": 0.6, "perturb": 0.3}
    at_rest = chosen(family, options=options, learning_rate=1e-30, log_sigma_rate=1.0)
    second = fit(tmp_path / "second", at_rest, False, PARTS, before=first)
    for replicate, (state, _) in second.items():
        seed = stream_seed(0, "experiment", "T2", "t2", replicate, "perturbation")
        fresh = plain_weights(fresh_network(stage_of(at_rest).architecture(CLASSES), seed))
        for layer, tensors in first[replicate][0].items():
            for key, value in tensors.items():
                expected = value
                if not key.endswith("log_sigma"):
                    expected = 0.6 * value + 0.3 * fresh[layer][key.removesuffix("_mean")]
                torch.testing.assert_close(state[layer][key], expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("family", ["point", "ffg"])
def test_before_any_part_or_without_a_change_it_is_variational_inference(family, tmp_path):
    plain, none = chosen(family, "vi"), chosen(family, options={"shrink": 1.0, "perturb": 0.0})
    first = fit(tmp_path / "first", plain, False, PARTS)
    moved = fit(tmp_path / "moved", chosen(family), False, PARTS)
    assert_close(moved, first, rtol=0, atol=0)
    second = fit(tmp_path / "second", plain, False, PARTS, before=first)
    same = fit(tmp_path / "none", none, False, PARTS, before=first)
    assert_close(same, second, rtol=0, atol=0)
