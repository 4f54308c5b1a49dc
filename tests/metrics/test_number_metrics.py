"""Metrics of a predicted number, against SciPy's distributions and scikit-learn."""

import numpy as np
import pytest
import torch
from scipy.stats import norm
from sklearn.metrics import root_mean_squared_error

from incbayes.data.part import Part, Unit
from incbayes.evaluation.score import metrics_of, with_truth
from incbayes.kinds import METRICS

NUMBERS = ("rmse", "nlpd", "coverage_50", "coverage_90")


def mixtures(rows=400, draws=5, seed=0):
    """Return mixtures [N, S, 2] and numbers drawn from them [N]."""
    generator = torch.Generator().manual_seed(seed)
    means = 3 * torch.randn(rows, draws, generator=generator, dtype=torch.float64)
    sigmas = torch.rand(rows, draws, generator=generator, dtype=torch.float64) + 0.2
    chosen = torch.randint(draws, (rows, 1), generator=generator)
    noise = torch.randn(rows, generator=generator, dtype=torch.float64)
    truth = means.gather(1, chosen)[:, 0] + sigmas.gather(1, chosen)[:, 0] * noise
    return torch.stack([means, sigmas], -1), truth


def test_errors_and_densities_agree_with_others():
    mixture, truth = mixtures()
    means, sigmas = mixture.unbind(-1)
    densities = norm.pdf(truth[:, None], means, sigmas).mean(1)
    assert METRICS["nlpd"](mixture, truth, 15) == pytest.approx(-np.log(densities).mean())
    reference = root_mean_squared_error(truth, means.mean(1))
    assert METRICS["rmse"](mixture, truth, 15) == pytest.approx(reference)


@pytest.mark.parametrize(("name", "level"), [("coverage_50", 0.5), ("coverage_90", 0.9)])
def test_intervals_of_what_the_numbers_are_drawn_from_cover_as_often_as_they_say(name, level):
    mixture, truth = mixtures(rows=20_000)
    found = METRICS[name](mixture, truth, 15)
    assert found == pytest.approx(level, abs=4 * (level * (1 - level) / 20_000) ** 0.5)
    narrow = mixture * torch.tensor([1.0, 0.1])
    assert METRICS[name](narrow, truth, 15) < found - 0.05


def test_coverage_counts_what_lies_between_the_quantiles():
    mixture = torch.tensor([[[2.0, 3.0]]], dtype=torch.float64).repeat(4, 1, 1)
    ends = torch.tensor(norm.ppf([0.0499, 0.0501, 0.9499, 0.9501], 2.0, 3.0))
    assert METRICS["coverage_90"](mixture, ends, 15) == 0.5


def test_a_surprise_of_many_deviations_has_a_finite_density():
    mixture = torch.tensor([[[0.0, 1.0], [1.0, 1.0]]], dtype=torch.float64)
    found = METRICS["nlpd"](mixture, torch.tensor([1e4], dtype=torch.float64), 15)
    assert found == pytest.approx((1e4 - 1) ** 2 / 2, rel=1e-6)


def test_a_number_and_a_class_have_the_metrics_that_make_sense_of_them():
    mixture, _ = mixtures(rows=3)
    assert tuple(metrics_of(mixture)) == NUMBERS
    classes = torch.zeros(3, 2)
    tempered = set(metrics_of(classes, tempered=True))
    assert tempered == {"nll_tempered", "ece_tempered"}
    of_classes = {name for name, metric in METRICS.items() if metric.of == "classes"}
    assert set(metrics_of(classes, whole=True)) == of_classes - tempered
    assert set(metrics_of(classes)) == {"accuracy", "nll", "brier", "ece"}
    assert not metrics_of(mixture, tempered=True)


def test_scores_are_in_the_unit_of_the_target():
    mixture, truth = mixtures(rows=50)
    part = Part(torch.zeros(50, 1, 1, 1), truth.float(), unit=Unit(mean=100.0, std=20.0))
    predicted, in_unit = with_truth(mixture, part)
    plain = {name: METRICS[name](mixture, truth, 15) for name in NUMBERS}
    scaled = {name: METRICS[name](predicted, in_unit, 15) for name in NUMBERS}
    assert scaled["rmse"] == pytest.approx(20 * plain["rmse"], rel=1e-5)
    assert scaled["nlpd"] == pytest.approx(plain["nlpd"] + np.log(20), rel=1e-5)
    assert scaled["coverage_50"] == plain["coverage_50"]
    assert in_unit.tolist() == pytest.approx((truth * 20 + 100).tolist(), rel=1e-5)


@pytest.mark.parametrize("name", NUMBERS)
def test_the_best_of_several_values_is_the_least_or_the_nearest_to_what_it_should_be(name):
    metric, values = METRICS[name], [0.95, 0.3, 0.6, 0.85]
    best = {"coverage_50": 2, "coverage_90": 0}.get(name, 1)
    assert metric.best(values) == best
    assert metric.title in metric.superlative
