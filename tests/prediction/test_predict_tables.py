"""Predictions for rows of a table: those of a stage's scoring, by files and data frames."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from refusals import refusal
from safetensors.numpy import load_file
from scipy.stats import norm
from stage_files import SAMPLES, changed, recorded
from tiny_chain import CUT, SETTINGS, Chain

import incbayes
from incbayes.cli.main import main
from incbayes.core.errors import UserError
from incbayes.data.prepared import prepare
from incbayes.jobs.partition import PartsRequest, run_partition
from incbayes.posterior.file import PosteriorError, read_posterior
from incbayes.prediction.numbers import quantile
from incbayes.study.model import KindSpec, PartitionSettings

TARGETS = {"number": "y", "classes": "kind"}


def frame(count, seed):
    """Return rows of a number and a class that follow from a number, some absent, and a colour."""
    rng = np.random.default_rng(seed)
    x, colour = rng.normal(10, 3, count), rng.choice(["red", "blue"], count)
    y = 5 * x + 20 * (colour == "red") + rng.normal(0, 4, count)
    x[::7] = np.nan
    kind = np.where(y > 60, "high", "low")
    return pd.DataFrame({"x": x, "colour": colour, "y": y, "kind": kind})


@pytest.fixture(scope="module", params=TARGETS)
def chain(request, tmp_path_factory):
    """Two stages of two replicates, fitted to a table and scored."""
    folder = tmp_path_factory.mktemp(request.param)
    frame(120, 1).to_csv(folder / "rows.csv", index=False)
    frame(40, 2).to_csv(folder / "test.csv", index=False)
    stated = {"kind": "table", "source": "rows.csv", "test_source": "test.csv", "missing": "mean"}
    stated["duplicates"] = "allow"  # where the number is absent, rows of a class are equal
    stated |= {"features": ["x", "colour"], "categories": {"colour": ["red", "blue"]}}
    stated |= {"target": TARGETS[request.param]}
    likelihood = KindSpec("gaussian", {"noise": "learnt"})
    if request.param == "classes":
        stated["classes"], likelihood = ["low", "high"], KindSpec("categorical")
    prepare(stated, folder, folder / "data")
    parts = folder / "parts.safetensors"
    asked = PartsRequest("tiny", "digits", [0, 1], 0, PartitionSettings(**CUT))
    run_partition(asked, 2, folder / "data" / "checksums.json", parts)
    made = Chain(folder / "chain", folder / "data").asked(
        replicates=[0, 1],
        parts_file=parts,
        pixels={"kind": "columns", "statistics": "first"},
        settings=replace(SETTINGS, likelihood=likelihood),
    )
    for t in (1, 2):
        made.fit(t)
    made.evaluate()
    return made


@pytest.fixture
def of_number(chain):
    """The chain, where its target is a number."""
    if chain.request.settings.likelihood.kind != "gaussian":
        pytest.skip("of a number alone")
    return chain


def test_predictions_are_those_of_the_scores(chain):
    rows = frame(40, 2)
    for replicate in (0, 1):
        found = incbayes.predict(
            chain.posterior(2), rows, samples=SAMPLES, replicates=[replicate], device="cpu"
        )
        if chain.request.settings.likelihood.kind == "gaussian":
            error = np.sqrt(np.square(found.mean - rows["y"]).mean())
            assert error == pytest.approx(recorded(chain, replicate, "rmse"), rel=1e-6)
            low, high = found.intervals[0.9]
            inside = rows["y"].between(low, high).mean()
            assert inside == pytest.approx(recorded(chain, replicate, "coverage_90"))
        else:
            right = np.mean(np.array(found.predicted) == rows["kind"])
            assert right == pytest.approx(recorded(chain, replicate, "accuracy"))


def test_files_of_either_kind_and_frames_are_predicted_alike(chain, tmp_path, capsys):
    rows = frame(40, 2).drop(columns=["y", "kind"])
    rows.to_csv(tmp_path / "new.csv", index=False)
    rows.to_parquet(tmp_path / "new.parquet")
    given = (rows, tmp_path / "new.csv", [str(tmp_path / "new.parquet")])
    frames = [
        incbayes.predict(chain.posterior(2), one, samples=3, device="cpu").frame() for one in given
    ]
    numbers = [found.drop(columns="path") for found in frames]
    pd.testing.assert_frame_equal(numbers[0], numbers[1])
    pd.testing.assert_frame_equal(numbers[0], numbers[2])
    assert frames[1]["path"][6] == f"{tmp_path / 'new.csv'}:7"
    out = tmp_path / "out.csv"
    command = ["predict", str(chain.posterior(2)), str(tmp_path / "new.csv"), "--samples", "3"]
    assert main([*command, "--device", "cpu", "--out", str(out)]) == 0
    assert "40 rows, 2 replicates, 3 draws of each" in capsys.readouterr().out
    pd.testing.assert_frame_equal(pd.read_csv(out), frames[1])
    assert main([*command, "--device", "cpu"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 42
    assert main(["show", str(chain.posterior(2))]) == 0
    shown = capsys.readouterr().out
    assert "2: x, colour" in shown and "60, 60 rows" in shown


def test_uncertainty_is_split_and_intervals_are_quantiles(of_number):
    found = incbayes.predict(of_number.posterior(2), frame(10, 4), samples=50, device="cpu")
    parts = found.data_deviation**2 + found.weight_deviation**2
    assert found.deviation**2 == pytest.approx(parts)
    (low_50, high_50), (low_90, high_90) = found.intervals.values()
    assert (low_90 < low_50).all() and (low_50 < high_50).all() and (high_50 < high_90).all()


@pytest.mark.parametrize("probability", [0.05, 0.25, 0.5, 0.95])
def test_the_quantile_of_a_mixture_is_where_its_distribution_has_the_value(probability):
    generator = torch.Generator().manual_seed(1)
    means = 5 * torch.randn(20, 7, generator=generator, dtype=torch.float64)
    sigmas = torch.rand(20, 7, generator=generator, dtype=torch.float64) + 0.01
    found = quantile(torch.stack([means, sigmas], -1), probability)
    below = norm.cdf(found[:, None], means, sigmas).mean(1)
    assert below == pytest.approx(np.full(20, probability), abs=1e-12)


def test_what_cannot_be_predicted_for_is_refused_in_one_line(chain, tmp_path):
    rows = frame(5, 3)

    def said(given):
        return refusal(lambda: incbayes.predict(chain.posterior(2), given), error=UserError)

    assert "data frame: lacks the column 'x'" in said(rows.drop(columns="x"))
    assert "column 'colour': the value 'green' is not among" in said(rows.assign(colour="green"))
    assert "an array was given, but the posterior is of a table" in said(np.zeros((2, 3)))
    assert "there is no row" in said(rows.iloc[:0])
    (tmp_path / "rows.txt").write_text("x,colour\n")
    assert "allowed endings of a table: .csv, .parquet" in said(tmp_path / "rows.txt")
    assert "gone.csv: not a readable table (FileNotFoundError" in said(tmp_path / "gone.csv")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"table": {"features": []}}, "table is"),
        ({"table": None}, "pixels is 'columns', but it was fitted to images"),
        ({"pixels": {"kind": "standard", "mean": {}, "std": {}}}, "mean of replicate 0 is None"),
        ({"class_names": {"0": ["a", "b", "c"], "1": []}}, "class_names of replicate"),
    ],
)
def test_a_posterior_that_describes_no_table_is_refused(change, said, chain, tmp_path):
    forged = changed(chain.posterior(2), tmp_path / "forged.safetensors", **change)
    line = refusal(lambda: incbayes.predict(forged, frame(3, 1)), error=PosteriorError)
    if change != {"table": None}:
        assert said in line
    else:  # of a number the likelihood is said first
        assert said in line or "the target is one of classes" in line


def test_a_table_that_has_other_columns_than_the_network_is_refused(chain, tmp_path):
    stated = read_posterior(chain.posterior(2)).metadata["table"]
    wider = stated | {"features": [*stated["features"], "z"]}
    forged = changed(chain.posterior(2), tmp_path / "forged.safetensors", table=wider)
    line = refusal(lambda: incbayes.predict(forged, frame(3, 1)), error=PosteriorError)
    assert "shape is [3, 1, 1], but its table has 4 columns" in line


def test_the_network_of_a_table_is_exported_as_tensors_alone(chain, tmp_path):
    file = tmp_path / "mean.safetensors"
    about = incbayes.export(chain.posterior(2), "mean", file, replicate=0)
    assert about["table"]["features"] == ["x", "colour"] and file.stat().st_size
    assert about["input"]["columns"] == ["x", "colour=red", "colour=blue"]
    assert len(about["input"]["scaling"]["mean"]) == len(about["input"]["scaling"]["std"]) == 3
    assert about.get("classes") == (None if "target" in about else ["low", "high"])
    asked = {"replicate": 0, "format": "torch-export"}
    line = refusal(
        lambda: incbayes.export(chain.posterior(2), "mean", file, **asked), error=UserError
    )
    assert "is exported as 'safetensors' alone" in line


@pytest.mark.parametrize("replicate", [0, 1])
def test_the_description_of_an_export_says_what_its_outputs_are_of_a_number(
    replicate, of_number, tmp_path
):
    rows, file = frame(40, 2), tmp_path / "mean.safetensors"
    about = incbayes.export(of_number.posterior(2), "mean", file, replicate=replicate)
    encoded = np.stack([rows["x"], rows["colour"] == "red", rows["colour"] == "blue"], 1)
    mean, std = (np.array(about["input"]["scaling"][key]) for key in ("mean", "std"))
    inputs = np.nan_to_num((encoded.astype(float) - mean) / std)
    tensors = load_file(file)
    hidden = np.maximum(inputs @ tensors["1.weight"].T + tensors["1.bias"], 0)
    o1, o2 = (hidden @ tensors["3.weight"].T + tensors["3.bias"]).T
    form, _, formulas = about["output"].partition(": ")
    assert form == "of scaled columns, [N, 2]" and about["target"]["name"] == "y"
    named = {"o1": o1, "o2": o2, "exp": np.exp, "tanh": np.tanh}
    named["target"] = SimpleNamespace(**about["target"])
    stated = dict(formula.split(" = ") for formula in formulas.split("; "))
    found = {name: eval(formula, named) for name, formula in stated.items()}
    error = np.sqrt(np.square(found["mean"] - rows["y"]).mean())
    assert error == pytest.approx(recorded(of_number, replicate, "rmse", "mean"), rel=1e-5)
    nll = -norm.logpdf(rows["y"], found["mean"], found["sigma"]).mean()
    assert nll == pytest.approx(recorded(of_number, replicate, "nlpd", "mean"), rel=1e-5)


@pytest.mark.parametrize("of_the_second", ["order", "missing"])
def test_blocks_of_a_table_whose_columns_stand_for_others_are_refused(
    of_the_second, chain, tmp_path
):
    read = read_posterior(chain.posterior(2))
    stated = read.metadata["table"]
    other = {
        "order": {"features": stated["features"][::-1]},
        "missing": {"missing": "refuse"},
    }[of_the_second]
    first = changed(chain.posterior(2), tmp_path / "first", {0: read.states[0]})
    second = changed(chain.posterior(2), tmp_path / "second", {1: read.states[1]}, table=stated)
    assert incbayes.predict([first, second], frame(3, 5), samples=2).replicates == (0, 1)
    changed(second, tmp_path / "second", table=stated | other)
    text = refusal(lambda: incbayes.predict([first, second], frame(3, 5)), PosteriorError)
    named = {"order": "table.features[0] is 'colour', that of", "missing": "table.missing is"}
    assert named[of_the_second] in text and str(first) in text
