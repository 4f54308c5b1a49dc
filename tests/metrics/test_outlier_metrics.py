"""Uncertainties that tell outliers from images of the task, against counting every pair."""

import itertools

import numpy as np
import pytest
import torch

from incbayes.kinds import METRICS

MEASURES = {"entropy": 0, "information": 1}


def uncertainties(inside, outside, measure):
    """Return uncertainties [N, 2] whose other column says nothing, and which are outliers."""
    values = torch.zeros(len(inside) + len(outside), 2, dtype=torch.float64)
    values[:, MEASURES[measure]] = torch.tensor([*inside, *outside], dtype=torch.float64)
    return values, torch.tensor([0] * len(inside) + [1] * len(outside))


def drawn(seed, levels):
    """Return uncertainties of 30 images of the task and of 20 outliers, of so many values."""
    generator = np.random.default_rng(seed)
    inside, outside = generator.integers(levels, size=30), generator.integers(levels, size=20)
    return (inside / levels).tolist(), ((outside + levels // 3) / levels).tolist()


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("levels", [3, 10, 10_000])
@pytest.mark.parametrize("seed", range(3))
def test_auroc_is_the_share_of_pairs_in_which_the_outlier_is_more_uncertain(measure, levels, seed):
    inside, outside = drawn(seed, levels)
    pairs = [(a < b) + 0.5 * (a == b) for a, b in itertools.product(inside, outside)]
    found = METRICS[f"auroc_{measure}"](*uncertainties(inside, outside, measure), 15)
    assert found == pytest.approx(sum(pairs) / len(pairs), abs=1e-12)


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("levels", [3, 10, 10_000])
@pytest.mark.parametrize("seed", range(3))
def test_fpr95_is_the_share_of_outliers_that_the_least_threshold_keeps(measure, levels, seed):
    inside, outside = drawn(seed, levels)
    kept = [t for t in inside if sum(of <= t for of in inside) * 100 >= 95 * len(inside)]
    expected = sum(of <= min(kept) for of in outside) / len(outside)
    found = METRICS[f"fpr95_{measure}"](*uncertainties(inside, outside, measure), 15)
    assert found == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("images", [20, 40, 100])
def test_exactly_95_per_cent_are_enough(images):
    inside = list(range(images))
    threshold = inside[images * 95 // 100 - 1]
    outside = [threshold, threshold + 0.5]
    found = METRICS["fpr95_entropy"](*uncertainties(inside, outside, "entropy"), 15)
    assert found == 0.5


@pytest.mark.parametrize("measure", MEASURES)
def test_uncertainties_that_differ_by_rounding_alone_tell_nothing(measure):
    inside, outside = [0.3, 0.3], [0.3 + 2e-16, 0.3 + 1e-14]
    both = uncertainties(inside, outside, measure)
    assert METRICS[f"auroc_{measure}"](*both, 15) == 0.5
    assert METRICS[f"fpr95_{measure}"](*both, 15) == 1.0


@pytest.mark.parametrize(("name", "column"), [("entropy", 0), ("mutual_information", 1)])
def test_a_mean_uncertainty_is_the_mean_of_its_column(name, column):
    values = torch.rand(50, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert METRICS[name](values, torch.zeros(50), 15) == pytest.approx(values[:, column].mean())


def test_outliers_need_a_class_and_several_draws_where_it_is_of_what_they_differ_in():
    of_uncertainty = {n: m for n, m in METRICS.items() if m.of in ("uncertainty", "outliers")}
    assert {metric.predicts for metric in of_uncertainty.values()} == {"classes"}
    several = {name for name, metric in of_uncertainty.items() if metric.several_draws}
    assert several == {"mutual_information", "auroc_information", "fpr95_information"}
