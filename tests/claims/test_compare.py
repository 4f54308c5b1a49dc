"""Comparing groups of records from the command line, against scipy and pandas."""

import io

import pandas as pd
import pytest
from made_studies import Shape, made_frames
from scipy import stats

from incbayes.claims.compare import ComparisonError, compare, group_named
from incbayes.cli.main import main
from incbayes.results.collect import CollectError, write_records
from incbayes.study.model import Group

RECORDS = made_frames(Shape(methods=3, experiments=2, parts=(1, 3), replicates=4, layers=1)).records


def values(metric="accuracy", experiment="e0", predictor="predictive", split="test", **keys):
    """Return the metric of a stage by replicate."""
    wanted = {"metric": metric, "experiment": experiment, "predictor": predictor, "split": split}
    found = RECORDS
    for column, value in (wanted | keys).items():
        found = found[found[column] == value]
    return found.set_index("replicate")["value"].sort_index()


def test_differences_are_those_of_a_paired_t_test():
    table = compare(RECORDS, ["e0.m0.T3", "e0.m1.T3", "e0.m2.T1"], "nll")
    assert list(table["beside"]) == ["e0.m1.T3", "e0.m2.T1"]
    first = values("nll", method="m0", T=3, t=3)
    for row, other in zip(table.itertuples(), [("m1", 3), ("m2", 1)], strict=True):
        second = values("nll", method=other[0], T=other[1], t=other[1])
        test = stats.ttest_rel(first, second)
        low, high = test.confidence_interval(0.95)
        assert (row.mean, row.mean_beside) == pytest.approx((first.mean(), second.mean()))
        assert row.difference == pytest.approx((first - second).mean())
        assert (row.low, row.high, row.n) == (pytest.approx(low), pytest.approx(high), 4)


def test_only_shared_replicates_count_also_in_the_means():
    lacking = (RECORDS["method"] == "m1") & (RECORDS["replicate"] == 0)
    (row,) = compare(RECORDS[~lacking], ["e0.m0.T3", "e0.m1.T3"], "accuracy").itertuples()
    assert row.n == 3
    assert row.mean == pytest.approx(values(method="m0", T=3, t=3)[1:].mean())


@pytest.mark.parametrize(
    "name, keys",
    [
        ("e0.m0.T3", {"t": 3}),
        ("e0.m0.T3.t02", {"t": 2}),
        ("e0.m0.T3.mean", {"t": 3, "predictor": "mean"}),
        ("e0.m0.T3.part_01.t2", {"t": 2, "split": "part_01"}),
    ],
)
def test_a_name_may_go_on_to_stage_split_and_predictor(name, keys):
    usual = {"experiment": "e0", "method": "m0", "T": 3, "split": "test", "predictor": "predictive"}
    assert group_named(name) == Group(**(usual | keys))


SPLITS = ("test", "part_01", "shift_c.mean", "shift_c.fog_3", "shift_noise_2")


@pytest.mark.parametrize(
    "name, keys",
    [
        ("e0.m0.T3.shift_c.mean", {"split": "shift_c.mean"}),
        ("e0.m0.T3.shift_c.mean.mean", {"split": "shift_c.mean", "predictor": "mean"}),
        ("e0.m0.T3.mean.shift_c.fog_3.t1", {"split": "shift_c.fog_3", "predictor": "mean", "t": 1}),
        ("e0.m0.T3.shift_noise_2.mean", {"split": "shift_noise_2", "predictor": "mean"}),
    ],
)
def test_a_split_of_the_records_may_have_a_dot(name, keys):
    usual = {"experiment": "e0", "method": "m0", "T": 3, "t": 3, "predictor": "predictive"}
    assert group_named(name, SPLITS) == Group(**(usual | keys))


@pytest.mark.parametrize(
    "words, says",
    [
        ("t05.t03", "says two stages, t05 and t03; one at most"),
        ("t05.mean.t05", "says two stages, t05 and t05"),
        (
            "part_01.test",
            "says two splits, part_01 and test; one at most; splits: part_01, shift_c",
        ),
        ("shift_c.fog_9", "says two splits, shift_c and fog_9; one at most; splits: part_01,"),
        ("mean.predictive", "says two predictors, mean and predictive"),
    ],
)
def test_a_name_that_says_one_thing_twice_is_refused(words, says):
    with pytest.raises(ComparisonError, match=f"e0.m0.T3.{words}: {says}"):
        group_named(f"e0.m0.T3.{words}", SPLITS)


def test_a_split_with_a_dot_is_compared(tmp_path):
    renamed = RECORDS.replace({"split": {"part_01": "shift_c.mean"}})
    groups = [f"e0.{method}.T3.shift_c.mean.mean" for method in ("m1", "m2")]
    (row,) = compare(renamed, groups, "accuracy").itertuples()
    keys = {"T": 3, "t": 3, "split": "part_01", "predictor": "mean"}
    first, second = (values(method=method, **keys) for method in ("m1", "m2"))
    assert row.difference == pytest.approx((first - second).mean()) != 0


@pytest.mark.parametrize(
    "name", ["", "e0", "e0.m0", "e0.m0.3", "e0..T3", "e0.m0.Tx", "e0.m0.T3.", "e0.m0.T3..mean"]
)
def test_a_misnamed_group_is_refused_by_its_name(name):
    with pytest.raises(ComparisonError, match="expected EXPERIMENT.METHOD.T10"):
        group_named(name)


@pytest.fixture
def file(tmp_path):
    write_records(RECORDS, tmp_path / "metrics.csv")
    return str(tmp_path / "metrics.csv")


def test_a_line_a_comparison_and_metric_or_a_csv_of_all_digits(file, capsys):
    assert main(["compare", file, "e0.m0.T3", "e0.m1.T3", "e0.m2.T3"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in lines] == ["accuracy"] * 2 + ["nll"] * 2
    mean = values(method="m0", T=3, t=3).mean()
    assert lines[0].startswith(f"accuracy: e0.m0.T3 {mean:.4f} minus e0.m1.T3 ")
    assert " ± " in lines[0] and lines[0].endswith(", n = 4")
    assert main(["compare", file, "e0.m0.T3", "e0.m1.T3", "--metric", "nll", "--csv"]) == 0
    printed = pd.read_csv(io.StringIO(capsys.readouterr().out))
    pd.testing.assert_frame_equal(printed, compare(RECORDS, ["e0.m0.T3", "e0.m1.T3"], "nll"))


def test_equal_differences_have_no_interval(file, capsys):
    assert main(["compare", file, "e0.m0.T3", "e0.m0.T3", "--metric", "nll"]) == 0
    assert capsys.readouterr().out.endswith("= +0.0000 in each replicate, n = 4\n")


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["e0.m0.T3", "e0.m9.T3"], "no accuracy of e0 m9 T=3 t=3 among the records"),
        (["e0.m0.T3", "e9.m0.T3"], "no records of e9"),
        (["e0.m0", "e0.m1.T3"], "e0.m0: expected EXPERIMENT.METHOD.T10"),
    ],
)
def test_what_cannot_be_compared_ends_in_one_line(arguments, message, file, capsys):
    assert main(["compare", file, *arguments]) == 1
    assert capsys.readouterr().err.count("\n") == 1
    main(["compare", file, *arguments])
    assert message in capsys.readouterr().err


def test_a_file_that_is_not_there_ends_in_one_line(tmp_path, capsys):
    assert main(["compare", str(tmp_path / "metrics.csv"), "e0.m0.T3", "e0.m1.T3"]) == 1
    assert "metrics.csv" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["metrics.csv", "metrics.parquet"])
def test_a_replicate_counts_once_whatever_its_budget(name, tmp_path, capsys):
    again = RECORDS.assign(budget="another", value=RECORDS["value"] / 2)
    write_records(pd.concat([RECORDS, again]), tmp_path / name)
    assert main(["compare", str(tmp_path / name), "e0.m0.T3", "e0.m1.T3"]) == 1
    said = capsys.readouterr().err
    assert f"{name}: two values for study made, experiment e0, method m0" in said


def test_two_records_of_a_replicate_are_refused_in_a_frame():
    double = pd.concat([RECORDS, RECORDS.assign(value=0.5)])
    with pytest.raises(CollectError, match="e0 m0 T=3 t=3: two values of accuracy for replicate 0"):
        compare(double, ["e0.m0.T3", "e0.m1.T3"], "accuracy")


@pytest.mark.parametrize("key", ["study", "budget"])
@pytest.mark.parametrize("of", ["replicates", "a group"])
def test_groups_are_of_one_study_and_budget(key, of):
    other = {"replicates": RECORDS["replicate"] > 1, "a group": RECORDS["method"] == "m1"}[of]
    mixed = RECORDS.assign(**{key: RECORDS[key].mask(other, "another")})
    usual = RECORDS[key].iloc[0]
    both = f"another and {usual}" if of == "replicates" else "another"
    with pytest.raises(ComparisonError, match=f"more than one {key}: .*e0.m1.T3 of {both}"):
        compare(mixed, ["e0.m0.T3", "e0.m1.T3"], "nll")
