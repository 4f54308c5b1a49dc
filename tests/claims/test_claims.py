"""Claims: their statistics against scipy and statsmodels, and verdicts where the truth is known."""

import json
import math

import numpy as np
import pandas as pd
import pytest
from known_claims import EQUIVALENT, KNOWN, NOT_GREATER, NOT_LESS, TESTS, claim, group, records
from scipy import stats
from statsmodels.stats.weightstats import ttost_paired

from incbayes.claims.examine import Comparison, Examined, group_name
from incbayes.claims.ledger import VERDICTS, correct, judge, write_ledger
from incbayes.kinds import CLAIM_TESTS

SHAPES = ("greater", "less", "equivalent", "not_less")
EDGES = {"greater": 0.0, "less": 0.0, "equivalent": 0.01, "not_less": -0.01}
"""By test, one of each shape of region: a difference at its edge, where it errs most often."""


def verdict(relation: str | dict, *groups, data: pd.DataFrame) -> str:
    """Return the verdict on a claim that is the only one of its study."""
    return judge({"c": claim(relation, *groups)}, data, reduced=False)[0]["verdict"]


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
