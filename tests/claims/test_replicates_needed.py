"""How many replicates would decide a claim: statsmodels, published tables and simulation agree."""

import itertools
import math

import numpy as np
import pytest
from known_claims import KNOWN, claim, records
from scipy import stats
from statsmodels.stats.power import TTestPower

from incbayes.claims import paired
from incbayes.claims.ledger import judge


def needed(effect, deviation, low, high, alpha):
    """Return the number of replicates that would decide one comparison."""
    return paired.replicates_needed(
        lambda n: paired.decision_chance(effect, deviation, low, high, n, alpha)
    )


@pytest.mark.parametrize(("distance", "alpha"), [(0.4, 0.025), (1.3, 0.025 / 7), (5.0, 0.025)])
def test_the_number_of_replicates_is_that_of_statsmodels(distance, alpha):
    solved = TTestPower().solve_power(
        effect_size=distance, alpha=alpha, power=paired.POWER, alternative="larger"
    )
    found = needed(0.02 * distance, 0.02, 0.0, math.inf, alpha)
    assert found == math.ceil(np.asarray(solved).item())
    mirrored = needed(-0.02 * distance, 0.02, -math.inf, 0.0, alpha)
    against = needed(-0.02 * distance, 0.02, 0.0, math.inf, alpha)
    assert mirrored == against == found


def bioequivalence(ratio, variation, n):
    """Return the power of TOST in a 2x2 crossover of n subjects, at 5 % and limits 0.8 to 1.25.

    Args:
        ratio: of the true means.
        variation: coefficient of variation within a subject.
        n: subjects.
    """
    error = math.sqrt(2 / n * math.log1p(variation**2))
    ends = [(math.log(limit) - math.log(ratio)) / error for limit in (0.8, 1.25)]
    return paired.equivalence_power(*ends, n - 2, 0.05)


@pytest.mark.parametrize(("variation", "n", "power"), [(0.2, 20, 0.8346802), (0.3, 40, 0.8158453)])
def test_the_power_of_an_equivalence_is_that_of_powertost(variation, n, power):
    assert bioequivalence(0.95, variation, n) == pytest.approx(power, abs=1e-7)


@pytest.mark.parametrize(
    ("variation", "n"), [(0.15, 12), (0.2, 19), (0.225, 23), (0.25, 28), (0.275, 33), (0.3, 39)]
)
def test_equivalences_need_as_many_as_in_published_tables(variation, n):
    # Diletti, Hauschke and Steinijans (1991), a ratio of 0.95 and a power of 80 %.
    chance = lambda subjects: bioequivalence(0.95, variation, max(subjects, 4))  # noqa: E731
    assert paired.replicates_needed(chance) == n


@pytest.mark.parametrize("alpha", [0.025, 0.05 / 36])
@pytest.mark.parametrize("n", [2, 3, 8, 100, 5000])
def test_a_distant_end_leaves_the_power_of_the_other_test(n, alpha):
    distance = 2.0 / math.sqrt(n)
    alone = TTestPower().power(distance, n, alpha, alternative="larger")
    ends = -2.0, 1e6
    assert paired.equivalence_power(*ends, n - 1, alpha) == pytest.approx(alone, abs=1e-9)
    found = paired.decision_chance(0.0, 1.0, -distance, math.inf, n, alpha)
    assert found == pytest.approx(alone, abs=1e-12)


@pytest.mark.parametrize("n", [3, 6, 12, 30])
@pytest.mark.parametrize("effect", [0.0, 0.006, -0.009, 0.013])
def test_the_chance_of_a_decision_is_that_of_simulated_replicates(effect, n):
    deviation, margin, alpha, rounds = 0.01, 0.01, 0.05, 20_000
    samples = np.random.default_rng(n).normal(effect, deviation, (rounds, n))
    means, errors = samples.mean(1), samples.std(1, ddof=1) / math.sqrt(n)
    if abs(effect) < margin:
        reach = stats.t.isf(alpha, n - 1) * errors
        decided = (means - reach > -margin) & (means + reach < margin)
    else:
        reach = stats.t.isf(alpha / 2, n - 1) * errors
        decided = (means + reach < -margin) | (means - reach > margin)
    chance = paired.decision_chance(effect, deviation, -margin, margin, n, alpha)
    error = math.sqrt(chance * (1 - chance) / rounds)
    assert abs(decided.mean() - chance) < 4 * error + 1e-4


def test_the_chance_of_a_decision_rises_with_replicates():
    numbers = (2, 3, 4, 5, 6, 8, 12, 20, 50, 200, 1000, 10_000)
    for effect in (0.0, 0.5, -0.9, 1.3, 40.0):
        chances = [paired.decision_chance(effect, 1.0, -1.0, 1.0, n, 0.001) for n in numbers]
        assert all(b >= a - 1e-9 for a, b in itertools.pairwise(chances))
        assert chances[0] >= 0 and chances[-1] > 0.99


def test_the_number_of_replicates_brings_an_equivalence_to_its_power():
    effect, deviation, margin, alpha = 0.002, 0.01, 0.01, 0.025
    n = needed(effect, deviation, -margin, margin, alpha)
    assert n == 15  # not 19, which half of the chance to miss for each end would ask for
    rng = np.random.default_rng(4)
    samples = rng.normal(effect, deviation, (1000, n))
    reached = np.mean([paired.p_inside(sample, -margin, margin) <= alpha for sample in samples])
    assert (
        abs(reached - paired.decision_chance(effect, deviation, -margin, margin, n, alpha)) < 0.04
    )


def test_of_several_comparisons_the_sure_ones_do_not_raise_the_number_of_replicates():
    noise = np.array([-1.5, -0.5, 0.0, 0.5, 1.5, 0.0]) / np.std(
        [-1.5, -0.5, 0, 0.5, 1.5, 0], ddof=1
    )
    data = records(a=np.full(6, 0.9), open=0.9 - (0.005 + 0.01 * noise), sure=0.8 - 0.001 * noise)
    one, both = (
        judge({"c": claim("greater", "a", *groups)}, data, reduced=False)[0]["replicates_needed"]
        for groups in (["open"], ["open", "sure"])
    )
    assert one == both > 6


def test_the_number_of_replicates_is_for_all_comparisons_of_a_claim():
    rng = np.random.default_rng(5)
    noise = rng.normal(size=(3, 6))
    noise = (noise - noise.mean(1, keepdims=True)) / noise.std(1, ddof=1, keepdims=True)
    b, c, d = 0.9 - (0.005 + 0.01 * noise)
    data = records(a=np.full(6, 0.9), b=b, c=c, d=d)
    entry = judge({"one": claim("greater", "a", "b", "c", "d")}, data, reduced=False)[0]
    samples = rng.normal(0.005, 0.01, (600, 3, entry["replicates_needed"]))
    tests = stats.ttest_1samp(samples, 0.0, axis=-1, alternative="greater")
    assert abs(np.mean((tests.pvalue <= 0.05).all(-1)) - paired.POWER) < 0.05


def test_an_open_claim_says_how_many_replicates_would_decide_it():
    entry = judge({"c": claim("greater", "noisy", "middle")}, KNOWN, reduced=False)[0]
    evidence = entry["comparisons"][0]["evidence"]
    expected = needed(evidence["effect"], evidence["deviation"], 0.0, math.inf, 0.05)
    assert entry["replicates_needed"] == expected > 8
    assert (
        entry["reason"] == f"run anew, {expected} replicates would decide it at the observed effect"
    )
    rng = np.random.default_rng(0)
    balanced = np.concatenate([noise := rng.normal(0, 0.1, 4), -noise]) + 0.9
    entry = judge({"c": claim("greater", "a", 0.9)}, records(a=balanced), reduced=False)[0]
    assert entry["verdict"] == "inconclusive" and entry["replicates_needed"] is None
    assert entry["reason"].startswith("run anew, more than 10000 replicates")
