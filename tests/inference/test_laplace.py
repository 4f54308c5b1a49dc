"""Online Laplace: Bayes' rule and online EWC on quadratic problems, and its Fisher information."""

import dataclasses

import pytest
import torch
from bad_studies import refusal
from laplace import DiagLaplace
from laplace.curvature import BackPackGGN
from linear_regression import (
    VARIANCE,
    WIDTH,
    closed_form,
    fit,
    joined,
    parts_of_orthogonal_design,
)
from replicate_fits import CLASSES, part, settings, stage_of
from replicate_fits import fit as fit_replicates
from small_study import changed
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from incbayes.inference import laplace
from incbayes.inference.base import DivergenceError
from incbayes.inference.laplace import OnlineLaplace
from incbayes.inference.objective import Objective
from incbayes.inference.stage import family_of
from incbayes.kinds import FAMILIES
from incbayes.networks.layers import layers_of
from incbayes.networks.noise import GeneratorNoise
from incbayes.posterior.build import fresh_network, with_weights
from incbayes.posterior.network import VariationalNetwork
from incbayes.study.model import KindSpec

PARTS = 3


@pytest.fixture
def quadratic(monkeypatch):
    """Take for the Fisher information the curvature of linear regression, per image."""

    def curvature(network, part, kind, generator, likelihood):
        return {"0": {"weight": part.images.square().mean(0, keepdim=True) / VARIANCE}}

    monkeypatch.setattr(laplace, "diagonal_fisher", curvature)


def chain(parts, temper=1.0, **options):
    algorithm = OnlineLaplace(**options)
    objective = Objective(kl_scale=temper)
    return fit(parts, algorithm.begin, algorithm.trained, objective)


@pytest.mark.parametrize("number", [1, PARTS])
@pytest.mark.parametrize("temper", [1.0, 0.2])
def test_by_default_the_chain_is_the_rule_of_bayes(number, temper, quadratic):
    parts = list(parts_of_orthogonal_design(PARTS))
    mean, sigma = closed_form(joined(parts), temper)
    fitted = chain(parts if number > 1 else [joined(parts)], temper)
    torch.testing.assert_close(fitted[0], mean, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(fitted[1], sigma, rtol=1e-9, atol=0)


@pytest.mark.parametrize(("rho", "gamma"), [(1.0, 0.7), (5.0, 1.0), (0.3, 0.5), (1.0, 1e-3)])
def test_with_other_factors_it_is_online_ewc(rho, gamma, quadratic):
    parts = list(parts_of_orthogonal_design(PARTS))
    mean = torch.zeros(1, 3, dtype=torch.float64)
    precision = torch.full_like(mean, WIDTH**-2)
    for part_t in parts:
        x, y = part_t.images, part_t.labels
        curvature = x.square().sum(0, keepdim=True) / VARIANCE
        pulled = y.T @ x / VARIANCE + rho * precision * mean
        mean = pulled / (curvature + rho * precision)
        precision = gamma * precision + curvature
    fitted = chain(parts, penalty_scale=rho, precision_decay=gamma)
    torch.testing.assert_close(fitted[0], mean, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(fitted[1], precision.rsqrt(), rtol=1e-9, atol=0)


def chosen(options=None, **changes):
    made = settings("ffg", model={"kind": "mlp", "widths": [5]}, epochs=2)
    return dataclasses.replace(made, inference=KindSpec("laplace", options or {}), **changes)


def test_its_updates_are_those_of_laplace_torch(tmp_path):
    """The curvature of both parts, each at its own means, on top of the first precision."""
    method, parts = chosen(), [part(seed) for seed in range(3)]
    first = fit_replicates(tmp_path / "first", method, False, parts)
    second = fit_replicates(tmp_path / "second", method, False, parts[::-1], before=first)
    network = fresh_network(stage_of(method).architecture(CLASSES), 0).double()
    reference, family = None, family_of(method)
    for fitted, data in ((first, parts[0]), (second, parts[2])):
        state = fitted[0][0]
        means = {layer.name: family.mean(layer, state[layer.name]) for layer in layers_of(network)}
        with_weights(network, means)
        if reference is None:
            reference = DiagLaplace(
                network, "classification", prior_precision=0.0, backend=BackPackGGN
            )
        loader = DataLoader(TensorDataset(data.images, data.labels), batch_size=len(data.labels))
        reference.fit(loader, override=False)
    found = {
        f"{layer}.{key.removesuffix('_log_sigma')}": (-2 * value).exp()
        for layer, tensors in second[0][0].items()
        for key, value in tensors.items()
        if key.endswith("_log_sigma")
    }
    flat = torch.cat([found[name].flatten() for name, _ in network.named_parameters()])
    first_prior = torch.cat(
        [
            torch.full((value.numel(),), layers[name.rpartition(".")[0]].fan_in / 2)
            for layers in [{layer.name: layer for layer in layers_of(network)}]
            for name, value in network.named_parameters()
        ]
    )
    torch.testing.assert_close(flat, reference.H + first_prior, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", ["empirical", "mc", "ggn"])
def test_layers_that_are_points_have_neither_penalty_nor_width(kind, tmp_path):
    method = chosen({"fisher": kind}, bayesian="last_layer")
    for state, history in fit_replicates(tmp_path / "checkpoint", method, False).values():
        first, last = state.values()
        assert set(first) == {"weight", "bias"} and "weight_log_sigma" in last
        assert history[-1]["penalty"] > 0 and "kl" not in history[-1]
        loss = 20 * history[-1]["nll"] + history[-1]["penalty"]
        assert history[-1]["elbo"] == pytest.approx(-loss)


def test_a_fisher_information_that_is_not_finite_names_replicate_and_tensor(tmp_path, monkeypatch):
    def infinite(network, *others):
        raise laplace.FisherError("the Fisher information of output.weight is not finite")

    monkeypatch.setattr(laplace, "diagonal_fisher", infinite)
    expected = "^replicate 0, at the end of the stage: the Fisher information of output.weight"
    with pytest.raises(DivergenceError, match=expected):
        fit_replicates(tmp_path / "checkpoint", chosen(), False)


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("family", "mnf", "methods.ffg.inference: laplace cannot fit the family mnf; it fits: ffg"),
        ("objective", {"draws": 2}, "methods.ffg.objective.draws: found 2, which laplace does no"),
        ("objective", {"kl_scale": 0}, "methods.ffg.objective.kl_scale: found 0, at which the po"),
    ],
)
def test_a_study_that_asks_more_of_it_is_refused(key, value, expected):
    raw = changed(("methods.ffg.inference", "laplace"), (f"methods.ffg.{key}", value))
    assert refusal(raw).startswith(expected)


def test_dropout_is_drawn_though_the_weights_are_not():
    network = nn.Sequential(nn.Linear(4, 50), nn.Dropout(0.5), nn.Linear(50, 2))
    family, state = FAMILIES["ffg"](), {}
    for layer in layers_of(network):
        module = network.get_submodule(layer.name)
        mean = {key: getattr(module, key).detach() for key in layer.shapes}
        sigma = {key: torch.ones_like(value) for key, value in mean.items()}
        state[layer.name] = family.from_gaussian(layer, mean, sigma)
    net = VariationalNetwork(network, family, state)
    net.stay_at_means()
    x, noise = torch.ones(3, 4), GeneratorNoise(torch.Generator().manual_seed(0))
    assert not torch.equal(net(x, noise), net(x, noise))
    net.eval()
    assert torch.equal(net(x, noise), net(x, None))
