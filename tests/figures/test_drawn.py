"""What figures draw: marks, interval ends, colours, cells, and which figures are left out."""

import dataclasses
from functools import cache

import numpy as np
import pandas as pd
import pytest
from made_studies import EPOCHS, Shape, made_context, made_frames
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection, QuadMesh
from matplotlib.colors import to_hex
from scipy import stats

from incbayes.figures import kl_and_scale, style, training
from incbayes.figures.intervals import (
    DERIVED,
    differences_of,
    drawn_interval,
    with_differences,
)
from incbayes.figures.reliability import FADED, FEW
from incbayes.figures.write import draw_figure, figure_numbers, write_figure, written_figure
from incbayes.kinds import FIGURES, METRICS
from incbayes.results.frames import Frames
from incbayes.results.intervals import FEWEST
from incbayes.results.paired import paired_differences

SHAPES = {
    "usual": Shape(methods=3, experiments=2, parts=(1, 4), replicates=4, layers=3),
    "two": Shape(methods=3, experiments=1, parts=(1, 4), replicates=2, layers=2),
    "one": Shape(methods=2, experiments=1, parts=(1, 4), replicates=1, layers=2),
    "alone": Shape(methods=1, experiments=1, parts=(1, 4), replicates=4, points_only=True),
    "at once": Shape(methods=2, experiments=1, parts=(1,), replicates=4, layers=2),
    "points": Shape(methods=1, experiments=1, parts=(1,), replicates=1, points_only=True),
    "crowd": Shape(methods=26, experiments=1, parts=(1, 2), replicates=2, layers=1),
}
WITH_INTERVALS = ("accuracy_by_parts", "stages")
LEFT_OUT = {
    "points": {"stages", "forgetting", "kl_and_scale", "uncertainty_by_stage"},
    "at once": {"stages", "forgetting", "uncertainty_by_stage"},
    "usual": set(),
}


@cache
def draw(name: str, shape: str):
    """Return the picture and its numbers."""
    context = made_context(SHAPES[shape])
    data = figure_numbers(name, made_frames(SHAPES[shape]), context)
    with style.theme():
        return draw_figure(name, data, context), data


def lines(figure, gid: str, axes=None):
    """Return the lines with this id."""
    found = figure.findobj(Axes) if axes is None else axes
    return [line for ax in found for line in ax.lines if line.get_gid() == gid]


def across(line) -> bool:
    """Return whether an interval lies along x."""
    return line.get_ydata()[0] == line.get_ydata()[1]


@pytest.mark.parametrize("shape", LEFT_OUT)
@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_without_content_is_left_out_and_says_why(name, shape, tmp_path):
    context = made_context(SHAPES[shape])
    numbers = figure_numbers(name, made_frames(SHAPES[shape]), context)
    file = write_figure(name, numbers, context, tmp_path, ["svg"])
    assert bool(file.reason) == (name in LEFT_OUT[shape])
    assert file == written_figure(name, tmp_path, context)
    assert not file.reason or file.reason.endswith(".")


@pytest.mark.parametrize("name", WITH_INTERVALS)
@pytest.mark.parametrize("shape", ["one", "two"])
def test_of_fewer_than_three_each_replicate_is_drawn_and_no_interval(name, shape):
    figure, data = draw(name, shape)
    assert not lines(figure, "interval")
    drawn = [value for line in lines(figure, "replicate") for value in np.ravel(line.get_data())]
    for column in ("value", "difference"):
        rows = data if column == "value" else data[data["method"] != data["reference"]]
        for value in rows[column]:
            assert np.isclose(drawn, value).any()


@pytest.mark.parametrize("name", WITH_INTERVALS)
def test_intervals_are_those_of_the_numbers_within_range_and_axis(name):
    figure, data = draw(name, "usual")
    by = ["experiment", "method", "T", *({"t", "metric"} & set(data))]
    differences = differences_of(data).drop_duplicates(by)
    expected = differences[["low", "high"]].to_numpy()
    found = lines(figure, "interval")
    ends = np.array([line.get_xdata() if across(line) else line.get_ydata() for line in found])
    limits = [
        sorted(line.axes.get_xlim() if across(line) else line.axes.get_ylim()) for line in found
    ]
    for (low, high), (bottom, top) in zip(ends, limits, strict=True):
        assert bottom <= low <= high <= top
    for low, high in expected:
        near = [
            np.isclose(max(low, bottom), end[0]) and np.isclose(min(high, top), end[1])
            for end, (bottom, top) in zip(ends, limits, strict=True)
        ]
        assert any(near)
    own = 0 if name == "stages" else len(data.drop_duplicates(by))
    assert len(found) == len(differences) + own


def test_an_interval_ends_where_the_metric_does_or_in_an_arrowhead():
    summary = pd.DataFrame({"n": [2, 3, 3], "low": [1.0, -5.0, 99.0], "high": [2.0, 50.0, 120.0]})
    low, high = drawn_interval(summary, (0.0, 100.0))
    assert np.isnan(low[0]) and np.isnan(high[0])
    assert low[1:].tolist() == [0.0, 99.0] and high[1:].tolist() == [50.0, 100.0]
    shape = SHAPES["usual"]
    frames, context = made_frames(shape), made_context(shape)
    records = frames.records.copy()
    # Of one method the replicates lie so far apart that its intervals hide all means.
    coin = (records["method"] == "m2") & (records["metric"] == "accuracy")
    records.loc[coin, "value"] = 0.9 + 0.09 * np.sign(records.loc[coin, "replicate"] - 1.5)
    changed = Frames(records, frames.training, frames.calibration)
    with style.theme():
        found = {
            name: draw_figure(name, figure_numbers(name, changed, context), context)
            for name in WITH_INTERVALS
        }
    reach = [
        end
        for ax in found["accuracy_by_parts"].findobj(Axes)
        for line in lines(None, "interval", [ax])
        for end in line.get_xdata()
        if ax.get_xlabel().startswith("accuracy")
    ]
    assert min(reach) >= 0 and max(reach) == 100
    marks = [line for ax in found["stages"].findobj(Axes) for line in ax.lines]
    for marker, end in (("v", 0), ("^", 1)):
        heads = [
            line for line in marks if line.get_marker() == marker and len(line.get_xdata()) == 1
        ]
        heads = [line for line in heads if line.get_ydata()[0] in line.axes.get_ylim()]
        assert heads and all(h.get_ydata()[0] == h.axes.get_ylim()[end] for h in heads)


@pytest.mark.parametrize("name", WITH_INTERVALS)
def test_differences_are_paired_with_the_first_method_by_hand(name):
    _, data = draw(name, "usual")
    on = ["experiment", "T", *({"t", "metric"} & set(data)), "replicate"]
    first = data[data["method"] == "m0"].set_index(on)["value"]
    assert set(data["reference"]) == {"m0"}
    for (_, method, *_), group in data.groupby(["experiment", "method", *on[1:-1]]):
        partners = first.loc[group.set_index(on).index].to_numpy()
        differences = group["value"].to_numpy() - partners
        np.testing.assert_allclose(group["difference"], differences, atol=1e-9)
        if method == "m0":
            continue
        low, high = stats.ttest_1samp(differences, 0).confidence_interval(0.95)
        row = group.iloc[0]
        found = row[["difference_low", "difference_high", "mean_difference"]].astype(float)
        np.testing.assert_allclose(found, [low, high, differences.mean()])
        assert row["pairs"] == SHAPES["usual"].replicates


def test_differences_made_anew_are_the_same_and_lack_what_the_first_method_lacks():
    _, data = draw("stages", "usual")
    again = with_differences(data, ["T", "t", "metric"])
    pd.testing.assert_frame_equal(again[[*data]], data)
    less = data[(data["method"] != "m0") | (data["T"] > 1)].drop(columns=list(DERIVED))
    found = with_differences(less, ["T", "t", "metric"])
    assert found.loc[found["T"] == 1, "difference"].isna().all()
    assert set(differences_of(found)["T"]) == {4}


def test_a_pair_has_one_partner():
    frame = pd.DataFrame({"replicate": [0, 1, 2], "value": [3.0, 4.0, 9.0]})
    base = pd.DataFrame({"replicate": [1, 0], "value": [1.0, 2.0]})
    found = paired_differences(frame, base, ["replicate"])
    assert found.to_dict("list") == {"replicate": [0, 1], "value": [1.0, 3.0]}
    twice = pd.concat([base, base])
    with pytest.raises(pd.errors.MergeError):
        paired_differences(frame, twice, ["replicate"])


def test_a_dot_a_method_and_number_of_parts_and_no_bar():
    figure, data = draw("accuracy_by_parts", "usual")
    means = data.drop_duplicates(["experiment", "method", "T"])
    differences = means[means["method"] != means["reference"]]
    assert len(lines(figure, "mean")) == len(means) + len(differences)
    assert not any(ax.patches for ax in figure.findobj(Axes))
    shown = sorted(line.get_xdata()[0] for line in lines(figure, "mean"))
    expected = [*means["mean"], *differences["mean_difference"]]
    np.testing.assert_allclose(shown, sorted(expected))


@pytest.mark.parametrize("name", ["accuracy_by_parts", "stages", "reliability", "training"])
def test_no_colour_is_used_twice_in_a_crowd(name):
    figure, data = draw(name, "crowd")
    assert data["method"].nunique() == 26 == len(set(style.PALETTE))
    palette = {colour.lower() for colour in style.PALETTE}
    drawn = {to_hex(line.get_color()) for ax in figure.findobj(Axes) for line in ax.lines}
    # The first method has no difference and is there by its values.
    assert drawn & palette == palette


def test_methods_of_one_colour_blind_look_differ_in_mark_or_dash():
    context = made_context(SHAPES["crowd"])
    looks = {
        (style.marker(method, context), str(style.line_look(method, context)["linestyle"]))
        for method in context.methods
    }
    assert len(looks) == 26


def test_a_single_method_has_its_own_intervals_over_the_stages():
    figure, data = draw("stages", "alone")
    assert len(lines(figure, "interval")) == len(data.drop_duplicates(["T", "t", "metric"]))


def test_experiments_of_one_stage_are_named_beneath_the_stages():
    shape = SHAPES["usual"]
    context = made_context(shape)
    records = made_frames(shape).records.query("experiment == 'e0' or T == 1")
    figure_of = FIGURES["stages"]
    data = figure_of.arrange(figure_of.numbers(Frames(records, None, None), context))
    with style.theme():
        figure = figure_of.draw(data, context)
    said = " ".join(text.get_text() for band in figure.subfigs for text in band.texts)
    assert "Left out, as there is one stage: Digits 1" in said


def test_every_stage_is_equally_wide_whatever_its_epochs():
    shape = SHAPES["usual"]
    frames = made_frames(shape)
    short = (frames.training["method"] == "m1") & (frames.training["epoch"] > 2)
    context = made_context(shape)
    data = figure_numbers("training", Frames(frames.records, frames.training[~short],
                                             frames.calibration), context)  # fmt: skip
    ends = data.groupby(["experiment", "method", "T", "t"])["position"].max()
    assert (ends.to_numpy() == ends.index.get_level_values("t")).all()
    assert set(data["stage_epochs"]) == {2, EPOCHS}


def test_a_thin_line_a_replicate_and_a_thick_one_for_the_median():
    figure, data = draw("training", "usual")
    stages = data.drop_duplicates(["experiment", "method", "T", "t", "quantity"])
    thick, thin = lines(figure, "median"), lines(figure, "replicate")
    assert len(thick) == len(stages) and len(thin) == 4 * len(stages)
    assert max(line.get_linewidth() for line in thin) < min(line.get_linewidth() for line in thick)
    rows = data.query("experiment == 'e0' and method == 'm1' and T == 4 and t == 2")
    rows = rows[rows["quantity"] == "nll"]
    expected = rows.groupby("epoch")["value"].median().to_numpy()
    assert any(np.array_equal(line.get_ydata(), expected) for line in thick)


def test_one_replicate_does_not_lead_the_thick_line_nor_the_axis():
    shape = SHAPES["usual"]
    frames, context = made_frames(shape), made_context(shape)
    wild = frames.training.copy()
    wild.loc[wild["replicate"] == 0, "nll"] *= 1e6
    data = figure_numbers("training", Frames(frames.records, wild, frames.calibration), context)
    with style.theme():
        figure = draw_figure("training", data, context)
    tops = [ax.get_ylim()[1] for ax in figure.findobj(Axes)]
    assert max(tops) < 1e5


def test_a_long_curve_keeps_the_ends_of_its_stages():
    rows = pd.DataFrame({"epoch": range(1, 1001)}).assign(
        experiment="e", method="m", T=2, t=1, replicate=0
    )
    found = training._thinned(rows)["epoch"].tolist()
    assert found[0] == 1 and found[-1] == 1000 and len(found) < 130


def test_numbers_published_as_means_are_drawn_as_such():
    shape = SHAPES["usual"]
    context = made_context(shape)
    data = figure_numbers("training", made_frames(shape), context)
    by = [c for c in data if c not in ("replicate", "value", "stage_epochs", "position")]
    means = data.groupby(by, sort=False)["value"].agg(["mean", "min", "max"]).reset_index()
    former = means.rename(columns={"min": "low", "max": "high"})
    both = pd.concat([former[former["method"] != "m1"], data[data["method"] == "m1"]])
    for given in (former, both):
        shown = FIGURES["training"].arrange(given)
        with style.theme():
            figure = draw_figure("training", shown, context)
        alone = shown[shown["replicate"] == training.MEAN]
        assert not {"mean", "low", "high"} & set(shown)
        assert len(alone) == (given["mean"].notna()).sum()
        said = " ".join(text.get_text() for band in figure.subfigs for text in band.texts)
        assert "mean over replicates whose own curves" in " ".join(said.split())


def test_a_cell_a_layer_and_stage_with_its_number():
    figure, data = draw("kl_and_scale", "usual")
    maps = [mesh for ax in figure.findobj(Axes) for mesh in ax.findobj(QuadMesh) if mesh.get_gid()]
    panels = data.drop_duplicates(["experiment", "method", "quantity"])
    assert len(maps) == len(panels)
    first = data.query("experiment == 'e0' and method == 'm1' and quantity == 'kl'")
    cells = np.asarray(maps[0].get_array()).reshape(4, 4)  # the network and three layers
    np.testing.assert_allclose(np.sort(cells.ravel()), np.sort(first["mean"]))
    labels = [label.get_text() for label in maps[0].axes.get_yticklabels()]
    assert labels == [kl_and_scale.WHOLE, "conv1", "conv2", "conv3"]
    names = {"conv1": "0", "conv2": "3", "conv3": "7"}
    numbered = data.assign(layer=data["layer"].replace(names))
    context = made_context(SHAPES["usual"])
    types = dict.fromkeys(context.experiments, ("conv", "conv", "dense"))
    context = dataclasses.replace(context, layer_types=types)
    with style.theme():
        figure = draw_figure("kl_and_scale", numbered, context)
    shown = [label.get_text() for ax in figure.findobj(Axes) for label in ax.get_yticklabels()]
    assert {"conv 1", "conv 2", "dense 1"} <= set(shown)
    numbers = [text.get_text() for text in maps[0].axes.texts]
    assert sorted(numbers) == sorted(kl_and_scale._number(v, "kl") for v in first["mean"])


def test_shades_fall_from_a_scale_that_stayed_and_tell_small_changes_apart():
    shade = kl_and_scale._shade(pd.Series([0.1, 0.98, 1.0]), "sigma_ratio")
    light = [shade.colours(shade.norm(value))[0] for value in (0.1, 0.5, 0.9, 0.98, 1.0, 1.2)]
    assert light[:5] == sorted(light[:5]) and light[4] == light[5] == 1.0
    assert light[4] - light[3] > 0.05
    values = np.array([0.1, 0.9, 1.0, 1.3])
    np.testing.assert_allclose(kl_and_scale._narrow(kl_and_scale._spread(values)), values)


def test_a_posterior_that_grew_is_marked():
    shape = SHAPES["usual"]
    frames, context = made_frames(shape), made_context(shape)
    ratios = frames.training["sigma_ratio"]
    grown = frames.training.assign(sigma_ratio=ratios.where(ratios.isna(), 1.2))
    data = figure_numbers(
        "kl_and_scale", Frames(frames.records, grown, frames.calibration), context
    )
    with style.theme():
        figure = draw_figure("kl_and_scale", data, context)
    cells = [t.get_text() for ax in figure.findobj(Axes) for t in ax.texts]
    assert cells.count("1.20+") == 2 * 2 * 4  # experiments, methods and stages


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.034, "0.034"), (7.0, "7"), (461.2, "461"), (7403, "7403"), (136_000, "136k"),
     (1_718_000, "1.72M")],
)  # fmt: skip
def test_kl_in_few_digits(value, text):
    assert kl_and_scale._number(value, "kl") == text


def test_sparse_bins_are_faded_and_every_bin_is_counted():
    figure, data = draw("reliability", "usual")
    filled = data[data["count"] > 0]
    marks = [c for ax in figure.findobj(Axes) for c in ax.findobj(PathCollection)]
    faint = sum(len(c.get_offsets()) for c in marks if c.get_alpha() == FADED)
    solid = sum(len(c.get_offsets()) for c in marks if c.get_alpha() != FADED)
    assert faint == (filled["count"] < FEW).sum() > 0
    assert solid == (filled["count"] >= FEW).sum() > 0
    counts = [patch.get_data().values for ax in figure.findobj(Axes) for patch in ax.patches]
    groups = [rows["count"].to_numpy() for _, rows in data.groupby(["experiment", "T", "method"])]
    assert len(counts) == len(groups)
    for group in groups:
        assert any(np.array_equal(group, count) for count in counts)


@pytest.mark.parametrize(("replicates", "interval"), [(2, False), (FEWEST, True)])
def test_calibration_errors_have_intervals_of_three_and_within_0_and_100(replicates, interval):
    shape = Shape(methods=2, experiments=1, parts=(1,), replicates=replicates, layers=1)
    context = made_context(shape)
    data = figure_numbers("reliability", made_frames(shape), context)
    data = data.assign(ece=0.01, ece_half_width=0.5)
    with style.theme():
        figure = draw_figure("reliability", data, context)
    said = [t.get_text() for ax in figure.findobj(Axes) if ax.get_legend()
            for t in ax.get_legend().get_texts()]  # fmt: skip
    assert len(said) == 2 and all(("1.00 [0.00, 51.00]" in text) == interval for text in said)


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_is_as_wide_as_is_read_at_400_pixels(name):
    figure, _ = draw(name, "usual")
    assert figure.get_figwidth() == style.WIDTH
    smallest = min(
        text.get_fontsize()
        for text in figure.findobj(match=lambda a: hasattr(a, "get_fontsize"))
        if text.get_text().strip()
    )
    assert smallest * 400 / (style.WIDTH * 72) >= 8


def test_metrics_drawn_over_stages_have_a_unit_of_differences():
    for name in ("accuracy", "nll", "rmse", "nlpd"):
        assert METRICS[name].difference_unit or METRICS[name].unit
