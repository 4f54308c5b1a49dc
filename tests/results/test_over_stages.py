"""Metrics over all stages of a chain, made of the records of each stage."""

import numpy as np
import pandas as pd
import pytest

from incbayes.claims.compare import compare
from incbayes.claims.examine import examine
from incbayes.kinds import METRICS
from incbayes.metrics.base import Metric
from incbayes.results.over_stages import records_of
from incbayes.results.records import RECORD_COLUMNS
from incbayes.study.model import Claim, Group
from incbayes.study.model.base import KindSpec

OF_STAGES = sorted(name for name, metric in METRICS.items() if metric.of == "stages")
ACCURACIES = {
    ("a", 0): [0.90, 0.95, 0.97],
    ("a", 1): [0.91, 0.94, 0.98],
    ("b", 0): [0.80, 0.95, 0.99],
    ("b", 1): [0.85, 0.93, 0.99],
}
"""After each of three stages, by method and replicate."""


def record(method, replicate, t, **others):
    usual = {
        "study": "s", "experiment": "e", "method": method, "family": "point", "T": 3, "t": t,
        "replicate": replicate, "split": "test", "predictor": "predictive", "metric": "accuracy",
        "budget": "full",
    }  # fmt: skip
    return usual | others


def records(accuracies=ACCURACIES):
    """Return records as they may come: of other images and metrics, too, and in any order."""
    rows = [
        record(*chain, t, **({"value": value} | others))
        for chain, values in accuracies.items()
        for t, value in enumerate(values, 1)
        for others in (
            {},
            {"split": "part_01", "value": value / 2},
            {"predictor": "mean", "value": value / 3},
            {"metric": "nll", "value": 1 - value / 4},
        )
    ]
    return pd.DataFrame(rows, columns=list(RECORD_COLUMNS)).sample(frac=1, random_state=0)


def of_test(found, method, replicate):
    chosen = (found["method"] == method) & (found["replicate"] == replicate)
    chosen &= (found["split"] == "test") & (found["predictor"] == "predictive")
    return found[chosen].set_index("t")["value"].sort_index()


@pytest.mark.parametrize("name", OF_STAGES)
def test_a_metric_over_stages_is_of_one_that_a_stage_has(name):
    assert METRICS[METRICS[name].by_stage].of == "classes"
    assert not METRICS[name].everywhere


def test_the_cumulative_error_is_the_sum_of_the_error_rates():
    found = records_of(records(), "cumulative_error")
    assert set(found["metric"]) == {"cumulative_error"}
    assert list(of_test(found, "a", 0)) == pytest.approx([0.10, 0.15, 0.18], abs=1e-15)
    for (method, replicate), accuracies in ACCURACIES.items():
        wrong = 1 - np.array(accuracies, dtype=np.float64)
        assert list(of_test(found, method, replicate)) == pytest.approx(
            [wrong[:t].sum() for t in (1, 2, 3)], abs=1e-15
        )


def test_images_and_predictors_are_never_summed_together():
    found = records_of(records(), "cumulative_error")
    assert len(found) == len(ACCURACIES) * 3 * 3
    means = found[(found["predictor"] == "mean") & (found["t"] == 3)].set_index(
        ["method", "replicate"]
    )["value"]
    for chain, accuracies in ACCURACIES.items():
        assert means[chain] == pytest.approx(3 - sum(accuracies) / 3)


@pytest.mark.parametrize("missing, left", [(1, []), (2, [1]), (3, [1, 2])])
def test_behind_a_stage_that_is_missing_there_is_no_sum(missing, left):
    whole = records()
    found = records_of(whole[whole["t"] != missing], "cumulative_error")
    assert sorted(set(found["t"])) == left


def test_of_no_records_there_are_none_and_one_stage_is_as_it_was():
    assert records_of(records().iloc[:0], "cumulative_error").empty
    one = records_of(records(), "nll")
    assert set(one["metric"]) == {"nll"}
    assert len(one) == len(records()) / 4


def test_a_claim_compares_the_sums_of_the_same_replicates():
    claim = Claim(
        sentence="The first errs less over all stages.",
        metric="cumulative_error",
        relation=KindSpec("less", {"by": 0.0, "reason": "any difference"}),
        groups=tuple(Group(experiment="e", method=m, T=3, t=3) for m in ("a", "b")),
        figure=None,
    )
    found = examine(claim, records())
    assert list(found.values[0]) == pytest.approx([0.18, 0.17])
    assert found.comparisons[0].evidence.effect == pytest.approx(((0.18 - 0.26) + 0.17 - 0.23) / 2)
    assert found.comparisons[0].on_other_images is None
    lost = records()[lambda rows: (rows["t"] != 2) | (rows["replicate"] != 1)]
    assert "1 replicate of" in examine(claim, lost).lack


def test_the_command_that_compares_knows_it():
    (row,) = compare(records(), ["e.a.T3", "e.b.T3"], "cumulative_error").itertuples()
    assert (row.mean, row.mean_beside, row.n) == (pytest.approx(0.175), pytest.approx(0.245), 2)
    (row,) = compare(records(), ["e.a.T3.t02", "e.b.T3.t02"], "cumulative_error").itertuples()
    assert row.mean == pytest.approx(0.15)


def test_a_metric_of_a_file_may_be_over_stages(monkeypatch):
    late = Metric(
        lambda values, truth, bins: float(values.min()),
        title="least NLL", heading="Least NLL", better="less", of="stages", by_stage="nll",
    )  # fmt: skip
    monkeypatch.setattr("incbayes.results.over_stages.metric_of", {"late": late}.__getitem__)
    found = records_of(records(), "late")
    assert list(of_test(found, "b", 0)) == pytest.approx([0.8, 1 - 0.95 / 4, 1 - 0.99 / 4])
