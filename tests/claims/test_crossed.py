"""Intervals over replicates and images: against statsmodels, and how often they cover."""

import numpy as np
import pandas as pd
import pytest
from known_claims import claim, group, records

from incbayes.claims import paired
from incbayes.claims.crossed import crossed_interval
from incbayes.claims.images import ImageEvidence
from incbayes.claims.ledger import judge, write_ledger
from incbayes.kinds import METRICS
from incbayes.results.evidence import Evidence, EvidenceError, evidence_identity

IMAGES = 60


def drawn(rng, replicates, images, spreads):
    """Return differences [R, N] around 0, with skewed effects of images."""
    of_replicates, of_images, rest = spreads
    return (
        of_replicates * rng.normal(size=(replicates, 1))
        + of_images * (rng.standard_exponential(images) - 1)
        + rest * rng.normal(size=(replicates, images))
    )


def test_the_squared_error_is_the_sum_of_mean_squares_of_statsmodels():
    import statsmodels.api as sm
    from scipy import stats
    from statsmodels.formula.api import ols

    table = drawn(np.random.default_rng(1), 4, 12, (0.5, 1, 1))
    rows = pd.DataFrame(table).stack().rename_axis(["r", "i"]).rename("y").reset_index()
    found = sm.stats.anova_lm(ols("y ~ C(r) + C(i)", rows).fit())["mean_sq"]
    a = found["C(r)"] / table.size
    b = (found["C(i)"] - found["Residual"]) / table.size
    assert b > 0
    half = np.sqrt(stats.t.ppf(0.975, 3) ** 2 * a + stats.t.ppf(0.975, 11) ** 2 * b)
    low, high = crossed_interval(table)
    assert (low, high) == pytest.approx((table.mean() - half, table.mean() + half))


@pytest.mark.parametrize("replicates", [2, 3, 10])
def test_it_is_never_narrower_than_the_interval_over_replicates(replicates):
    rng = np.random.default_rng(replicates)
    for spreads in ((1, 0, 0.1), (0.1, 1, 1), (0, 0, 1)):
        for _ in range(30):
            table = drawn(rng, replicates, IMAGES, spreads)
            low, high = crossed_interval(table)
            least, most = paired.interval(table.mean(1))
            assert low <= least + 1e-12 and most - 1e-12 <= high


@pytest.mark.parametrize("replicates", [3, 5, 20])
@pytest.mark.parametrize(
    "spreads", [(1.0, 1.0, 1.0), (0.02, 1.0, 1.0), (1.0, 0.1, 1.0), (0.0, 0.0, 1.0)]
)
def test_it_covers_the_truth_where_images_and_replicates_are_drawn_anew(replicates, spreads):
    """95 % nominally: within what 1,000 tables can tell below, and not by being wide for ever."""
    rng = np.random.default_rng(2007)
    # Effects of replicates of the size at which both matter for the mean of so many images.
    scaled = (spreads[0] * np.sqrt(replicates / IMAGES), *spreads[1:])
    ends = np.array([crossed_interval(drawn(rng, replicates, IMAGES, scaled)) for _ in range(1000)])
    covers = ((ends[:, 0] <= 0) & (ends[:, 1] >= 0)).mean()
    assert 0.925 <= covers <= 0.99, covers


def test_an_interval_over_replicates_alone_does_not_cover_on_other_images():
    rng = np.random.default_rng(2018)
    tables = [drawn(rng, 5, IMAGES, (0.02, 1.0, 0.5)) for _ in range(300)]
    ends = np.array([paired.interval(table.mean(1)) for table in tables])
    assert ((ends[:, 0] <= 0) & (ends[:, 1] >= 0)).mean() < 0.7


# ---- In a ledger ----

RNG = np.random.default_rng(3)
HARD = RNG.random(400) < 0.1


def evidence(method, error, replicates=range(4), images="0" * 64, count=400):
    """Return made evidence: hard images are missed by all, others with a chance of `error`."""
    rng = np.random.default_rng(len(method))
    wrong = HARD[:count] | (rng.random((len(replicates), count)) < error)
    log_p = np.where(wrong, -2.0, -0.1)
    frame = pd.DataFrame(
        {
            "replicate": np.repeat(list(replicates), count),
            "image": np.tile(np.arange(count), len(replicates)),
            "label": 1,
            "predicted": np.where(wrong, 0, 1).ravel(),
            "log_probability": log_p.ravel(),
        }
    )
    stage = {"study": "s", "experiment": "e", "method": method, "family": "ffg", "T": 2, "t": 2}
    stage |= {"replicates": list(replicates)}
    return Evidence(evidence_identity(stage, "test", "classes", images), frame)


def accuracies(of):
    """Return the accuracies that evidence gives, by method and replicate."""
    return {
        method: 1 - (found.frame["predicted"] != 1).groupby(found.frame["replicate"]).mean()
        for method, found in of.items()
    }


def ledger(of, groups=("good", "poor"), relation="greater", **keys):
    """Return the entry of a claim, of made evidence by method."""
    readers = {("e", method, 2): [lambda found=found: found] for method, found in of.items()}
    claims = {"c": claim(relation, *groups, **keys)}
    return judge(claims, records(**accuracies(of)), False, evidence=ImageEvidence(readers))[0]


def test_the_ledger_has_both_intervals_and_the_verdict_is_by_the_first(tmp_path):
    of = {"good": evidence("good", 0.0), "poor": evidence("poor!", 0.1)}
    entry = ledger(of)
    (comparison,) = entry["comparisons"]
    over_both, over_replicates = comparison["on_other_images"], comparison["evidence"]
    assert over_both["images"] == 400
    assert over_both["low"] < over_replicates["low"] < over_replicates["high"] < over_both["high"]
    without = judge(
        {"c": claim("greater", "good", "poor")},
        records(**accuracies(of)),
        False,
    )[0]
    assert without["comparisons"][0]["on_other_images"] is None
    assert {k: v for k, v in entry.items() if k != "comparisons"} == {
        k: v for k, v in without.items() if k != "comparisons"
    }
    write_ledger([entry], tmp_path / "claims.json", tmp_path / "claims.csv")
    row = pd.read_csv(tmp_path / "claims.csv").loc[0]
    assert row["images"] == 400 and row["low_other_images"] == over_both["low"]
    assert row["high_other_images"] == over_both["high"]


def test_a_group_beside_a_constant_has_an_interval_over_its_own_images():
    of = {"good": evidence("good", 0.05)}
    (comparison,) = ledger(of, ("good", 0.8))["comparisons"]
    found, effect = comparison["on_other_images"], comparison["evidence"]["effect"]
    assert found["high"] - effect == pytest.approx(effect - found["low"])
    assert found["high"] - found["low"] > 2 * 1.96 * np.sqrt(0.09 / 400) * 0.9, "of the images"


def test_so_has_one_that_a_constant_comes_before():
    of = {"good": evidence("good", 0.05), "poor": evidence("poor!", 0.3)}
    above, below = ledger(of, ("good", 0.8, "poor"), relation="ordered")["comparisons"]
    alone = ledger(of, ("poor", 0.8))["comparisons"][0]["on_other_images"]
    assert below["on_other_images"] == {
        "images": 400,
        "low": pytest.approx(-alone["high"], abs=1e-12),
        "high": pytest.approx(-alone["low"], abs=1e-12),
    }
    assert above["on_other_images"]["high"] > above["evidence"]["effect"]


@pytest.mark.parametrize(
    ("change", "groups"),
    [
        ({"replicates": range(3)}, None),
        ({"images": "1" * 64}, None),
        ({"count": 300}, None),
        ({}, (group("good", predictor="mean"), "poor")),
        ({}, (group("good", t=1), "poor")),
        ({}, (group("good", split="part_01"), "poor")),
    ],
    ids=["replicate", "images", "fewer images", "mean", "stage", "split"],
)
def test_without_evidence_of_all_that_is_compared_there_is_no_such_interval(change, groups):
    of = {"good": evidence("good", 0.0), "poor": evidence("poor!", 0.1, **change)}
    rest = {key: value for key, value in change.items() if key != "replicates"}
    table = records(**accuracies({"good": of["good"], "poor": evidence("poor!", 0.1, **rest)}))
    for column, value in (("predictor", "mean"), ("t", 1), ("split", "part_01")):
        table = pd.concat([table, table.query("method == 'good' ").assign(**{column: value})])
    readers = {("e", method, 2): [lambda found=found: found] for method, found in of.items()}
    entry = judge(
        {"c": claim("greater", *(groups or ("good", "poor")))},
        table.drop_duplicates(),
        False,
        evidence=ImageEvidence(readers),
    )[0]
    (comparison,) = entry["comparisons"]
    assert comparison["evidence"]["n"] == 4 and comparison["on_other_images"] is None


def test_metrics_that_are_means_over_images_say_so():
    assert {name for name, metric in METRICS.items() if metric.of_image} == {
        "accuracy",
        "nll",
        "nlpd",
        "brier",
    }


@pytest.mark.parametrize("lacking", [(), (3,), range(4)], ids=["all", "one", "none"])
def test_a_brier_score_that_was_not_kept_of_all_gives_no_such_interval(lacking):
    of = {"good": evidence("good", 0.0), "poor": evidence("poor!", 0.1)}
    for found in of.values():
        found.frame["brier"] = 2 * (1 - np.exp(found.frame["log_probability"])) ** 2
    scores = {
        method: found.frame.groupby("replicate")["brier"].mean() for method, found in of.items()
    }
    poor = of["poor"].frame
    poor.loc[poor["replicate"].isin(lacking), "brier"] = np.nan
    readers = {("e", method, 2): [lambda found=found: found] for method, found in of.items()}
    stated = {"c": claim("less", "good", "poor", metric="brier")}
    table = records(**scores).assign(metric="brier")
    (comparison,) = judge(stated, table, False, evidence=ImageEvidence(readers))[0]["comparisons"]
    assert comparison["evidence"]["n"] == 4
    assert (comparison["on_other_images"] is None) == bool(lacking)


def test_evidence_that_does_not_give_the_metric_of_the_records_is_refused():
    of = {"good": evidence("good", 0.0), "poor": evidence("poor!", 0.1)}
    readers = {("e", method, 2): [lambda found=found: found] for method, found in of.items()}
    table = records(good=[0.9, 0.91, 0.92, 0.93], poor=[0.8, 0.82, 0.81, 0.84])
    with pytest.raises(EvidenceError, match="its accuracy of replicate 0 is not that of the rec"):
        judge(
            {"c": claim("greater", "good", "poor")}, table, False, evidence=ImageEvidence(readers)
        )
