"""Predictions of a posterior file: those of a stage's scoring, and of an independent reference."""

import io
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from refusals import refusal
from stage_files import (
    SAMPLES,
    as_files,
    changed,
    images_of_test,
    recorded,
    two_replicates,
    with_network,
)

import incbayes
from incbayes.cli.main import main
from incbayes.core.device import DeviceError
from incbayes.core.streams import torch_stream
from incbayes.kinds import FAMILIES
from incbayes.networks.layers import Layer
from incbayes.networks.noise import GeneratorNoise
from incbayes.posterior.file import PosteriorError, read_posterior
from incbayes.prediction.own import OwnModelError
from incbayes.prediction.predict import AskedError


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    return two_replicates(tmp_path_factory.mktemp("chain"))


@pytest.fixture(scope="module")
def last(chain):
    return chain.posterior(2)


@pytest.fixture(scope="module")
def digits(chain):
    return images_of_test(chain)


@pytest.fixture(scope="module")
def folder(digits, tmp_path_factory):
    return as_files(tmp_path_factory.mktemp("images"), digits[0][:12])


def nll(found, labels):
    return -found.log_probabilities[np.arange(len(labels)), labels].mean()


def accuracy(found, labels):
    return (found.log_probabilities.argmax(1) == labels).mean()


@pytest.mark.parametrize("replicate", [0, 1])
def test_equal_draws_give_what_the_scoring_of_the_stage_recorded(chain, last, digits, replicate):
    images, labels = digits
    found = incbayes.predict(last, images, samples=SAMPLES, replicates=[replicate])
    assert found.replicates == (replicate,) and found.samples == SAMPLES
    assert accuracy(found, labels) == recorded(chain, replicate, "accuracy")
    assert nll(found, labels) == pytest.approx(recorded(chain, replicate, "nll"), rel=1e-5)


def test_other_draws_give_it_within_their_error(chain, last, digits):
    images, labels = digits
    predicted = [
        incbayes.predict(last, images, samples=SAMPLES, seed=seed, replicates=[0])
        for seed in range(70, 80)
    ]
    for metric, of in (("accuracy", accuracy), ("nll", nll)):
        values = np.array([of(found, labels) for found in predicted])
        assert len(set(values)) > 1
        assert abs(recorded(chain, 0, metric) - values.mean()) < 4 * values.std(ddof=1)


def in_float64(path, images, samples):
    """Return ln p of every draw of every replicate [S·R, N, K], computed by hand in float64."""
    read, family = read_posterior(path), FAMILIES["ffg"]()
    found = []
    for replicate, state in read.states.items():
        numbers = [read.metadata["pixels"][key][str(replicate)] for key in ("mean", "std")]
        mean, std = (np.array(values)[:, None, None] for values in numbers)
        x = ((images / 255 - mean) / std).reshape(len(images), -1)
        names = ("digits", "T2", "t2", replicate, "prediction")
        noise = GeneratorNoise(torch_stream(0, *names))
        shapes = {name: tuple(tensors["weight_mean"].shape) for name, tensors in state.items()}
        layers = [Layer(name, "linear", shape, True) for name, shape in shapes.items()]
        for _ in range(samples):
            hidden = x
            for number, layer in enumerate(layers):
                w = family.sample(layer, state[layer.name], noise)
                hidden = hidden if number == 0 else hidden.clip(0)
                hidden = hidden @ w["weight"].double().numpy().T + w["bias"].double().numpy()
            top = hidden.max(1, keepdims=True)
            found.append(hidden - top - np.log(np.exp(hidden - top).sum(1, keepdims=True)))
    return np.stack(found)


def test_the_mixture_over_draws_and_replicates_is_that_of_a_reference(last, digits):
    images = digits[0][:40]
    found = incbayes.predict(last, images, samples=5, batch_size=7)
    p = np.exp(in_float64(last, images, 5))
    mean = p.mean(0)
    entropy = -(mean * np.log(mean)).sum(1)
    data = -(p * np.log(p)).sum(2).mean(0)
    assert found.replicates == (0, 1) and found.probabilities.shape == (40, 10)
    np.testing.assert_allclose(found.probabilities, mean, atol=1e-5)
    np.testing.assert_allclose(found.entropy, entropy, atol=1e-4)
    np.testing.assert_allclose(found.data_uncertainty, data, atol=1e-4)
    np.testing.assert_allclose(found.mutual_information, entropy - data, atol=1e-4)
    assert found.predicted == [str(number) for number in mean.argmax(1)]
    np.testing.assert_allclose(found.probabilities.sum(1), 1, atol=1e-12)


def test_neither_batches_nor_chunks_change_a_prediction(last, digits, monkeypatch):
    images = digits[0][:30]
    whole = incbayes.predict(last, images, samples=3)
    monkeypatch.setattr("incbayes.prediction.predict.VALUES_AT_ONCE", 1)
    chunks = incbayes.predict(last, images, samples=3, batch_size=8)
    np.testing.assert_allclose(chunks.log_probabilities, whole.log_probabilities, atol=1e-5)
    np.testing.assert_allclose(chunks.mutual_information, whole.mutual_information, atol=1e-5)


def test_files_predict_as_the_array_of_their_pixels(last, digits, folder):
    of_files = incbayes.predict(last, folder, samples=3)
    of_array = incbayes.predict(str(last), torch.from_numpy(digits[0][:12].copy()), samples=3)
    assert of_files.names == tuple(f"{folder}/{number:03d}.png" for number in range(12))
    np.testing.assert_array_equal(of_files.log_probabilities, of_array.log_probabilities)
    opened = incbayes.predict(read_posterior(last), [folder / "003.png"], samples=3)
    assert opened.names == (str(folder / "003.png"),)


@pytest.mark.parametrize(("family", "pixels"), [("point", "divide"), ("mnf", "standard")])
def test_other_families_and_scalings_predict_as_they_were_scored(family, pixels, tmp_path):
    chain = two_replicates(tmp_path, family, pixels={"kind": pixels})
    images, labels = images_of_test(chain)
    found = incbayes.predict(chain.posterior(2), images, samples=SAMPLES, replicates=[1])
    assert found.samples == (1 if family == "point" else SAMPLES)
    assert nll(found, labels) == pytest.approx(recorded(chain, 1, "nll"), rel=1e-5)
    if family == "point":
        both = incbayes.predict(chain.posterior(2), images)
        assert found.mutual_information.max() < 1e-14 < both.mutual_information.max()


def blocks(last, folder):
    """Return the two replicates of a posterior as blocks of their own."""
    read = read_posterior(last)
    return [
        changed(last, folder / f"r{number}.safetensors", {number: read.states[number]})
        for number in (0, 1)
    ]


def test_several_blocks_predict_as_one(last, digits, tmp_path):
    images = digits[0][:20]
    whole = incbayes.predict(last, images, samples=4)
    apart = incbayes.predict(blocks(last, tmp_path)[::-1], images, samples=4)
    assert apart.replicates == (0, 1)
    np.testing.assert_array_equal(apart.log_probabilities, whole.log_probabilities)


def test_blocks_that_do_not_belong_together_are_refused(chain, last, digits, tmp_path):
    images, (first, second) = digits[0][:2], blocks(last, tmp_path)

    def said(*posteriors, **how):
        return refusal(lambda: incbayes.predict(posteriors, images, **how), PosteriorError)

    assert "holds replicate 0, and so does" in said(first, first)
    assert "t is 1, that of" in said(first, chain.posterior(1))
    other = changed(second, tmp_path / "other", method="cfg")
    assert f"{other}: method is 'cfg', that of {first} is 'ffg'" in said(first, other)
    wide = with_network(second, tmp_path / "wide", family={"kind": "ffg", "initial_sigma": 0.2})
    assert "wide: network.family.estimator is None, that of" in said(first, wide)
    assert "no replicate 7; there are 0, 1" in said(last, replicates=[7])
    assert "no posterior was given" in said()


OTHER_INPUTS = {
    "decoding.resize is 'crop', that of {} is 'refuse'": {"decoding": {"resize": "crop"}},
    "part is '2026-02', that of {} is None": {"part": "2026-02"},
    "prepared is '0000": {"prepared": "0" * 64},
    "dataset.classes[1] is 'a', that of {} is 'b'": {"dataset": {"classes": ["b", "a"]}},
}


@pytest.mark.parametrize("says", OTHER_INPUTS)
def test_blocks_whose_inputs_stand_for_others_are_refused(says, last, digits, tmp_path):
    first, second = blocks(last, tmp_path)
    first = changed(first, tmp_path / "first", dataset={"classes": ["b", "b"]})
    other = changed(second, tmp_path / "other", **OTHER_INPUTS[says])
    text = refusal(lambda: incbayes.predict([first, other], digits[0][:2]), PosteriorError)
    assert text.startswith(f"{other}: ") and says.format(first) in text


def test_blocks_of_a_release_that_named_no_data_set_are_taken(last, digits, tmp_path):
    first, second = blocks(last, tmp_path)
    before = changed(second, tmp_path / "before", prepared=None)
    after = changed(first, tmp_path / "after", dataset={"kind": "image_folder"})
    assert incbayes.predict([before, after], digits[0][:2], samples=2).replicates == (0, 1)


def test_replicates_of_different_classes_are_refused_with_the_way_out(last, digits, tmp_path):
    names = [str(number) for number in range(10)]
    mixed = changed(last, tmp_path / "mixed", class_names={"0": names, "1": names[::-1]})
    text = refusal(lambda: incbayes.predict(mixed, digits[0][:2]), PosteriorError)
    assert "different tasks" in text and "--replicate 0" in text
    found = incbayes.predict(mixed, digits[0][:2], samples=2, replicates=[1])
    assert found.classes == tuple(names[::-1])


def test_numbers_and_devices_that_make_no_sense_are_refused(last, digits):
    images = digits[0][:2]
    for option, value in {"samples": 0, "batch_size": 0, "seed": -1, "samples ": 1.5}.items():
        text = refusal(
            lambda o=option, v=value: incbayes.predict(last, images, **{o.strip(): v}), AskedError
        )
        assert text.startswith(f"{option.strip()}: found {value}")
    if not torch.cuda.is_available():
        refusal(lambda: incbayes.predict(last, images, device="cuda"), DeviceError)


OWN = """
from dataclasses import dataclass, field

from torch import nn


@dataclass
class Mine:
    widths: list

    def build(self, shape, classes):
        return nn.Sequential(
            nn.Flatten(),
            nn.Linear(shape[0] * shape[1] * shape[2], self.widths[0]),
            nn.ReLU(),
            nn.Linear(self.widths[0], classes),
        )


class Nothing:
    pass
"""


def test_a_model_of_ones_own_is_built_by_the_class_that_is_named(last, digits, tmp_path):
    images, code = digits[0][:9], tmp_path / "mine.py"
    code.write_text(OWN)
    own = with_network(last, tmp_path / "own", model={"kind": "my_net", "widths": [8]})
    text = refusal(lambda: incbayes.predict(own, images), PosteriorError)
    assert "unknown model 'my_net'" in text and "--model FILE.py:Class" in text
    found = incbayes.predict(own, images, samples=3, model=f"{code}:Mine")
    expected = incbayes.predict(last, images, samples=3)
    np.testing.assert_array_equal(found.log_probabilities, expected.log_probabilities)
    for named, says in {
        f"{code}:Nothing": "has no class 'Nothing' with a method build",
        f"{code}:Min": "did you mean 'Mine'",
        f"{tmp_path}/absent.py:Mine": "no such file",
        "os:system": "expected FILE.py:Class",
        f"{code}": "expected FILE.py:Class",
    }.items():
        text = refusal(
            lambda named=named: incbayes.predict(own, images, model=named), OwnModelError
        )
        assert says in text
    code.write_text("1 / 0")
    assert "ZeroDivisionError" in refusal(
        lambda: incbayes.predict(own, images, model=f"{code}:Mine")
    )


# The command.


def test_the_command_prints_a_table(last, folder, capsys):
    assert main(["predict", str(last), str(folder), "--samples", "3"]) == 0
    head, *rows, summary = capsys.readouterr().out.splitlines()
    assert head.split() == [
        "image",
        "class",
        "probability",
        "entropy",
        "of",
        "data",
        "of",
        "weights",
    ]
    assert len(rows) == 12 and rows[3].split()[0] == f"{folder}/003.png"[-60:]
    assert summary == "12 images, 2 replicates, 3 draws of each; in nats"


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_the_command_writes_all_numbers(last, folder, tmp_path, capsys, ending):
    out = tmp_path / "deep" / f"predictions.{ending}"
    blocks(last, tmp_path)
    posteriors = [str(tmp_path / f"r{number}.safetensors") for number in (0, 1)]
    command = ["predict", *posteriors, str(folder), "--out", str(out), "--samples", "3"]
    assert main(command) == 0
    assert str(out) in capsys.readouterr().out
    read = (pd.read_csv if ending == "csv" else pd.read_parquet)(out)
    found = incbayes.predict(last, folder, samples=3)
    columns = ["path", "predicted", "entropy", "data_uncertainty", "mutual_information"]
    assert list(read) == columns + [f"p_{number}" for number in range(10)]
    np.testing.assert_array_equal(read.filter(like="p_").to_numpy(), found.probabilities)
    np.testing.assert_array_equal(read["mutual_information"], found.mutual_information)
    assert list(read["path"]) == list(found.names)


def test_the_command_refuses_in_one_line(last, folder, tmp_path, capsys):
    (folder.parent / "bad").mkdir(exist_ok=True)
    for name in ("a.png", "b.png"):
        (folder.parent / "bad" / name).write_bytes(b"no image")
    for arguments, says in (
        ([str(last), str(folder), "--out", "x.txt"], "allowed endings: .parquet, .csv"),
        ([str(last), str(last)], "no images were given"),
        ([str(last), str(folder.parent / "bad")], "2 of 2 images cannot be used"),
        ([str(tmp_path / "absent"), str(folder)], "no such file"),
        ([str(last), str(folder), "--samples", "0"], "samples: found 0"),
    ):
        assert main(["predict", *arguments]) == 1
        said = capsys.readouterr()
        assert says in said.err and len(said.err.splitlines()) == 1 and not said.out
    assert "a.png" in (text := refusal(lambda: incbayes.predict(last, folder.parent / "bad")))
    assert "b.png" in text


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_progress_is_shown_on_a_terminal_alone(last, folder, monkeypatch):
    for stream, shown in ((Terminal(), True), (io.StringIO(), False)):
        monkeypatch.setattr(sys, "stderr", stream)
        incbayes.predict(last, folder, samples=3, progress=True)
        assert ("images" in stream.getvalue()) == ("draws" in stream.getvalue()) == shown
        incbayes.predict(last, folder, samples=3)
    assert not stream.getvalue()


def test_python_runs_the_command_and_reading_it_needs_no_torch(last, folder):
    command = [sys.executable, "-m", "incbayes", "predict", str(last), str(folder)]
    done = subprocess.run([*command, "--samples", "2"], capture_output=True, text=True)
    assert done.returncode == 0 and "12 images" in done.stdout and not done.stderr
    code = (
        "import sys\nfrom incbayes.cli.main import main\ntry:\n    main(['predict', '--help'])\n"
        "except SystemExit:\n    print('torch' in sys.modules)"
    )
    said = subprocess.check_output([sys.executable, "-c", code], text=True)
    assert said.splitlines()[-1] == "False"
