"""The predictive mean: an average over draws from q, whatever the size of a batch."""

import pytest
import torch
from cases import BAYESIAN

from incbayes.evaluate import Evaluation, calibration_table, predictions, score
from incbayes.families import FAMILIES
from incbayes.inference.optimisation import Part
from incbayes.layers import layers_of, plain_weights
from incbayes.networks import fresh_network
from incbayes.predict import Predictor

SPEC, SHAPE, CLASSES = {"kind": "mlp", "widths": [6]}, (1, 3, 3), 4
EVALUATION = Evaluation(50, None, 7, None, 1.0, 5, "fp32")


def posterior(family, sigma):
    network = fresh_network(SPEC, SHAPE, CLASSES, seed=1)
    weights = plain_weights(network)
    return {
        layer.name: family.from_gaussian(
            layer,
            weights[layer.name],
            {k: torch.full_like(v, sigma) for k, v in weights[layer.name].items()},
        )
        for layer in layers_of(network)
    }


def predictor(family, batch_size=7, precision="fp32"):
    return Predictor(SPEC, SHAPE, CLASSES, family, torch.device("cpu"), batch_size, precision)


def images(count=30):
    return torch.randn(count, *SHAPE, generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize("name", BAYESIAN)
def test_the_size_of_a_batch_changes_nothing(name):
    family = FAMILIES[name]()
    q = posterior(family, 0.3)
    one, other = (
        predictor(family, size).predictive(q, images(), 5, torch.Generator().manual_seed(3))
        for size in (4, 100)
    )
    torch.testing.assert_close(one, other)


@pytest.mark.parametrize("name", FAMILIES)
def test_low_precision_predicts_nearly_the_same(name):
    family = FAMILIES[name]()
    q = posterior(family, 0.3)
    exact, rounded = (
        predictor(family, precision=precision).predictive(
            q, images(), 20, torch.Generator().manual_seed(3)
        )
        for precision in ("fp32", "bf16")
    )
    difference = (exact - rounded).abs().max()
    assert 0 < difference < 0.01  # as the study's schema says
    torch.testing.assert_close(rounded.sum(-1), torch.ones(30, dtype=torch.float64))


@pytest.mark.parametrize("name", BAYESIAN)
def test_the_predictive_mean_converges_and_rows_sum_to_one(name):
    family = FAMILIES[name]()
    q, p = posterior(family, 0.5), predictor(family)
    halves = [
        p.predictive(q, images(), 1500, torch.Generator().manual_seed(seed)) for seed in (4, 5)
    ]
    assert (halves[0] - halves[1]).abs().max() < 0.05
    assert (halves[0] - p.mean(q, images())).abs().max() > 0.02
    torch.testing.assert_close(halves[0].sum(-1), torch.ones(30, dtype=torch.float64))


@pytest.mark.parametrize("name", FAMILIES)
def test_a_narrow_posterior_predicts_like_its_mean(name):
    family = FAMILIES[name]()
    q, p = posterior(family, 1e-6), predictor(family)
    drawn = p.predictive(q, images(), 3, torch.Generator().manual_seed(6))
    limit = 0.2 if name == "mnf" else 1e-4  # its z keeps a width of its own
    assert (drawn - p.mean(q, images())).abs().max() < limit


def test_a_point_has_one_predictor_and_a_bayesian_family_two():
    part = Part(images(), torch.zeros(30, dtype=torch.int64))
    generator = torch.Generator().manual_seed(0)
    for name in FAMILIES:
        family = FAMILIES[name]()
        q = posterior(family, 0.1)
        names = [n for n, _ in predictions(predictor(family), q, part, EVALUATION, generator)]
        assert names == (["predictive", "mean"] if name in BAYESIAN else ["predictive"])


def test_records_are_tidy():
    probabilities = torch.full((3, CLASSES), 0.25, dtype=torch.float64)
    records = score(probabilities, torch.tensor([0, 1, 2]), EVALUATION, {"split": "test"})
    assert [r["metric"] for r in records] == ["accuracy", "nll", "brier", "ece"]
    assert all(r["split"] == "test" and isinstance(r["value"], float) for r in records)
    table = calibration_table(probabilities, torch.tensor([0, 1, 2]), EVALUATION, {})
    assert [row["bin"] for row in table] == [0, 1, 2, 3, 4]
