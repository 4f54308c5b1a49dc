"""Online Laplace with Kronecker factors: Bayes' rule where it is exact, and the stored chain."""

import dataclasses

import pytest
import torch
from bad_studies import refusal
from linear_regression import INPUTS, VARIANCE, WIDTH, fit, joined
from replicate_fits import CLASSES, assert_close, part, settings, stage_of
from replicate_fits import fit as fit_replicates
from small_study import changed

from incbayes.curvature.kronecker import kronecker_factors, nearest_product
from incbayes.data.part import Part
from incbayes.families import kron
from incbayes.inference import laplace
from incbayes.inference.laplace import OnlineLaplace
from incbayes.inference.objective import Objective
from incbayes.inference.stage import family_of
from incbayes.kinds import FAMILIES, LIKELIHOODS
from incbayes.networks.layers import layers_of
from incbayes.posterior.build import fresh_network, with_weights
from incbayes.study.model import KindSpec

MLP = {"kind": "mlp", "widths": [5]}
PARTS = 3


@pytest.fixture
def quadratic(monkeypatch):
    """Take for the factors those of linear regression: F = XᵀX / N ⊗ 1/variance, exactly."""

    def curvature(network, part, kind, generator, likelihood, names):
        x = part.images
        one = torch.eye(1, dtype=torch.float64)
        return {"0": (x.T @ x / len(x), one / VARIANCE)}

    monkeypatch.setattr(laplace, "kronecker_factors", curvature)


def correlated_parts():
    """Return parts whose inputs are correlated, each in its own way."""
    generator = torch.Generator().manual_seed(5)
    true = torch.tensor([[0.8, -1.2, 0.3]], dtype=torch.float64)
    for _ in range(PARTS):
        mixing = torch.randn(INPUTS, INPUTS, generator=generator, dtype=torch.float64)
        x = torch.randn(12, INPUTS, generator=generator, dtype=torch.float64) @ mixing
        noise = torch.randn(12, 1, generator=generator, dtype=torch.float64)
        yield Part(x, x @ true.T + VARIANCE**0.5 * noise)


@pytest.mark.parametrize("temper", [1.0, 0.2])
@pytest.mark.parametrize("number", [1, PARTS])
def test_with_one_output_the_chain_is_the_rule_of_bayes_for_a_full_covariance(
    number, temper, quadratic
):
    """With one output Σ A_k ⊗ g is a product again, so that nothing is lost from part to part."""
    parts = list(correlated_parts())
    whole = joined(parts)
    x, y, variance = whole.images, whole.labels, VARIANCE * temper
    precision = x.T @ x / variance + torch.eye(INPUTS, dtype=torch.float64) / WIDTH**2
    assert (precision - precision.diag().diag()).abs().max() > 1  # not a diagonal one
    mean = torch.linalg.solve(precision, x.T @ y / variance).T
    algorithm, objective = OnlineLaplace(), Objective(kl_scale=temper)
    found, sigma = fit(
        parts if number > 1 else [whole],
        algorithm.begin,
        algorithm.trained,
        objective,
        family=FAMILIES["kron"](),
        epochs=4000,
    )
    torch.testing.assert_close(found, mean, rtol=1e-4, atol=1e-4)
    expected = torch.linalg.inv(precision).diag().sqrt()[None]
    torch.testing.assert_close(sigma, expected, rtol=1e-9, atol=0)


def chosen(options=None, **changes):
    made = settings("kron", model=MLP, epochs=2)
    return dataclasses.replace(made, inference=KindSpec("laplace", options or {}), **changes)


@pytest.mark.parametrize("decay", [1.0, 0.6])
def test_a_chain_keeps_the_product_nearest_to_the_sum_of_its_parts(decay, tmp_path):
    method, parts = chosen({"precision_decay": decay}), [part(seed) for seed in range(3)]
    first = fit_replicates(tmp_path / "first", method, False, parts)
    second = fit_replicates(tmp_path / "second", method, False, parts[::-1], before=first)
    network = fresh_network(stage_of(method).architecture(CLASSES), 0).double()
    family, layers = family_of(method), layers_of(network)
    likelihood, names = LIKELIHOODS["categorical"](), [layer.name for layer in layers]
    kept = {layer.name: [] for layer in layers}
    for fitted, data in ((first, parts[0]), (second, parts[2])):
        state = fitted[0][0]
        with_weights(network, {la.name: family.mean(la, state[la.name]) for la in layers})
        found = kronecker_factors(network, data, "ggn", torch.Generator(), likelihood, names)
        for layer in layers:
            inputs, outputs = found[layer.name]
            before = [(decay * a, g) for a, g in kept[layer.name]]
            kept[layer.name] = [nearest_product([*before, (20 * inputs, outputs)])]
            stored = kron.factors(state[layer.name])
            (expected,) = kept[layer.name]
            torch.testing.assert_close(torch.kron(*stored), torch.kron(*expected))
    for layer in layers:
        tau = second[0][0][layer.name]["log_tau"].exp()
        expected = torch.full_like(tau, decay**2 * layer.fan_in / 2)
        torch.testing.assert_close(tau, expected, rtol=1e-6, atol=0)
        assert family.sigma(layer, second[0][0][layer.name]).std() > 0


def test_in_the_loss_is_the_penalty_and_in_the_history_no_divergence(tmp_path):
    for state, history in fit_replicates(tmp_path / "checkpoint", chosen(), False).values():
        assert all("inputs_basis" in tensors for tensors in state.values())
        assert history[-1]["penalty"] > 0 and "kl" not in history[-1]
        loss = 20 * history[-1]["nll"] + history[-1]["penalty"]
        assert history[-1]["elbo"] == pytest.approx(-loss)


@pytest.mark.parametrize("changes", [{}, {"bayesian": "last_layer"}])
def test_stacked_replicates_end_where_each_alone_does(changes, tmp_path):
    method, lines = chosen(**changes), []
    alone = fit_replicates(tmp_path / "alone", method, False)
    stacked = fit_replicates(tmp_path / "stacked", method, True, log=lines.append)
    assert not lines
    for replicate, (state, history) in stacked.items():
        expected, other = alone[replicate]
        # Eigenvectors may differ in their signs: what they stand for may not.
        for layer, tensors in state.items():
            if "log_tau" in tensors:
                for found, wanted in zip(
                    kron.factors(tensors), kron.factors(expected[layer]), strict=True
                ):
                    torch.testing.assert_close(found, wanted, rtol=1e-7, atol=1e-9)
            else:
                torch.testing.assert_close(tensors["weight"], expected[layer]["weight"])
        assert history[-1] == pytest.approx(other[-1], rel=1e-8)


def test_a_killed_job_goes_on_to_the_same_bits_in_the_second_stage(tmp_path):
    method = chosen()
    before = fit_replicates(tmp_path / "first", method, False)
    whole = fit_replicates(tmp_path / "whole", method, False, before=before)

    class StopError(Exception):
        pass

    steps = iter(range(99))

    def stop(*_):
        if next(steps) == 4:
            raise StopError

    again = {"before": before, "seconds": 0}
    with pytest.raises(StopError):
        fit_replicates(tmp_path / "cut", method, False, on_step=stop, **again)
    assert_close(fit_replicates(tmp_path / "cut", method, False, **again), whole, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ((), "methods.ffg.inference: vi cannot fit the family kron, which is fitted by: laplace"),
        (
            (("methods.ffg_laplace.inference", "laplace"), ("methods.ffg_laplace.family", "kron")),
            "methods.ffg_laplace.prior: laplace has a width for every weight, and the family kron",
        ),
    ],
)
def test_a_study_that_asks_more_of_the_family_is_refused(changes, expected):
    raw = changed(*(changes or [("methods.ffg.family", "kron")]))
    assert refusal(raw).startswith(expected)
