"""The minibatch objective: an epoch of it is the bound of the part, whatever the weights β."""

import dataclasses
import math

import pytest
import torch
from cases import TRAINED_BAYESIAN, layer_and_input, noise, random_member
from torch import nn

from incbayes.inference.objective import Objective
from incbayes.kinds import FAMILIES
from incbayes.likelihoods.categorical import Categorical
from incbayes.posterior.network import VariationalNetwork
from incbayes.study.schema import study_schema

BATCHES = [1, 2, 7, 469, 1100, 5000]


def epoch_total(objective, logits, labels, kl, batches):
    """Return Σ_i (N/M)·loss_i over the minibatches of an epoch."""
    count, total = len(labels), 0.0
    for step, index in enumerate(torch.arange(count).tensor_split(batches)):
        weight = objective.kl_weight(step, 0, batches, batches)
        nll = Categorical().nll(logits[index], labels[index])
        total += objective.loss(nll, kl, weight, len(index), count, batches) * count / batches
    return total


@pytest.mark.parametrize("count, size", [(12, 4), (13, 4), (7, 10), (5, 1)])
@pytest.mark.parametrize("kl_scale", [1.0, 0.05])
@pytest.mark.parametrize("beta", ["uniform", "geometric", "none"])
def test_an_epoch_sums_to_the_negative_bound_of_the_part(count, size, kl_scale, beta):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(count, 3, generator=generator, dtype=torch.float64)
    labels = torch.randint(3, (count,), generator=generator)
    kl = torch.tensor(17.0, dtype=torch.float64)
    objective = Objective(kl_scale=kl_scale, beta=beta)
    total = epoch_total(objective, logits, labels, kl, math.ceil(count / size))
    nll = nn.functional.cross_entropy(logits, labels, reduction="sum")
    expected = nll + (0.0 if beta == "none" else kl_scale * kl)
    torch.testing.assert_close(total, expected)


@pytest.mark.parametrize("batches", BATCHES)
@pytest.mark.parametrize("beta", ["uniform", "geometric"])
def test_beta_sums_to_one_without_overflow(beta, batches):
    objective = Objective(1.0, beta=beta)
    weights = [objective.beta_weight(step, batches) for step in range(batches)]
    assert all(0.0 <= weight <= 1.0 for weight in weights)
    assert math.isclose(math.fsum(weights), 1.0, rel_tol=1e-12)


@pytest.mark.parametrize("batches", [1, 2, 7, 30])
def test_geometric_beta_is_the_formula_of_the_paper(batches):
    objective = Objective(1.0, beta="geometric")
    for i in range(1, batches + 1):
        expected = 2 ** (batches - i) / (2**batches - 1)
        assert math.isclose(objective.beta_weight(i - 1, batches), expected, rel_tol=1e-12)


def test_the_loss_is_the_mean_nll_of_the_minibatch_plus_the_kl_per_image():
    logits, labels = torch.randn(4, 3, dtype=torch.float64), torch.tensor([0, 1, 2, 0])
    objective = Objective(kl_scale=0.5)
    weight = objective.kl_weight(step=0, epoch=0, used=3, whole=3)
    nll = Categorical().nll(logits, labels)
    loss = objective.loss(nll, torch.tensor(6.0), weight, size=4, images=12, batches=3)
    mean = nn.functional.cross_entropy(logits, labels)
    torch.testing.assert_close(loss, mean + 0.5 * 6.0 / 12)


def test_the_published_likelihood_makes_the_kl_a_minibatch_too_heavy():
    nll, kl = torch.tensor(8.0), torch.tensor(6.0)
    right = Objective(1.0).loss(nll * 0, kl, 1 / 3, size=4, images=12, batches=3)
    published = Objective(1.0, likelihood="mean").loss(nll * 0, kl, 1 / 3, 4, 12, 3)
    torch.testing.assert_close(published, 4 * right)
    alone = Objective(1.0, likelihood="mean").loss(nll, kl, 0.0, 4, 12, 3)
    torch.testing.assert_close(alone, Objective(1.0).loss(nll, kl, 0.0, 4, 12, 3))


def test_batches_of_the_whole_set_lighten_the_uniform_weight_of_a_fraction():
    used = Objective(1.0).kl_weight(step=0, epoch=0, used=10, whole=100)
    whole = Objective(1.0, batches="whole_set").kl_weight(step=0, epoch=0, used=10, whole=100)
    assert math.isclose(used, 10 * whole)


OBJECTIVES = [
    Objective(kl_scale, beta, warmup_epochs=warmup, likelihood=likelihood, batches=batches)
    for kl_scale in (1.0, 0.05)
    for beta in ("uniform", "geometric", "none")
    for warmup in (0, 4)
    for likelihood in ("sum", "mean")
    for batches in ("used", "whole_set")
]


@pytest.mark.parametrize("objective", OBJECTIVES, ids=str)
@pytest.mark.parametrize("epoch", [0, 2, 7])
def test_the_recorded_weight_is_that_of_the_bound_which_an_epoch_sums_to(objective, epoch):
    used, whole, size, kl = 6, 60, 5, 17.0
    nlls = torch.rand(used, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    images = used * size
    total = sum(
        objective.loss(nll, kl, objective.kl_weight(step, epoch, used, whole), size, images, used)
        for step, nll in enumerate(nlls)
    )
    weight = objective.epoch_kl_weight(epoch, used, whole, images)
    # Of either likelihood the loss is a bound per image, that of a minibatch by its own images.
    torch.testing.assert_close(total * images / used, nlls.sum() + weight * kl)


def test_the_recorded_weight_of_known_settings():
    weight = lambda epoch=0, **keys: Objective(0.5, **keys).epoch_kl_weight(epoch, 10, 100, 60)  # noqa: E731
    assert weight() == pytest.approx(0.5)
    assert weight(batches="whole_set") == pytest.approx(0.05)
    assert weight(likelihood="mean") == pytest.approx(3.0)
    assert weight(warmup_epochs=5) == pytest.approx(0.1)
    assert weight(beta="geometric", batches="whole_set") == pytest.approx(0.5 * (1 - 2**-10))
    assert weight(beta="none") == 0


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("gap", [1.0, 100.0, 1e4])
def test_the_nll_of_training_is_exact_at_any_gap_between_logits(gap, dtype):
    logits = gap * torch.randn(64, 7, generator=torch.Generator().manual_seed(0))
    logits, labels = logits.to(dtype), torch.arange(64) % 7
    exact = nn.functional.cross_entropy(logits.double(), labels, reduction="sum")
    found = Categorical().nll(logits, labels)
    assert found.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    torch.testing.assert_close(found.double(), exact, rtol=1e-6, atol=0)
    assert gap < 1e4 or exact > 64 * 708


def test_warm_up_rises_linearly_within_a_stage():
    objective = Objective(0.5, warmup_epochs=4)
    weights = [objective.kl_weight(0, epoch, 1, 1) for epoch in range(6)]
    assert weights == pytest.approx([0.125, 0.25, 0.375, 0.5, 0.5, 0.5])


@pytest.mark.parametrize("name", TRAINED_BAYESIAN)
def test_monte_carlo_and_own_complexity_agree_in_expectation(name):
    family = FAMILIES[name]()
    layer, x = layer_and_input("linear")
    q, p = random_member(family, layer, 1), random_member(family, layer, 2)
    network = nn.Sequential(nn.Linear(5, 3).double())
    network = VariationalNetwork(network, family, {"0": q})
    network.keep_draws()
    source, draws = noise(3), 4000
    with torch.no_grad():
        costs, own = [], []
        for _ in range(draws):
            network(x, source)
            costs.append(network.cost_of_draw({"0": p})["0"])
            own.append(network.kl({"0": p}, source)["0"])
    costs, own = torch.stack(costs), torch.stack(own)
    error = (costs.var() / draws + own.var() / draws).sqrt()
    assert (costs.mean() - own.mean()).abs() < 4 * error


def test_the_schema_and_the_objective_agree_on_keys_and_defaults():
    described = study_schema()["properties"]["objective"]["properties"]
    fields = {field.name: field.default for field in dataclasses.fields(Objective)}
    assert set(described) == set(fields)
    for name, default in fields.items():
        assert default in (described[name]["default"], dataclasses.MISSING)
