"""Metrics from outside the library: what a study may name, and what is said of what it may not."""

import pytest
from bad_studies import refusal
from small_study import changed

from incbayes.metrics.named import metric_of, metrics_with
from incbayes.study.resolve import resolve_study

CODE = """
from incbayes.metrics.base import Metric

COUNT = Metric(lambda predicted, truth, bins: float(len(truth)), "count", "Count", "greater")
NO_METRIC = 1
"""
COUNT = "file:counts.py:COUNT"


@pytest.fixture(autouse=True)
def counts(tmp_path, monkeypatch):
    (tmp_path / "counts.py").write_text(CODE)
    (tmp_path / "broken.py").write_text("import nothing_of_that_name\nCOUNT = 1\n")
    monkeypatch.chdir(tmp_path)


def study(*names):
    return changed(("evaluation.metrics", list(names)))


def test_a_metric_of_a_file_stands_beside_those_of_the_library():
    names = resolve_study(study(COUNT)).evaluation.metrics
    found = metrics_with(names)
    assert [*found][-1] == COUNT and {"accuracy", "nll"} < set(found)
    assert found[COUNT](None, [0, 1, 2], 15) == 3
    assert metric_of(COUNT).heading == "Count"


def test_the_metric_of_records_whose_file_is_gone_is_written_as_it_is(tmp_path):
    (tmp_path / "counts.py").unlink()
    assert metric_of(COUNT).heading == COUNT


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["accuracy"], "evaluation.metrics[0]: 'accuracy' is one of the library's, computed in"),
        ([COUNT, COUNT], f"evaluation.metrics[1]: '{COUNT}' is given twice"),
        (["count"], "evaluation.metrics[0]: unknown metric 'count'"),
        (["file:gone.py:COUNT"], "evaluation.metrics[0]: file:gone.py: no such file"),
        (["file:counts.py:NO"], "evaluation.metrics[0]: file:counts.py: defines no NO"),
        (["file:counts.py:NO_METRIC"], "a int, and no incbayes.metrics.base.Metric"),
        (["file:broken.py:COUNT"], "evaluation.metrics[0]: the metric file:broken.py:COUNT cannot"),
    ],
)
def test_what_is_no_metric_is_refused_with_its_place(names, said):
    assert said in refusal(study(*names))
