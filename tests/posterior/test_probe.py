"""Other code of a network than that of the fit is refused, however alike its layers are."""

from dataclasses import dataclass, replace

import pytest
import torch
from refusals import refusal
from stage_files import changed, two_replicates, with_network
from tiny_chain import SETTINGS, TRAINING, tiny_chain, training_of
from torch import nn

import incbayes
from incbayes.families.point import Point
from incbayes.kinds import FAMILIES
from incbayes.posterior.build import Architecture
from incbayes.posterior.file import PosteriorError, read_posterior
from incbayes.posterior.probe import MeanOf, probes_of
from incbayes.prediction.predict import predict
from incbayes.study.model import KindSpec

OWN = """
from dataclasses import dataclass

from torch import nn


@dataclass
class Mine:
    widths: list

    def build(self, shape, classes):
        inputs = shape[0] * shape[1] * shape[2]
        width = self.widths[0]
        layers = nn.Linear(inputs, width), ACTIVATION, nn.Linear(width, classes)
        return nn.Sequential(nn.Flatten(), *layers)
"""


@pytest.fixture(scope="module")
def last(tmp_path_factory):
    return two_replicates(tmp_path_factory.mktemp("chain")).posterior(2)


@pytest.fixture
def own(last, tmp_path):
    """The same posterior of a network of one's own, and its code with an activation."""

    def written(activation):
        code = tmp_path / f"{len(list(tmp_path.iterdir()))}.py"
        code.write_text(OWN.replace("ACTIVATION", activation))
        return f"{code}:Mine"

    path = with_network(last, tmp_path / "own", model={"kind": "my_net", "widths": [8]})
    return path, written


PIXELS = torch.zeros(2, 1, 8, 8, dtype=torch.uint8)


def test_a_file_says_what_the_networks_of_its_means_make_of_fixed_inputs(last):
    read = read_posterior(last)
    probe = read.metadata["probe"]
    assert probe["dtype"] == "float64" and set(probe["outputs"]) == {"0", "1"}
    values = 1.5 * torch.sin(1.7 * torch.arange(1, 129, dtype=torch.float64).sqrt())
    for replicate, state in read.states.items():
        (first, last_one), x = state.values(), values.view(2, 64)
        hidden = (x @ first["weight_mean"].double().T + first["bias_mean"]).relu()
        made = hidden @ last_one["weight_mean"].double().T + last_one["bias_mean"]
        stated = torch.tensor(probe["outputs"][str(replicate)], dtype=torch.float64)
        torch.testing.assert_close(stated, made, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("activation", ["nn.Sigmoid()", "nn.LeakyReLU(0.1)", "nn.GELU()"])
def test_code_that_was_changed_after_the_fit_is_refused(activation, own, tmp_path):
    path, written = own
    assert predict(path, PIXELS, samples=2, model=written("nn.ReLU()")).samples == 2
    other = written(activation)
    for use in (
        lambda: predict(path, PIXELS, samples=2, model=other),
        lambda: incbayes.export(path, "mean", tmp_path / "out", replicate=1, model=other),
    ):
        text = refusal(use, PosteriorError)
        assert text.startswith(f"{path}: the code of the model my_net does not compute what the")
    assert not (tmp_path / "out").exists()


def test_scoring_with_other_code_is_refused_too(tmp_path, monkeypatch):
    chain = tiny_chain(tmp_path)
    chain.fit(1)
    chain.fit(2)
    monkeypatch.setattr(nn, "ReLU", nn.Sigmoid)  # which `mlp` is made of
    text = refusal(chain.evaluate, PosteriorError)
    assert text.startswith("digits ffg T=2 t=1 replicate 0: the code of the model mlp does not")
    assert not chain.scores(2).metrics.exists()


def test_a_file_of_an_earlier_release_is_taken_as_it_is(own, tmp_path):
    path, written = own
    before = changed(path, tmp_path / "before", probe=None)
    assert predict(before, PIXELS, samples=2, model=written("nn.Sigmoid()")).samples == 2


@pytest.mark.parametrize(
    "forged",
    [
        "x",
        {"dtype": "float64"},
        {"dtype": "float16", "outputs": {"0": [[0.0] * 10] * 2, "1": [[0.0] * 10] * 2}},
        {"dtype": "float64", "outputs": {"0": [[0.0] * 9] * 2}},
        {"outputs": {"0": [[0.0] * 10] * 2}},
        {"dtype": ["float64"], "outputs": {"0": [[0.0] * 10] * 2}},
        {"dtype": "float64", "outputs": {"0": [["a"] * 10] * 2}},
    ],
)
def test_a_probe_that_is_none_is_refused_in_one_line(forged, last, tmp_path):
    path = changed(last, tmp_path / "forged", probe=forged)
    text = refusal(lambda: predict(path, PIXELS, replicates=[0]), PosteriorError)
    assert text.startswith(f"{path}: probe is ")


@pytest.mark.parametrize("family", FAMILIES)
def test_a_posterior_of_every_family_has_a_probe_that_it_passes(family, tmp_path):
    path = two_replicates(tmp_path, family).posterior(1)
    assert set(read_posterior(path).metadata["probe"]["outputs"]) == {"0", "1"}
    assert predict(path, PIXELS, samples=2).replicates == (0, 1)


@pytest.mark.parametrize(
    "changes",
    [
        {"inference": KindSpec("ensemble", {"members": 2}), "family": KindSpec("point")},
        {"training": training_of(TRAINING | {"precision": "bf16"})},
    ],
)
def test_ensembles_and_fits_in_bf16_have_one_too(changes, tmp_path):
    chain = tiny_chain(tmp_path).asked(settings=replace(SETTINGS, **changes))
    chain.fit(1)
    path = chain.posterior(1)
    assert "probe" in read_posterior(path).metadata
    assert predict(path, PIXELS, samples=2).replicates == (0,)


class Random(nn.Module):
    """Differs from pass to pass, also when it predicts."""

    def forward(self, x):
        return x + torch.rand_like(x)


class Single(nn.Module):
    """Knows one number format alone."""

    def forward(self, x):
        return x @ torch.eye(x.shape[1])


class Failing(nn.Module):
    """Fails for more than one input."""

    def forward(self, x):
        return x.view(1, -1)[:, :4] if len(x) == 1 else 1 / 0


@dataclass
class With:
    """A network with a module behind its layer, which the check of networks does not see."""

    module: nn.Module

    def build(self, shape, classes):
        return nn.Sequential(nn.Flatten(), nn.Linear(4, classes), self.module)


@pytest.mark.parametrize(
    ("module", "dtype"), [(Random, None), (Failing, None), (Single, "float32")]
)
def test_no_fit_is_lost_for_a_probe_that_cannot_be(module, dtype, monkeypatch):
    monkeypatch.setattr("incbayes.posterior.build._check", lambda architecture: None)
    architecture = Architecture({"kind": "x", "module": module()}, (1, 2, 2), 4, With)
    state = {"1": {"weight": torch.eye(4), "bias": torch.zeros(4)}}
    found = probes_of({0: MeanOf(architecture, Point(), state)})
    assert found.get("probe", {}).get("dtype") == dtype
