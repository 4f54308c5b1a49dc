"""The numbers of figures are those of the records, and their intervals those of scipy."""

import numpy as np
import pandas as pd
import pytest
from drawn_figures import SHAPES, draw, frames_of
from made_studies import EPOCHS, made_context
from scipy import stats

from incbayes.kinds import FIGURES
from incbayes.results.frames import Frames
from incbayes.results.intervals import mean_interval


def by_hand(values) -> tuple[float, float]:
    """Return mean and half-width of the 95 % t-interval, by scipy's own interval."""
    values = np.asarray(values)
    low, high = stats.t.interval(0.95, len(values) - 1, values.mean(), stats.sem(values))
    return values.mean(), (high - low) / 2


def test_accuracy_by_parts_holds_replicates_and_intervals():
    records = frames_of("usual").records
    _, data = draw("accuracy_by_parts", "usual")
    assert len(data) == 2 * 3 * 2 * 4
    for key, group in data.groupby(["experiment", "method", "T"]):
        experiment, method, parts = key  # noqa: F841
        values = 100 * records.query(
            "experiment == @experiment and method == @method and T == @parts and t == @parts "
            "and split == 'test' and predictor == 'predictive' and metric == 'accuracy'"
        ).set_index("replicate")["value"].sort_index()  # fmt: skip
        assert group.set_index("replicate")["value"].tolist() == values.tolist()
        mean, half_width = by_hand(values)
        np.testing.assert_allclose(group["mean"], mean)
        np.testing.assert_allclose(group["half_width"], half_width)


def test_stages_hold_the_largest_chain_and_the_reference():
    _, data = draw("stages", "many")
    assert set(zip(data["T"], data["t"], strict=True)) == {(1, 1), *((7, t) for t in range(1, 8))}
    rows = data.query("method == 'm4' and T == 7 and t == 3 and metric == 'nll'")
    row = rows.iloc[0]
    values = frames_of("many").records.query(
        "method == 'm4' and T == 7 and t == 3 and metric == 'nll' and split == 'test' "
        "and predictor == 'predictive'"
    )["value"]
    np.testing.assert_allclose((row["mean"], row["half_width"]), by_hand(values))
    assert sorted(rows["value"]) == sorted(values)


def test_reliability_pools_bins_and_averages_ece():
    _, data = draw("reliability", "usual")
    bins = frames_of("usual").calibration.query("method == 'm1' and experiment == 'e0' and T == 3")
    bins = bins[bins["t"] == 3].fillna(0.0)
    bins = bins.assign(weighted=bins["count"] * bins["accuracy"])
    drawn = data.query("method == 'm1' and experiment == 'e0' and T == 3").set_index("bin")
    pooled = bins.groupby("bin")[["count", "weighted"]].sum()
    np.testing.assert_array_equal(drawn["count"], pooled["count"])
    accuracy = (pooled["weighted"] / pooled["count"]).to_numpy()
    np.testing.assert_allclose(drawn["accuracy"], accuracy)
    assert drawn["share"].sum() == pytest.approx(1)
    errors = [
        (b["count"] * (b["accuracy"] - b["confidence"]).abs()).sum() / b["count"].sum()
        for _, b in bins.groupby("replicate")
    ]
    row = drawn.iloc[-1]
    np.testing.assert_allclose((row["ece"], row["ece_half_width"]), by_hand(errors))


def test_forgetting_holds_every_part_since_it_arrived():
    _, data = draw("forgetting", "usual")
    line = data.query("method == 'm2' and experiment == 'e1' and part == 2")
    assert line["t"].tolist() == [2, 3]
    values = frames_of("usual").records.query(
        "method == 'm2' and experiment == 'e1' and T == 3 and t == 3 and split == 'part_02' "
        "and metric == 'accuracy' and predictor == 'predictive'"
    )["value"]
    np.testing.assert_allclose(line[["mean", "half_width"]].iloc[-1], by_hand(100 * values))


def test_kl_and_scale_take_the_last_epoch():
    _, data = draw("kl_and_scale", "usual")
    assert set(data["method"]) == {"m1", "m2"}  # a point has no scale
    assert list(dict.fromkeys(data["layer"])) == ["whole network", "conv1", "conv2"]
    training = frames_of("usual").training.query(
        "method == 'm1' and experiment == 'e0' and T == 3 and t == 2"
    )
    last = [rows.sort_values("epoch").iloc[-1] for _, rows in training.groupby("replicate")]
    chosen = "method == 'm1' and experiment == 'e0' and t == 2 and "
    for quantity in ("kl", "sigma_ratio"):
        row = data.query(chosen + "quantity == @quantity and layer == 'conv2'").iloc[0]
        expected = by_hand([entry[f"{quantity}/conv2"] for entry in last])
        np.testing.assert_allclose((row["mean"], row["half_width"]), expected)


def test_training_divides_by_the_part_and_holds_early_stops():
    _, data = draw("training", "usual")
    training = frames_of("usual").training.query(
        "method == 'm1' and experiment == 'e0' and T == 3 and t == 2"
    )
    curves = data.query(
        "method == 'm1' and experiment == 'e0' and T == 3 and t == 2 "
        "and quantity == 'negative_elbo'"
    )
    images = 1000 // 3
    for replicate, curve in curves.groupby("replicate"):
        own = training[training["replicate"] == replicate].set_index("epoch")["elbo"] / -images
        assert curve["epoch"].tolist() == list(range(1, EPOCHS + 1))
        held = own.reindex(range(1, EPOCHS + 1)).ffill()
        np.testing.assert_allclose(curve["value"], held)
    last = training.groupby("replicate")["epoch"].max()
    assert last.min() < EPOCHS  # a replicate that stopped early is among them
    assert (curves["n"] == 4).all() and curves["replicate"].nunique() == 4
    assert curves["position"].min() == 1 + 1 / EPOCHS and curves["position"].max() == 2


def test_an_unrecorded_pull_does_not_change_the_size_of_a_part():
    frames = frames_of("small")
    training = frames.training.copy()
    training.loc[training["method"] == "m0", "elbo"] -= 50.0
    shape = SHAPES["small"]
    data = FIGURES["training"].numbers(Frames(None, training, None), made_context(shape))
    last = training.query("method == 'm0' and T == 2 and t == 1").groupby("replicate").last()
    rows = data.query("method == 'm0' and T == 2 and t == 1 and quantity == 'negative_elbo'")
    ends = rows[rows["epoch"] == EPOCHS].set_index("replicate")["value"]
    np.testing.assert_allclose(ends, -last["elbo"] / 500)


def test_a_replicate_without_a_value_is_in_no_interval():
    frames, context = frames_of("usual"), made_context(SHAPES["usual"])
    records = frames.records
    lacking = (records["method"] == "m1") & (records["replicate"] == 2)
    changed = Frames(
        records.assign(value=records["value"].mask(lacking)), frames.training, frames.calibration
    )
    gone = Frames(records[~lacking], frames.training, frames.calibration)
    for name in ("accuracy_by_parts", "stages", "forgetting"):
        one, other = (
            FIGURES[name].numbers(f, context).reset_index(drop=True) for f in (changed, gone)
        )
        pd.testing.assert_frame_equal(one, other)
        assert set(one.loc[one["method"] == "m1", "n"]) == {3}


def test_interval_of_one_replicate_is_unknown_and_of_equal_ones_is_zero():
    frame = pd.DataFrame({"group": ["b", "a", "a"], "value": [3.0, 2.0, 2.0]})
    summary = mean_interval(frame, ["group"])
    assert summary["group"].tolist() == ["b", "a"]
    assert np.isnan(summary["half_width"].iloc[0]) and summary["half_width"].iloc[1] == 0
