"""Selective prediction against every order of the images, by brute force."""

import math
from fractions import Fraction
from itertools import groupby, permutations, product

import numpy as np
import pytest
import torch

from incbayes.kinds import METRICS

COVERAGES = {f"accuracy_at_{percent}": percent for percent in (50, 60, 70, 80, 90)}


def predicted(confidences, wrong):
    """Return log-probabilities of two classes and labels, of these confidences and errors."""
    p = torch.tensor(confidences, dtype=torch.float64)
    return torch.stack([p, 1 - p], -1).log(), torch.tensor(wrong, dtype=torch.int64)


def orders(confidences):
    """Return every order of the images, the most certain first, ties in each of their orders."""
    ranked = sorted(range(len(confidences)), key=lambda place: -confidences[place])
    groups = [list(g) for _, g in groupby(ranked, key=lambda place: confidences[place])]
    return [sum(map(list, of_one), []) for of_one in product(*map(permutations, groups))]


def brute_force(name, confidences, wrong):
    """Return the exact mean of a metric over all orders."""
    values = []
    for order in orders(confidences):
        errors = [wrong[place] for place in order]
        if name == "aurc":
            risks = [Fraction(sum(errors[:k]), k) for k in range(1, len(errors) + 1)]
            values.append(sum(risks) / len(risks))
        else:
            kept = math.ceil(Fraction(COVERAGES[name], 100) * len(errors))
            values.append(1 - Fraction(sum(errors[:kept]), kept))
    return float(sum(values) / len(values))


@pytest.mark.parametrize("name", ["aurc", *COVERAGES])
@pytest.mark.parametrize("images", [1, 2, 5, 7])
@pytest.mark.parametrize("values", [[0.6, 0.7, 0.8, 0.9, 0.97, 0.99, 0.995], [0.6, 0.9], [0.75]])
def test_it_is_the_mean_over_all_orders_of_the_certain(name, images, values):
    generator = np.random.default_rng(images)
    confidences = generator.choice(values, images, replace=len(values) < images).tolist()
    wrong = generator.integers(0, 2, images).tolist()
    expected = brute_force(name, confidences, wrong)
    assert METRICS[name](*predicted(confidences, wrong), 15) == pytest.approx(expected, abs=1e-14)


@pytest.mark.parametrize("name", ["aurc", *COVERAGES])
def test_the_order_of_images_of_equal_certainty_does_not_decide(name):
    generator = np.random.default_rng(0)
    confidences, wrong = generator.choice([0.6, 0.8, 1.0], 40), generator.integers(0, 2, 40)
    found = set()
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(40)
        found.add(METRICS[name](*predicted(confidences[order], wrong[order]), 15))
    assert len(found) == 1


@pytest.mark.parametrize("name", ["aurc", *COVERAGES])
def test_certainties_that_differ_by_rounding_alone_are_equal(name):
    wrong = [0, 1, 0, 1, 1]
    exact = METRICS[name](*predicted([0.7] * 5, wrong), 15)
    nearly = [0.7 + place * 1e-15 for place in range(5)]
    assert METRICS[name](*predicted(nearly, wrong), 15) == exact


def test_certainties_next_to_one_are_told_apart():
    log_p = torch.tensor([[0.0, -20.0], [0.0, -25.0]], dtype=torch.float64).log_softmax(-1)
    assert METRICS["aurc"](log_p, torch.tensor([1, 0]), 15) == 0.25
    assert METRICS["aurc"](log_p, torch.tensor([0, 1]), 15) == 0.75


@pytest.mark.parametrize(("images", "kept"), [(1, 1), (10, 8), (35, 28), (9, 8), (360, 288)])
def test_the_coverage_counts_whole_images_and_rounds_up(images, kept):
    wrong = [0] * (kept - 1) + [1] * (images - kept + 1)
    confidences = np.linspace(0.99, 0.6, images)
    found = METRICS["accuracy_at_80"](*predicted(confidences, wrong), 15)
    assert found == pytest.approx(1 - 1 / kept)


def test_the_best_ranking_has_the_smallest_area_and_the_worst_the_largest():
    wrong = [0] * 8 + [1, 1]
    certain = np.linspace(0.99, 0.6, 10)
    best, worst = (
        METRICS["aurc"](*predicted(of, wrong), 15) for of in (certain, certain[::-1].copy())
    )
    some = METRICS["aurc"](*predicted([0.8] * 10, wrong), 15)
    assert best < some < worst
    assert some == pytest.approx(0.2)  # without a ranking the risk is the error at any coverage
