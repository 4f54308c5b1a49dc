"""Figures of what a method knows of its own errors: their numbers, references and axes."""

import pytest
from drawn_figures import SHAPES, draw, frames_of
from made_studies import Shape, made_context, made_frames
from matplotlib.axes import Axes

from incbayes.figures import style
from incbayes.figures.risk_coverage import COVERAGES
from incbayes.figures.write import draw_figure, figure_numbers
from incbayes.kinds import FIGURES
from incbayes.results.frames import Frames

NEW = ("risk_coverage", "outliers", "shifts", "uncertainty_by_stage")


def last_of(metric, split, chain, shape="usual"):
    """Return the predictive records of a chain's last stage, by replicate."""
    records = frames_of(shape).records
    experiment, method, parts = chain
    wanted = {"metric": metric, "split": split, "experiment": experiment, "method": method}
    wanted |= {"T": parts, "t": parts, "predictor": "predictive"}
    for column, value in wanted.items():
        records = records[records[column] == value]
    return records.set_index("replicate")["value"]


def rows_of(data, **wanted):
    for column, value in wanted.items():
        data = data[data[column] == value]
    return data


@pytest.mark.parametrize("coverage", [50, 90, 100])
def test_risk_is_the_error_at_a_coverage_and_its_difference_is_paired(coverage):
    _, data = draw("risk_coverage", "usual")
    experiment = data["experiment"].iloc[0]
    first, second = list(dict.fromkeys(data["method"]))[:2]
    metric = next(name for name, at in COVERAGES.items() if at == coverage)
    ours = last_of(metric, "test", (experiment, second, 3))
    theirs = last_of(metric, "test", (experiment, first, 3))
    rows = rows_of(data, experiment=experiment, method=second, coverage=coverage)
    assert rows["mean"].iloc[0] == pytest.approx(100 * (1 - ours).mean())
    assert rows["mean_difference"].iloc[0] == pytest.approx(100 * (theirs - ours).mean())


def test_a_line_of_risk_joins_means_over_the_same_replicates():
    frames, context = frames_of("usual"), made_context(SHAPES["usual"])
    of_selection = frames.records["metric"].str.startswith("accuracy_at")
    method, replicate = frames.records["method"], frames.records["replicate"]
    lacking = of_selection & ((method == "m0") | ((method == "m1") & (replicate > 1)))
    changed = Frames(frames.records[~lacking], frames.training, frames.calibration)
    data = figure_numbers("risk_coverage", changed, context)
    counts = {name: set(rows["n"]) for name, rows in data.groupby("method")}
    assert counts == {"m1": {2}, "m2": {4}}
    assert set(data["reference"]) == {"m1"}, "the first that has the numbers"
    rows = rows_of(data, experiment="e0", method="m1", coverage=100)
    kept = last_of("accuracy", "test", ("e0", "m1", 3))[[0, 1]]
    assert rows["mean"].iloc[0] == pytest.approx(100 * (1 - kept).mean())


def test_outliers_are_compared_with_the_first_method_that_has_the_number():
    _, data = draw("outliers", "usual")
    first, second, _ = dict.fromkeys(data["method"])
    for measure, reference in (("entropy", first), ("information", second)):
        assert set(rows_of(data, measure=measure)["reference"]) == {reference}
    experiment = data["experiment"].iloc[0]
    rows = rows_of(data, experiment=experiment, method=second, split="outliers_rotated")
    exact = last_of("auroc_entropy", "outliers_rotated", (experiment, second, 3)).mean()
    assert rows_of(rows, measure="entropy")["mean"].iloc[0] == pytest.approx(exact)


def test_shifts_begin_with_the_test_images_as_they_are():
    _, data = draw("shifts", "usual")
    experiment, method = data[["experiment", "method"]].iloc[0]
    for shift, levels in (("rotation", range(0, 181, 30)), ("gaussian_noise", range(6))):
        rows = rows_of(data, experiment=experiment, method=method, shift=shift, metric="nll")
        assert sorted(set(rows["level"])) == list(levels)
        for level in (0, levels[-1]):
            split = f"shift_{shift}_{level}" if level else "test"
            exact = last_of("nll", split, (experiment, method, 3)).mean()
            assert rows_of(rows, level=level)["mean"].iloc[0] == pytest.approx(exact)


def test_uncertainty_of_test_images_and_outliers_has_one_scale():
    figure, data = draw("uncertainty_by_stage", "usual")
    assert set(data["split"]) == {"test", "outliers_rotated", "outliers_fashion_mnist"}
    panels = [ax for ax in figure.findobj(Axes) if "entropy" in ax.get_ylabel()]
    assert len(panels) == 2 * 3
    assert len({ax.get_ylim() for ax in panels[:3]}) == 1


@pytest.mark.parametrize("share", [1.0, 0.2])
@pytest.mark.parametrize("name", [*NEW, "stages"])
def test_every_replicate_that_is_drawn_is_within_its_axis(name, share):
    frames, context = frames_of("small"), made_context(SHAPES["small"])
    second = (frames.records["method"] == "m1") & (frames.records["replicate"] == 1)
    value = frames.records["value"]
    records = frames.records.assign(value=value.mask(second, share * value))
    changed = Frames(records, frames.training, frames.calibration)
    with style.theme():
        data = figure_numbers(name, changed, context)
        figure = draw_figure(name, data, context)
    drawn = 0
    for ax in figure.findobj(Axes):
        low, high = ax.get_ylim()
        for line in ax.lines:
            if line.get_gid() == "replicate":
                values = line.get_ydata()
                assert low <= min(values) and max(values) <= high
                drawn += len(values)
    assert drawn


@pytest.mark.parametrize("name", NEW)
def test_a_study_without_such_records_leaves_the_figure_out(name):
    shape = Shape(methods=2, experiments=1, parts=(1, 2), replicates=2)
    frames = made_frames(shape)
    plain = frames.records["metric"].isin(["accuracy", "nll", "brier", "ece"])
    plain &= ~frames.records["split"].str.match("outliers_|shift_")
    context = made_context(shape)
    before = Frames(frames.records[plain], frames.training, frames.calibration)
    data = figure_numbers(name, before, context)
    assert FIGURES[name].lacking(data, context)
    assert draw_figure(name, data, context).findobj(Axes) == []
