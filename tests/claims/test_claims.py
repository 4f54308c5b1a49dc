"""Claims: their statistics against scipy and statsmodels, and verdicts where the truth is known."""

import itertools
import json
import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.power import TTestPower
from statsmodels.stats.weightstats import ttost_paired

from incbayes.claims import paired
from incbayes.claims.examine import Comparison, Examined, group_name
from incbayes.claims.ledger import VERDICTS, correct, judge, write_ledger
from incbayes.kinds import CLAIM_TESTS
from incbayes.results.collect import RECORD_COLUMNS
from incbayes.study.model import Claim, Group, KindSpec

MARGIN = {"margin": 0.01, "reason": "known"}
ANY = {"by": 0.0, "reason": "any difference counts"}
TESTS = {
    "greater": CLAIM_TESTS.build({"kind": "greater", **ANY}),
    "greater by 0.01": CLAIM_TESTS.build({"kind": "greater", **ANY, "by": 0.01}),
    "less": CLAIM_TESTS.build({"kind": "less", **ANY}),
    "ordered": CLAIM_TESTS.build({"kind": "ordered", **ANY}),
    "equivalent": CLAIM_TESTS.build({"kind": "equivalent", **MARGIN}),
    "not_less": CLAIM_TESTS.build({"kind": "not_less", **MARGIN}),
    "not_greater": CLAIM_TESTS.build({"kind": "not_greater", **MARGIN}),
}
SHAPES = ("greater", "less", "equivalent", "not_less")
EDGES = {"greater": 0.0, "less": 0.0, "equivalent": 0.01, "not_less": -0.01}
"""By test, one of each shape of region: a difference at its edge, where it errs most often."""


def group(method: str, **keys) -> Group:
    """Return a group of the made experiment, as `study.claims_of` does."""
    usual = {"experiment": "e", "method": method, "T": 2, "t": 2, "predictor": "predictive"}
    return Group(**(usual | {"split": "test", "reported": None, "kl_scale": None} | keys))


def claim(relation: str | dict, *groups: str | Group | float, **keys) -> Claim:
    """Return a claim on the accuracy of groups; a name stands for the group of that method."""
    relation = relation if isinstance(relation, dict) else {"kind": relation}
    if relation["kind"] in ("greater", "less", "ordered"):
        relation = {"kind": relation["kind"], **ANY} | relation
    usual = {
        "paper": "A paper (2018)",
        "place": None,
        "sentence": "A sentence.",
        "metric": "accuracy",
        "relation": KindSpec.of(relation),
        "groups": tuple(group(g) if isinstance(g, str) else g for g in groups),
        "level": 0.05,
        "figure": None,
    }
    return Claim(**(usual | keys))


def records(**methods) -> pd.DataFrame:
    """Return the records of the last stage: of each method, its accuracy by replicate."""
    rows = [
        {
            "study": "s", "experiment": "e", "method": method, "family": "ffg", "T": 2, "t": 2,
            "replicate": replicate, "split": "test", "predictor": "predictive",
            "metric": "accuracy", "value": float(value), "budget": "full",
        }
        for method, values in methods.items()
        for replicate, value in enumerate(values)
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=list(RECORD_COLUMNS))


def verdict(relation: str | dict, *groups, data: pd.DataFrame) -> str:
    """Return the verdict on a claim that is the only one of its study."""
    return judge({"c": claim(relation, *groups)}, data, reduced=False)[0]["verdict"]


RNG = np.random.default_rng(2018)
NOISE = RNG.normal(0, 0.001, (4, 8))
BASE = 0.9 + RNG.normal(0, 0.02, 8)
KNOWN = records(
    low=BASE - 0.03 + NOISE[0],
    middle=BASE,
    near=BASE + 0.002 + NOISE[1],
    high=BASE + 0.03 + NOISE[2],
    noisy=BASE + 0.002 + 40 * NOISE[3],
    one=BASE[:1],
)
EQUIVALENT, NOT_LESS, NOT_GREATER = (
    {"kind": kind, **MARGIN} for kind in ("equivalent", "not_less", "not_greater")
)
LEDGER = [
    ("supported", "greater", ["high", "low"]),
    ("supported", "greater", ["high", "middle", "low"]),
    ("supported", {"kind": "greater", "by": 0.02}, ["high", "middle"]),
    ("supported", "less", ["low", "middle", "high"]),
    ("supported", "ordered", ["high", "middle", "low"]),
    ("supported", EQUIVALENT, ["near", "middle"]),
    ("supported", NOT_LESS, ["high", "middle"]),
    ("supported", NOT_GREATER, ["low", "middle", "near"]),
    ("supported", "greater", ["high", 0.8]),
    ("supported", EQUIVALENT | {"margin": 0.05}, ["middle", 0.9]),
    ("contradicted", "greater", ["low", "high"]),
    ("contradicted", "greater", ["middle", "low", "high"]),
    ("contradicted", {"kind": "greater", "by": 0.05}, ["high", "middle"]),
    ("contradicted", "less", ["high", "middle"]),
    ("contradicted", "ordered", ["high", "low", "middle"]),
    ("contradicted", EQUIVALENT, ["middle", "near", "high"]),
    ("contradicted", NOT_LESS, ["low", "middle"]),
    ("contradicted", NOT_GREATER, ["high", "middle"]),
    ("contradicted", "less", ["middle", 0.8]),
    ("inconclusive", "greater", ["noisy", "middle"]),
    ("inconclusive", "ordered", ["high", "noisy", "middle"]),
    ("inconclusive", EQUIVALENT, ["noisy", "middle"]),
    ("inconclusive", NOT_LESS, ["noisy", "middle"]),
    ("not run", "greater", ["absent", "middle"]),
    ("not run", "greater", ["one", "middle"]),
    ("not run", EQUIVALENT, ["one", 0.9]),
]


@pytest.mark.parametrize(("expected", "relation", "groups"), LEDGER)
def test_a_known_truth_gets_its_verdict(expected, relation, groups):
    assert verdict(relation, *groups, data=KNOWN) == expected


def test_a_whole_ledger_of_known_truths_gets_its_verdicts():
    claims = {
        f"c{place}": claim(relation, *groups) for place, (_, relation, groups) in enumerate(LEDGER)
    }
    entries = judge(claims, KNOWN, reduced=False)
    assert [entry["verdict"] for entry in entries] == [expected for expected, _, _ in LEDGER]
    assert {entry["verdict"] for entry in entries} == set(VERDICTS)
    assert {claim[1] if isinstance(claim[1], str) else claim[1]["kind"] for claim in LEDGER} == set(
        CLAIM_TESTS
    )


def test_evidence_is_that_of_scipy_and_statsmodels():
    rng = np.random.default_rng(1)
    first, second = rng.normal(0.9, 0.01, (2, 6))
    entries = judge(
        {
            "greater": claim("greater", "a", "b"),
            "less": claim("less", "a", 0.905),
            "equivalent": claim(EQUIVALENT, "a", "b"),
        },
        records(a=first, b=second),
        reduced=False,
    )
    greater, less, equivalent = (entry["comparisons"][0]["evidence"] for entry in entries)
    two_sided = stats.ttest_rel(first, second)
    np.testing.assert_allclose((greater["low"], greater["high"]), two_sided.confidence_interval())
    np.testing.assert_allclose(greater["effect"], (first - second).mean())
    np.testing.assert_allclose(greater["standardised"], two_sided.statistic / math.sqrt(6))
    for key, alternative in (("p_support", "greater"), ("p_contradiction", "less")):
        expected = stats.ttest_rel(first, second, alternative=alternative).pvalue
        np.testing.assert_allclose(greater[key], expected)
    expected = stats.ttest_1samp(first, 0.905, alternative="less").pvalue
    np.testing.assert_allclose(less["p_support"], expected)
    np.testing.assert_allclose(equivalent["p_support"], ttost_paired(first, second, -0.01, 0.01)[0])
    outside = [
        stats.ttest_rel(first, second + 0.01, alternative="greater").pvalue,
        stats.ttest_rel(first, second - 0.01, alternative="less").pvalue,
    ]
    np.testing.assert_allclose(equivalent["p_contradiction"], min(1, 2 * min(outside)))


def test_several_comparisons_must_all_hold():
    entry = judge({"c": claim("greater", "high", "low", "noisy")}, KNOWN, reduced=False)[0]
    found = [comparison["evidence"] for comparison in entry["comparisons"]]
    assert entry["p_support"] == max(e["p_support"] for e in found)
    assert entry["p_contradiction"] == min(1, 2 * min(e["p_contradiction"] for e in found))
    assert entry["comparisons"][entry["decisive"]]["second"] == 2
    against = judge({"c": claim("greater", "middle", "high", "low")}, KNOWN, reduced=False)[0]
    assert against["comparisons"][against["decisive"]]["second"] == 1


def test_verdicts_are_corrected_for_every_primary_claim_of_the_study():
    claims = {
        "first": claim("greater", "a", "b"),
        "second": claim("less", "a", "b"),
        "absent": claim("greater", "a", "absent"),
        "later": claim("greater", "a", "b", status="exploratory"),
    }
    rng = np.random.default_rng(3)
    data = records(a=0.9 + rng.normal(0.01, 0.01, 5), b=np.full(5, 0.9))
    first, second, absent, later = judge(claims, data, reduced=False)
    for entry in (first, second):
        for key in ("p_support", "p_contradiction"):
            assert entry[f"{key}_corrected"] == min(1.0, 3 * entry[key])
    assert absent["p_support"] is None and absent["p_support_corrected"] is None
    assert later["p_support"] == first["p_support"] and later["p_support_corrected"] is None


def test_an_exploratory_claim_gets_no_verdict_and_takes_none_from_others():
    sure = claim("greater", "high", "low")
    alone = judge({"sure": sure}, KNOWN, reduced=False)[0]
    more = {f"e{place}": claim("greater", "high", "low", status="exploratory") for place in (0, 1)}
    among, *others = judge({"sure": sure, **more}, KNOWN, reduced=False)
    assert among == alone and alone["verdict"] == "supported"
    assert [entry["verdict"] for entry in others] == ["exploratory"] * 2
    assert others[0]["comparisons"] == alone["comparisons"]
    absent = claim("greater", "absent", "low", status="exploratory")
    assert judge({"a": absent}, KNOWN, reduced=False)[0]["verdict"] == "not run"


def test_running_a_claim_later_takes_no_verdict_back():
    claims = {"sure": claim("greater", "high", "low"), "later": claim("less", "noisy", "middle")}
    without = judge(claims, KNOWN.query("method != 'noisy'"), reduced=False)
    assert without[1]["verdict"] == "not run"
    assert judge(claims, KNOWN, reduced=False)[0] == without[0]


def test_a_difference_that_is_shown_too_small_contradicts_a_direction():
    by = {"kind": "greater", "by": 0.01, "reason": "known"}
    found, open_ended = judge(
        {"c": claim(by, "near", "middle"), "any": claim("greater", "near", "middle")},
        KNOWN,
        reduced=False,
    )
    assert found["verdict"] == "contradicted" and found["practically_equal"]
    assert open_ended["verdict"] == "supported" and not open_ended["practically_equal"]
    # Far beyond it, or the other way, it is contradicted or supported, and not equal.
    for groups in (["high", "middle"], ["low", "middle"]):
        assert not judge({"c": claim(by, *groups)}, KNOWN, reduced=False)[0]["practically_equal"]


def test_false_verdicts_are_as_rare_as_the_level_says():
    rng, ledgers, level = np.random.default_rng(7), 250, 0.05
    tests = {name: TESTS[name] for name in SHAPES}
    false = 0
    for differences in rng.normal(0, 0.01, (ledgers, len(tests), 5)):
        corrected = [
            correct(single(tests[name], EDGES[name] + noise), level, len(tests))
            for name, noise in zip(tests, differences, strict=True)
        ]
        false += any(min(c.p_support, c.p_contradiction) <= level for c in corrected)
    error = math.sqrt(level * (1 - level) / ledgers)
    assert level / 3 < false / ledgers < 2 * level + 3 * error  # at an edge both are true


@pytest.mark.parametrize("name", SHAPES)
def test_at_the_edge_of_its_region_no_test_errs_more_often_than_it_may(name):
    rng, samples, alpha = np.random.default_rng(11), 150, 0.1
    found = [single(TESTS[name], EDGES[name] + rng.normal(0, 0.001, 3)) for _ in range(samples)]
    bound = alpha + 3 * math.sqrt(alpha * (1 - alpha) / samples)
    assert np.mean([claim.p_support <= alpha for claim in found]) < bound
    assert np.mean([claim.p_contradiction <= alpha for claim in found]) < bound


def test_clear_effects_are_found_and_with_the_right_sign():
    rng = np.random.default_rng(0)
    found = []
    for _ in range(50):
        inside = [rng.normal(0.005, 0.001, 5), rng.normal(0.03, 0.01, 5)]
        outside = [rng.normal(0.03, 0.01, 5), rng.normal(-0.03, 0.01, 5)]
        tests = [TESTS["equivalent"], TESTS["greater"]]
        examined = [single(*pair) for pair in zip(tests * 2, inside + outside, strict=True)]
        corrected = [correct(one, 0.05, 4) for one in examined]
        found.append([[c.p_support <= 0.05, c.p_contradiction <= 0.05] for c in corrected])
    rates = np.mean(found, axis=0)
    assert rates[:2, 0].min() > 0.7 and rates[2:, 1].min() > 0.4
    assert rates[:2, 1].max() == 0 and rates[2:, 0].max() == 0


def single(test, differences: np.ndarray) -> Examined:
    """Return a claim of one comparison with these differences."""
    return Examined(test, [], [Comparison(0, 1, test.evidence(differences))], "", [])


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
    assert entry["reason"] == f"{expected} replicates would decide it at the observed effect"
    rng = np.random.default_rng(0)
    balanced = np.concatenate([noise := rng.normal(0, 0.1, 4), -noise]) + 0.9
    entry = judge({"c": claim("greater", "a", 0.9)}, records(a=balanced), reduced=False)[0]
    assert entry["verdict"] == "inconclusive" and entry["replicates_needed"] is None
    assert entry["reason"].startswith("more than 10000 replicates")


@pytest.mark.parametrize("relation", ["greater", "less", EQUIVALENT])
def test_equal_differences_decide_nothing(relation):
    data = records(a=[0.95, 0.97, 0.96], b=[0.94, 0.96, 0.95])
    entry = judge({"c": claim(relation, "a", "b")}, data, reduced=False)[0]
    assert entry["verdict"] == "inconclusive" and entry["replicates_needed"] is None
    assert "every replicate has the same difference" in entry["reason"]
    assert entry["comparisons"][0]["evidence"]["low"] is None


def test_only_complete_pairs_count():
    data = records(a=[0.9, 0.91, 0.95, 0.99], b=[0.8, 0.82, 0.81])
    shuffled = data.sample(frac=1, random_state=0)
    entry = judge({"c": claim("greater", "a", "b")}, shuffled, reduced=False)[0]
    evidence = entry["comparisons"][0]["evidence"]
    assert evidence["n"] == 3 and evidence["effect"] == pytest.approx((0.1 + 0.09 + 0.14) / 3)
    assert [group["n"] for group in entry["groups"]] == [4, 3]


def test_a_replicate_without_a_value_counts_nowhere():
    data = records(a=[0.9, 0.91, 0.95, np.nan], b=[0.8, 0.82, np.nan, 0.81], c=[np.nan] * 4)
    claims = {"some": claim("greater", "a", "b"), "none": claim("greater", "a", "c")}
    entry, absent = judge(claims, data, reduced=False)
    assert [group["n"] for group in entry["groups"]] == [3, 3]
    assert entry["groups"][0]["mean"] == pytest.approx(0.92)
    assert entry["comparisons"][0]["evidence"]["n"] == 2
    assert absent["groups"][1]["n"] == 0 and absent["groups"][1]["mean"] is None
    assert absent["reason"] == "no accuracy of e c T=2 t=2 among the records"


def test_a_claim_that_was_not_run_says_why():
    reasons = [
        judge({"c": claim("greater", *groups)}, KNOWN, reduced=False)[0]["reason"]
        for groups in (
            ["middle", group("low", experiment="other")],
            ["middle", group("low", t=1)],
            ["one", "middle"],
            ["one", 0.5],
        )
    ]
    assert reasons == [
        "no records of other",
        "no accuracy of e low T=2 t=1 among the records",
        "1 replicate of e one T=2 t=2 and e middle T=2 t=2, where 2 are the least",
        "1 replicate of e one T=2 t=2 and 0.5, where 2 are the least",
    ]
    strange = group("m", split="part_01", predictor="mean")
    assert group_name(strange) == "e m T=2 t=2 part_01 mean"


def test_a_ledger_of_a_reduced_budget_says_so(tmp_path):
    data = KNOWN.assign(budget="quick")
    claims = {"a": claim("greater", "high", "low"), "b": claim("greater", "absent", "low")}
    entries = judge(claims, data, reduced=True)
    write_ledger(entries, tmp_path / "claims.json", tmp_path / "claims.csv")
    table = pd.read_csv(tmp_path / "claims.csv")
    assert table["reduced"].tolist() == [True, True]
    assert table["budget"].tolist() == ["quick", "quick"]


def test_a_ledger_survives_its_files(tmp_path):
    tempered = group("high", kl_scale=0.1, reported=0.93)
    claims = {
        "plain": claim("greater", tempered, "low", figure="accuracy_by_parts"),
        "within": claim(EQUIVALENT, "noisy", "middle", place="§3"),
        "absent": claim("less", "absent", 0.5),
    }
    entries = judge(claims, KNOWN, reduced=False)
    for name in ("one", "two"):
        write_ledger(entries, tmp_path / f"{name}.json", tmp_path / f"{name}.csv")
    for kind in ("json", "csv"):
        assert (tmp_path / f"one.{kind}").read_bytes() == (tmp_path / f"two.{kind}").read_bytes()
    assert json.loads((tmp_path / "one.json").read_text()) == entries
    table = pd.read_csv(tmp_path / "one.csv").set_index("claim")
    assert table["verdict"].tolist() == ["supported", "inconclusive", "not run"]
    row = table.loc["plain"]
    assert row["kl_scales"] == "0.1; -" and row["reported"] == "0.93; -"
    assert row["decisive"] == "e high T=2 t=2 - e low T=2 t=2" and row["n"] == 8
    assert row["effect"] == entries[0]["comparisons"][0]["evidence"]["effect"]
    assert table.loc["within", ["region_low", "region_high"]].tolist() == [-0.01, 0.01]
    assert np.isnan(table.loc["absent", "effect"])
    write_ledger([], tmp_path / "none.json", tmp_path / "none.csv")
    assert json.loads((tmp_path / "none.json").read_text()) == []
