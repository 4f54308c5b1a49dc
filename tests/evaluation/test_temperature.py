"""Temperature scaling: the temperature that was put in is found, on images that no part has."""

import json

import numpy as np
import pytest
import torch
from tiny_chain import CUT, tiny_chain

from incbayes.data.validation import read_validation
from incbayes.evaluation.score import Evaluation, score
from incbayes.evaluation.temperature import (
    COLDEST,
    HOTTEST,
    at_temperature,
    best_temperature,
)
from incbayes.jobs.partition import PartsRequest, run_partition
from incbayes.kinds import METRICS
from incbayes.study.model import PartitionSettings

CALIBRATED = CUT | {"calibration": 0.2}


def drawn(temperature, images=20_000, classes=4):
    """Return ln p that are too sure by a factor, and labels drawn from what they ought to be."""
    generator = torch.Generator().manual_seed(2017)
    logits = 2 * torch.randn(images, classes, generator=generator, dtype=torch.float64)
    labels = torch.multinomial(logits.softmax(-1), 1, generator=generator)[:, 0]
    return (temperature * logits).log_softmax(-1), labels


@pytest.mark.parametrize("temperature", [0.4, 1.0, 3.0])
def test_the_temperature_by_which_predictions_are_too_sure_is_found(temperature):
    log_p, labels = drawn(temperature)
    found = best_temperature(log_p, labels)
    assert found == pytest.approx(temperature, rel=0.05)
    before, after = (METRICS["nll"](p, labels, 15) for p in (log_p, at_temperature(log_p, found)))
    assert after <= before
    assert METRICS["nll_tempered"](at_temperature(log_p, found), labels, 15) == after
    for other in (found * 1.01, found / 1.01):
        assert METRICS["nll"](at_temperature(log_p, other), labels, 15) > after, "a minimum"


def test_scaling_keeps_probabilities_that_underflow_and_the_class_that_is_predicted():
    log_p = torch.tensor([[0.0, -2000.0, -1e5]], dtype=torch.float64)
    scaled = at_temperature(log_p, 4.0)
    assert scaled.tolist()[0] == pytest.approx([0.0, -500.0, -25000.0])
    assert torch.equal(at_temperature(log_p.log_softmax(-1), 1.0), log_p.log_softmax(-1))
    log_p, _ = drawn(1.0, images=100)
    for temperature in (0.1, 10.0):
        assert torch.equal(at_temperature(log_p, temperature).argmax(-1), log_p.argmax(-1))


def test_logits_of_one_network_and_their_log_softmax_have_the_same_scaled_prediction():
    logits = torch.randn(50, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    by_logits = (logits / 2.5).log_softmax(-1)
    assert torch.allclose(at_temperature(logits.log_softmax(-1), 2.5), by_logits, atol=1e-14)


@pytest.mark.parametrize("sure", [0.1, 1.0, 1e3])
def test_images_that_are_all_right_leave_the_prediction_as_it_was(sure):
    log_p, _ = drawn(1.0, images=50)
    right = (sure * log_p).log_softmax(-1)
    assert best_temperature(right, right.argmax(-1)) == 1.0
    tied = torch.tensor([[0.5, 0.5, 0.0]], dtype=torch.float64).log()
    assert best_temperature(tied, torch.tensor([1])) == 1.0, "no minimum either"


def test_one_image_that_is_wrong_has_a_minimum_and_all_wrong_ones_the_hottest():
    log_p, _ = drawn(1.0, images=50)
    labels = log_p.argmax(-1)
    labels[0] = log_p[0].argmin()
    found = best_temperature(log_p, labels)
    at = {T: METRICS["nll"](at_temperature(log_p, T), labels, 15) for T in (found / 1.1, found)}
    assert COLDEST < found != 1.0 and at[found] < at[found / 1.1]
    assert best_temperature(log_p, log_p.argmin(-1)) == pytest.approx(HOTTEST, rel=1e-3)


def test_at_temperature_one_both_scores_are_the_same_to_the_bit():
    log_p, labels = drawn(1.0, images=50)
    tags = {"split": "test", "predictor": "predictive"}
    asked = Evaluation(5, None, 100, 20, 1.0, calibration_bins=15, precision="fp32")
    rows = score(log_p.exp().log(), labels, asked, tags, temperature=1.0)
    values = {row["metric"]: row["value"] for row in rows}
    assert values["nll_tempered"] == values["nll"] and values["ece_tempered"] == values["ece"]


@pytest.fixture(scope="module")
def chains(tmp_path_factory):
    """A chain of which images are held out for calibration, and one with the same parts else."""
    folder = tmp_path_factory.mktemp("calibrated")
    chain = tiny_chain(folder).trained(epochs=4)
    parts = folder / "parts.safetensors"
    asked = PartsRequest("tiny", "digits", [0], 0, PartitionSettings(**CALIBRATED))
    run_partition(asked, 2, chain.data / "checksums.json", parts)
    chain = chain.asked(parts_file=parts, partition=CALIBRATED)
    for t in (1, 2):
        chain.fit(t)
    chain.evaluate()
    return chain


def test_every_stage_has_both_scores_on_the_test_set_and_on_its_parts(chains):
    for t in (1, 2):
        records = json.loads(chains.scores(t).metrics.read_text())
        splits = {"test", *(f"part_{number:02d}" for number in range(1, t + 1))}
        assert {record["split"] for record in records} == splits
        for split in splits:
            for predictor in ("predictive", "mean"):
                value = {
                    record["metric"]: record["value"]
                    for record in records
                    if (record["split"], record["predictor"]) == (split, predictor)
                }
                assert {"nll", "nll_tempered", "ece", "ece_tempered"} <= set(value)
                assert value["nll"] != value["nll_tempered"]
                if split == "test":
                    assert value["nll_tempered"] < value["nll"] + 0.02


def test_the_images_of_the_calibration_are_in_no_part(chains):
    data = chains.request.open(torch.device("cpu"))
    held = read_validation(chains.request.parts_file, 0)
    parts = np.concatenate(data.cut(0).parts)
    whole = len(held) + len(parts)
    assert len(held) == round(0.2 * whole) and not set(held) & set(parts)


def test_without_the_key_a_chain_is_cut_and_scored_as_ever(tmp_path):
    plain = PartitionSettings(**CUT)
    asked = PartsRequest("tiny", "digits", [0], 0, plain)
    assert "calibration" not in asked.identity()["partition"]
    chain = tiny_chain(tmp_path).trained(epochs=1)
    for t in (1, 2):
        chain.fit(t)
    chain.evaluate()
    records = json.loads(chain.scores(2).metrics.read_text())
    assert not any(METRICS[record["metric"]].tempered for record in records)
