"""What to run next: a synthetic ledger whose best order is known."""

import numpy as np
import pytest
from known_claims import ANY, claim, group, records

from incbayes.claims.next_runs import next_runs, open_claims, seconds_of_a_replicate
from incbayes.study.model import Statement

LOOKS = (5, 10, 20)
CHEAP, DEAR = 60.0, 3600.0


def chain(method):
    return ("e", method, 2)


def spread(effect, deviation, n=5):
    """Return n differences of exactly this mean and deviation."""
    noise = np.linspace(-1, 1, n)
    return effect + deviation * noise / noise.std(ddof=1)


def known():
    """Return records and claims: which is decided for least is known of each.

    Beside a baseline, `cheap` and `dear` have the same clear effect and cost 1 and 60; `sharer`
    has it too, and shares all its chains but one with `dear`; `hopeless` has none.
    """
    base = np.full(5, 0.5)
    data = records(
        base=base,
        cheap=base + spread(0.01, 0.006),
        dear=base + spread(0.01, 0.006),
        sharer=base + spread(0.01, 0.006),
        hopeless=base + spread(0.0, 0.02),
    )
    claims = {
        name: claim("greater", name, other, looks=LOOKS)
        for name, other in (("hopeless", "base"), ("dear", "base"), ("cheap", "base"))
    }
    seconds = dict.fromkeys(map(chain, ("base", "cheap", "hopeless")), CHEAP)
    return data, claims, seconds | {chain("dear"): DEAR, chain("sharer"): CHEAP}


def test_the_cheapest_decision_comes_first_and_a_hopeless_one_never():
    data, claims, seconds = known()
    steps = next_runs(open_claims(claims, data), data, seconds)
    first, second, *_ = steps
    assert set(first.chances) == {"cheap"} and first.chances["cheap"] > 0.8
    # Ten replicates, of which five are there: five more of both, and of the other claim's the
    # baseline is there by then.
    assert first.replicates == {chain("base"): (5, 6, 7, 8, 9), chain("cheap"): (5, 6, 7, 8, 9)}
    assert first.hours == pytest.approx(10 * CHEAP / 3600)
    assert second.replicates == {chain("dear"): (5, 6, 7, 8, 9)}
    assert second.hours == pytest.approx(5 * DEAR / 3600)
    assert not any("hopeless" in step.chances for step in steps)


def test_runs_that_serve_two_claims_come_before_those_that_serve_one():
    data, claims, seconds = known()
    del claims["cheap"]
    claims["both"] = claim("greater", "dear", "base", "sharer", looks=LOOKS)
    claims |= {"one": claim("greater", "sharer", "base", looks=LOOKS)}
    seconds[chain("dear")] = CHEAP
    del claims["both"]
    data = data.query("method != 'cheap'")
    steps = next_runs(open_claims(claims, data), data, seconds)
    assert steps[0].hours == pytest.approx(10 * CHEAP / 3600)
    assert steps[1].hours == pytest.approx(5 * CHEAP / 3600), "the baseline is paid once"
    assert {name for step in steps[:2] for name in step.chances} == {"dear", "one"}


def test_decided_and_exploratory_claims_ask_for_nothing():
    data, claims, seconds = known()
    sure = records(a=np.full(5, 0.9) + spread(0, 0.001), b=np.full(5, 0.5))
    decided = {"sure": claim("greater", "a", "b")}
    assert open_claims(decided, sure) == {}
    later = {"cheap": claim("greater", "cheap", "base", status="exploratory")}
    assert open_claims(later, data) == {}
    absent = {"absent": claim("greater", "absent", "base")}
    assert open_claims(absent, data) == {}, "without an effect there is nothing to plan by"
    assert next_runs(open_claims(claims, data), data, {}) == [], "nor without what a run costs"


def test_a_claim_without_looks_is_judged_once_and_asks_for_nothing():
    data, claims, seconds = known()
    one = {"cheap": claim("greater", "cheap", "base", level=0.001)}
    assert set(open_claims(one, data)) == {"cheap"}
    assert next_runs(open_claims(one, data), data, seconds) == []
    both = one | {"again": claim("greater", "cheap", "base", level=0.001, looks=LOOKS)}
    named = next_runs(open_claims(both, data), data, seconds)
    assert {name for step in named for name in step.chances} == {"again"}


def test_a_replicate_costs_what_its_stages_took_times_their_threads():
    def run(t, seconds, replicates, threads=1):
        stage = {"experiment": "e", "method": "m", "T": 2, "t": t, "replicates": replicates}
        return stage | {"seconds": seconds, "threads": threads}

    runs = [run(1, 10.0, [0, 1]), run(2, 30.0, [0, 1]), run(1, 5.0, [2], 4), run(2, 5.0, [2], 4)]
    assert seconds_of_a_replicate(runs) == {chain("m"): pytest.approx(80 / 3)}


def test_confirmatory_evidence_begins_with_its_first_replicate(monkeypatch):
    from test_looks import history

    rng = np.random.default_rng(0)
    a = 0.9 + np.concatenate([rng.normal(0, 0.01, 5), spread(0.01, 0.006)])
    data = records(a=a, b=np.full(10, 0.9))
    one = {"c": claim("greater", "a", "b", looks=LOOKS, evidence="confirmatory", level=0.02)}
    (step, *_) = next_runs(
        open_claims(one, data, history()), data, {chain("a"): CHEAP, chain("b"): CHEAP}
    )
    assert step.replicates[chain("a")] == (10, 11, 12, 13, 14), "the look at 10 of those from 5 on"
    assert isinstance(history().statement("c"), Statement) and group("a").T == 2 and ANY["by"] == 0
