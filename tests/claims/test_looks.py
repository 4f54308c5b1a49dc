"""Looks and statements: which replicates a claim is judged on, and how often that errs."""

import math
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from known_claims import ANY, TESTS, claim, records

from incbayes.claims.history import History, codes_of, first_runs
from incbayes.claims.ledger import judge
from incbayes.claims.looks import p_value, taken
from incbayes.study.model import Statement
from incbayes.study.statement import Stated

LOOKS = (5, 10, 20, 40)
STATED = datetime(2026, 1, 10, tzinfo=UTC)


def entry_of(data, history=None, **keys):
    """Return the entry of one claim, that `a` is greater than `b`."""
    history = {} if history is None else {"history": history}
    return judge({"c": claim("greater", "a", "b", **keys)}, data, False, **history)[0]


def test_a_look_is_at_the_first_replicates_by_number_once_all_are_there():
    found = pd.Series(np.arange(12.0), index=range(12)).sample(frac=1, random_state=0)
    at = taken(found, LOOKS, 0)
    assert [(weight, list(values)) for weight, values in at] == [
        (0.5, [0, 1, 2, 3, 4]),
        (0.25, list(range(10))),
    ]
    assert [len(values) for _, values in taken(found.drop(7), LOOKS, 0)] == [5]
    assert taken(found.drop(2), LOOKS, 0) == []
    assert [list(values) for _, values in taken(found, LOOKS, 6)] == [[6, 7, 8, 9, 10]]
    assert p_value(lambda values: 0.0, []) == 1.0


def test_a_p_value_over_looks_is_the_least_over_its_weight():
    rng = np.random.default_rng(1)
    a = 0.9 + rng.normal(0.004, 0.01, 12)
    data = records(a=a, b=np.full(12, 0.9))
    test = TESTS["greater"]
    each = [test.evidence(a[:n] - 0.9).p_support for n in (5, 10)]
    entry = entry_of(data, looks=LOOKS)
    assert entry["p_support"] == pytest.approx(min(1.0, each[0] / 0.5, each[1] / 0.25))
    evidence = entry["comparisons"][0]["evidence"]
    assert (evidence["n"], evidence["tested"]) == (12, 10)
    assert evidence["effect"] == pytest.approx((a - 0.9).mean()), "shown of all"
    # The replicates between two looks change no verdict.
    between = entry_of(data.query("replicate < 10"), looks=LOOKS)
    assert between["p_support"] == entry["p_support"]
    early = entry_of(data.query("replicate < 4"), looks=LOOKS)
    assert early["p_support"] == 1.0 and early["verdict"] == "inconclusive"


def test_the_order_in_which_replicates_are_run_changes_nothing():
    rng = np.random.default_rng(2)
    data = records(a=0.9 + rng.normal(0.02, 0.01, 20), b=np.full(20, 0.9))
    whole = entry_of(data, looks=LOOKS)
    assert entry_of(data.sample(frac=1, random_state=3), looks=LOOKS) == whole
    # Whoever runs the second half first has taken no look yet.
    assert entry_of(data.query("replicate >= 10"), looks=LOOKS)["p_support"] == 1.0


def test_the_next_look_that_would_decide_is_named():
    a = 0.9 + np.tile([0.0, 0.004, 0.008, 0.002, 0.001], 1)
    entry = entry_of(records(a=a, b=np.full(5, 0.9)), looks=LOOKS)
    assert entry["verdict"] == "inconclusive" and entry["replicates_needed"] in LOOKS[1:]
    number = entry["replicates_needed"]
    assert entry["reason"] == (
        f"the look at {number} replicates would decide it at the observed effect"
    )
    none = entry_of(records(a=a, b=np.full(5, 0.9)), looks=(5,))
    assert none["replicates_needed"] is None and "no look, up to 5" in none["reason"]


@pytest.mark.parametrize("skewed", [False, True])
def test_looking_again_errs_no_more_often_than_looking_once(skewed):
    rng, runs, level = np.random.default_rng(4), 400, 0.1
    test, naive, weighted = TESTS["greater"], 0, 0
    for _ in range(runs):
        noise = rng.normal(size=40) if not skewed else 1 - rng.exponential(size=40)
        at = taken(pd.Series(noise), LOOKS, 0)
        naive += min(test.evidence(noise[:n]).p_support for n in LOOKS) <= level
        weighted += test.evidence(noise, at).p_support <= level
    bound = level + 3 * math.sqrt(level * (1 - level) / runs)
    assert weighted / runs < (3 * level if skewed else bound), "a t-test of few errs on its own"
    assert naive > weighted and (skewed or naive / runs > level)


def history(statement_first=5, later=range(5, 10)):
    """Return a history in which replicates 0 to 4 were run before the claim was stated."""
    statement = Statement(date=STATED.isoformat(), digest=64 * "0", first=statement_first)
    runs = {
        ("e", method, 2, replicate): STATED + timedelta(days=1 if replicate in later else -1)
        for method in "ab"
        for replicate in range(10)
    }
    return History(Stated({"c": statement}), runs)


def test_replicates_run_after_a_claim_was_stated_are_counted_and_can_be_all_that_counts():
    rng = np.random.default_rng(5)
    a = 0.9 + np.concatenate([rng.normal(0.05, 0.01, 5), rng.normal(-0.05, 0.01, 5)])
    data = records(a=a, b=np.full(10, 0.9))
    known = history()
    everything, confirmed = entry_of(data, known), entry_of(data, known, evidence="confirmatory")
    assert everything["run_after_stated"] == confirmed["run_after_stated"] == 5
    assert everything["verdict"] == "inconclusive" and confirmed["verdict"] == "contradicted"
    assert confirmed["comparisons"][0]["evidence"]["effect"] == pytest.approx((a[5:] - 0.9).mean())
    looked = entry_of(data, known, evidence="confirmatory", looks=LOOKS)
    assert looked["comparisons"][0]["evidence"]["tested"] == 5, "they begin with the first new one"
    # What was run elsewhere by then, and came here later, is not what they begin with either.
    elsewhere = entry_of(data, history(statement_first=0), evidence="confirmatory", looks=LOOKS)
    assert elsewhere["comparisons"] == looked["comparisons"]
    # One that was run before under another number's place is not new evidence.
    fewer = entry_of(data, history(later=[6, 7, 8]), evidence="confirmatory", looks=LOOKS)
    assert fewer["run_after_stated"] == 3 and fewer["verdict"] == "inconclusive"
    both = dict(known.first_runs) | {("e", "b", 2, 5): STATED - timedelta(days=1)}
    assert entry_of(data, History(known.stated, both))["run_after_stated"] == 4


def test_a_claim_across_chains_of_different_code_says_so():
    data = records(a=[0.9, 0.91, 0.95], b=[0.8, 0.82, 0.81])
    assert entry_of(data)["codes"] == 1
    sources = [
        {"chains": ["e.a.T2", "e.b.T2"], "code_digest": "1"},
        {"chains": ["e.b.T2"], "code_digest": "2"},
    ]
    assert entry_of(data, History(codes=codes_of(sources)))["codes"] == 2
    assert entry_of(data, History(codes=codes_of(sources[:1])))["codes"] == 1


def test_a_stated_claim_that_is_taken_out_still_counts():
    data = records(a=[0.9, 0.91, 0.95], b=[0.8, 0.82, 0.81])
    claims = {name: claim("greater", "a", "b") for name in "cde"}
    whole = judge(claims, data, False, history())[0]["p_support_corrected"]
    known = History(Stated({}, frozenset("d")))
    for name, counts in (("d", True), ("e", False)):
        out = claims | {name: claim("greater", "a", "b", status="exploratory")}
        corrected = judge(out, data, False, known)[0]["p_support_corrected"]
        assert corrected == pytest.approx(whole if counts else whole * 2 / 3), name


def test_a_claim_that_is_not_stated_has_no_confirmatory_evidence():
    data = records(a=[0.9, 0.91, 0.95], b=[0.8, 0.82, 0.81])
    entry = entry_of(data, evidence="confirmatory")
    assert entry["verdict"] == "not run" and "not stated yet: snakemake state" in entry["reason"]
    changed = History(Stated({}, frozenset("c")))
    entry = entry_of(data, changed, evidence="confirmatory")
    assert "no longer what was stated" in entry["reason"] and entry["changed_since_stated"]
    assert entry_of(data)["stated"] is None and entry_of(data)["verdict"] != "not run"


def test_a_replicate_was_first_run_when_its_first_stage_was():
    def run(t, started, **keys):
        chain = {"experiment": "e", "method": "m", "T": 2, "t": t, "replicates": [0, 1]}
        return chain | {"started": started} | keys

    found = first_runs(
        [
            run(1, "2026-01-02T00:00:00+00:00"),
            run(2, "2026-01-03T00:00:00+00:00"),
            run(2, "2026-01-05T00:00:00+00:00", first_started="2026-01-01T00:00:00+00:00"),
        ]
    )
    assert found == {("e", "m", 2, r): datetime(2026, 1, 1, tzinfo=UTC) for r in (0, 1)}


def test_any_difference_is_said_to_be_what_is_claimed():
    assert entry_of(records(a=[0.9, 0.91], b=[0.8, 0.82]))["relation"] == {"kind": "greater", **ANY}
