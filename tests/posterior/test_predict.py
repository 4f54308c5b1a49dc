"""The predictive mean: an average over draws from q, whatever the size of a batch or of a logit."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from cases import BAYESIAN, OWN_SPREAD

from incbayes.data.part import Part
from incbayes.evaluation.score import Evaluation, calibration_table, predictions, score
from incbayes.families.ffg import FullyFactorisedGaussian
from incbayes.families.mixed import Mixed
from incbayes.families.point import Point
from incbayes.kinds import FAMILIES, METRICS
from incbayes.networks.layers import layers_of, plain_weights
from incbayes.networks.noise import GeneratorNoise
from incbayes.posterior.build import Architecture, fresh_network
from incbayes.posterior.predict import Passes, PredictionError, Predictor

SPEC, SHAPE, CLASSES = {"kind": "mlp", "widths": [6]}, (1, 3, 3), 4
OUTPUT = "3"
"""Name of the output layer of a perceptron with one hidden layer."""
EVALUATION = Evaluation(50, None, 7, None, 1.0, 5, "fp32")


def posterior(family, sigma):
    network = fresh_network(Architecture(SPEC, SHAPE, CLASSES), seed=1)
    weights = plain_weights(network)
    return {
        layer.name: family.from_gaussian(
            layer,
            weights[layer.name],
            {k: torch.full_like(v, sigma) for k, v in weights[layer.name].items()},
        )
        for layer in layers_of(network)
    }


def predictor(family, batch_size=7, precision="fp32"):
    return Predictor(
        Architecture(SPEC, SHAPE, CLASSES),
        family,
        Passes(torch.device("cpu"), batch_size, precision),
    )


def assert_sums_to_one(log_probabilities):
    """Check that every image's probabilities sum to 1 far closer than float32 could."""
    torch.testing.assert_close(
        log_probabilities.logsumexp(-1),
        torch.zeros(len(log_probabilities), dtype=torch.float64),
        rtol=0,
        atol=1e-13,
    )


def images(count=30):
    return torch.randn(count, *SHAPE, generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize("name", BAYESIAN)
def test_the_size_of_a_batch_changes_nothing(name):
    family = FAMILIES[name]()
    q = posterior(family, 0.3)
    one, other = (
        predictor(family, size).predictive(q, images(), 5, torch.Generator().manual_seed(3))
        for size in (4, 100)
    )
    torch.testing.assert_close(one, other)


@pytest.mark.parametrize("name", FAMILIES)
def test_low_precision_predicts_nearly_the_same(name):
    family = FAMILIES[name]()
    q = posterior(family, 0.3)
    exact, rounded = (
        predictor(family, precision=precision).predictive(
            q, images(), 20, torch.Generator().manual_seed(3)
        )
        for precision in ("fp32", "bf16")
    )
    difference = (exact.exp() - rounded.exp()).abs().max()
    assert 0 < difference < 0.01  # as the study's schema says
    assert_sums_to_one(rounded)


@pytest.mark.parametrize("name", BAYESIAN)
def test_the_predictive_mean_converges_and_rows_sum_to_one(name):
    family = FAMILIES[name]()
    q, p = posterior(family, 0.5), predictor(family)
    found = [
        p.predictive(q, images(), 1500, torch.Generator().manual_seed(seed)) for seed in (4, 5)
    ]
    halves = [half.exp() for half in found]
    assert (halves[0] - halves[1]).abs().max() < 0.05
    assert (halves[0] - p.mean(q, images()).exp()).abs().max() > 0.02
    assert_sums_to_one(found[0])


@pytest.mark.parametrize("name", [name for name in FAMILIES if name not in OWN_SPREAD])
def test_a_narrow_posterior_predicts_like_its_mean(name):
    family = FAMILIES[name]()
    q, p = posterior(family, 1e-6), predictor(family)
    drawn = p.predictive(q, images(), 3, torch.Generator().manual_seed(6))
    limit = 0.2 if name == "mnf" else 1e-4  # its z keeps a width of its own
    assert (drawn.exp() - p.mean(q, images()).exp()).abs().max() < limit


def test_a_point_has_one_predictor_and_a_family_that_is_drawn_from_two():
    part = Part(images(), torch.zeros(30, dtype=torch.int64))
    generator = torch.Generator().manual_seed(0)
    for name in FAMILIES:
        family = FAMILIES[name]()
        q = posterior(family, 0.1)
        names = [n for n, _ in predictions(predictor(family), q, part, EVALUATION, generator)]
        assert names == (["predictive"] if name == "point" else ["predictive", "mean"])


def test_records_are_tidy():
    log_p = torch.full((3, CLASSES), 0.25, dtype=torch.float64).log()
    records = score(log_p, torch.tensor([0, 1, 2]), EVALUATION, {"split": "test"})
    selective = ["aurc", *(f"accuracy_at_{share}" for share in (50, 60, 70, 80, 90))]
    assert [r["metric"] for r in records] == ["accuracy", "nll", "brier", "ece", *selective]
    assert all(r["split"] == "test" and isinstance(r["value"], float) for r in records)
    table = calibration_table(log_p, torch.tensor([0, 1, 2]), EVALUATION, {})
    assert [row["bin"] for row in table] == [0, 1, 2, 3, 4]


@dataclass(frozen=True)
class Scripted(Point):
    """Draws, one after another, networks that give the logits it is asked for."""

    draws: Iterator[torch.Tensor] = field(default_factory=lambda: iter(()))
    average: torch.Tensor = torch.zeros(0)

    def sample(self, layer, q, noise):
        """Return the next draw of the output layer; the hidden layer hands the image on."""
        return self._weights(layer, next(self.draws) if layer.name == OUTPUT else self.average)

    def mean(self, layer, q):
        """Return the network of the average."""
        return self._weights(layer, self.average)

    def _weights(self, layer, logits):
        weight = logits.T if layer.name == OUTPUT else torch.eye(len(logits))
        return {"weight": weight, "bias": torch.zeros(layer.weight_shape[0])}


def scripted(logits, precision="fp32"):
    """Return the predictive log-probabilities [N, K] of draws with the logits [S, N, K].

    And those of the mean, a network with the logits of the first.
    """
    draws, images, classes = logits.shape
    model, shape = {"kind": "mlp", "widths": [images]}, (1, 1, images)
    family = Scripted(draws=iter(logits), average=logits[0])
    p = Predictor(
        Architecture(model, shape, classes), family, Passes(torch.device("cpu"), 3, precision)
    )
    q = {layer.name: {} for layer in p.layers}
    pictures = torch.eye(images).view(images, *shape)
    return p.predictive(q, pictures, draws, torch.Generator()), p.mean(q, pictures)


def reference(logits):
    """Return ln (1/S)·Σ_s softmax(logits_s) of logits [S, N, K], in extended precision."""
    logits = np.asarray(logits, dtype=np.longdouble)
    total = np.longdouble(-np.inf)
    for table in logits:
        top = table.max(-1, keepdims=True)
        log_p = table - top - np.log(np.exp(table - top).sum(-1, keepdims=True))
        total = np.logaddexp(total, log_p)
    return total - np.log(np.longdouble(len(logits)))


@pytest.mark.parametrize("draws", [1, 2, 100])
@pytest.mark.parametrize("gap", [1.0, 103.0, 710.0, 1e4])
def test_log_probabilities_are_exact_at_any_gap_between_logits(gap, draws):
    generator = torch.Generator().manual_seed(draws)
    shared, own = (torch.randn(n, 8, 5, generator=generator) for n in (1, draws))
    logits = gap * (shared + 0.03 * own)
    predicted, mean = scripted(logits)
    exact = reference(logits.double().numpy())
    assert predicted.dtype == torch.float64
    np.testing.assert_allclose(predicted.numpy(), exact.astype(float), rtol=1e-12, atol=1e-13)
    first = reference(logits[:1].double().numpy()).astype(float)
    np.testing.assert_allclose(mean.numpy(), first, rtol=1e-12, atol=1e-13)
    labels = torch.arange(8) % 5
    nll = METRICS["nll"](predicted, labels, 5)
    assert nll == pytest.approx(float(-exact[np.arange(8), labels.numpy()].mean()), rel=1e-12)
    assert float(-exact.min()) > gap, "the gaps are as large as they are said to be"


@pytest.mark.parametrize("gap", [1.0, 64.0, 4096.0])
def test_low_precision_loses_nothing_behind_the_logits(gap):
    logits = (
        torch.randint(-64, 65, (7, 6, 5), generator=torch.Generator().manual_seed(1)) * gap / 64
    )
    predicted, _ = scripted(logits, "bf16")  # 8 bits of mantissa hold these logits
    exact = reference(logits.numpy()).astype(float)
    np.testing.assert_allclose(predicted.numpy(), exact, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("gap", [0.5, 200.0, 1e4])
def test_of_classes_that_draws_find_equally_probable_the_first_is_predicted(gap):
    draws = torch.tensor([[[gap, 0.0, -1.0]], [[0.0, gap, -1.0]]])
    for logits in (draws, draws.flip(0)):
        predicted, _ = scripted(logits)
        assert predicted[0, 0] == predicted[0, 1]
        accuracy = [METRICS["accuracy"](predicted, torch.tensor([y]), 5) for y in range(3)]
        assert accuracy == [1.0, 0.0, 0.0]


@pytest.mark.parametrize("gap", [1.0, 1e4])
def test_certainty_and_equal_draws_never_pass_a_probability_of_one(gap):
    for draws in range(1, 40):
        predicted, _ = scripted(torch.tensor([[[gap, -gap]]]).expand(draws, 1, 2))
        assert predicted.max() <= 0


def test_a_posterior_that_is_certain_and_wrong_is_scored_by_its_own_nll():
    family = FAMILIES["ffg"]()
    q, draws = posterior(family, 0.3), 20
    for state in q.values():
        state["weight_mean"] *= 60
    p = predictor(family)
    predicted = p.predictive(q, images(), draws, torch.Generator().manual_seed(8))
    labels = predicted.argmin(-1)
    noise, logits = GeneratorNoise(torch.Generator().manual_seed(8)), []
    for _ in range(draws):
        x = images().flatten(1).double()
        for layer in p.layers:
            w = family.sample(layer, q[layer.name], noise)
            x = x if layer is p.layers[0] else x.relu()
            x = x @ w["weight"].T.double() + w["bias"].double()
        logits.append(x.numpy())
    exact = float(-reference(logits)[np.arange(30), labels.numpy()].mean())
    assert exact > 300
    assert METRICS["nll"](predicted, labels, 5) == pytest.approx(exact, rel=1e-5)


HUGE = [
    ({"1": 1e38}, 1.0, "the output of layer 1 (Linear) is not finite, with weights of up to "),
    ({"1": 1e20, "3": 1e20}, 1.0, "the output of layer 3 (Linear) is not finite"),
    ({"1": math.inf}, 1.0, "1.weight is not finite"),
    ({"3": math.nan}, 1.0, "3.weight is not finite"),
    ({}, math.inf, "the scaled pixels of the images are not finite"),
]


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize(("weights", "pixels", "expected"), HUGE)
def test_what_is_not_finite_is_named(weights, pixels, expected, precision):
    family = FAMILIES["point"]()
    q, p = posterior(family, 0.1), predictor(family, precision=precision)
    for layer, value in weights.items():
        q[layer]["weight"].fill_(value)
    given = images() * 100
    given[17] *= pixels
    for predict, which in {
        lambda: p.mean(q, given): "the posterior mean: ",
        lambda: p.predictive(q, given, 4, torch.Generator()): "draw 1 of 4: ",
    }.items():
        with pytest.raises(PredictionError) as caught:
            predict()
        text = str(caught.value)
        assert text.startswith(which + expected) and len(text.splitlines()) == 1
        assert text.endswith("; fit it again with a smaller learning rate or a narrower prior")
    hooks = [module._forward_hooks for module in p.network.modules()]
    assert not any(hooks)


def test_huge_logits_that_are_finite_are_predicted():
    predicted, _ = scripted(torch.tensor([[[3e38, -3e38, 0.0]]]))
    assert predicted[0].tolist() == pytest.approx([0.0, -6e38, -3e38], rel=1e-6)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_linearised_draw_is_the_tangent_of_the_network_at_the_means(precision):
    family, exact = FullyFactorisedGaussian(prediction="linearised"), FullyFactorisedGaussian()
    q = posterior(family, 0.3)
    network = fresh_network(Architecture(SPEC, SHAPE, CLASSES), seed=1).double()
    x = images().double()
    mean = dict(network.named_parameters())
    jacobians = torch.func.jacrev(lambda w: torch.func.functional_call(network, w, (x,)))(mean)
    noise = GeneratorNoise(torch.Generator().manual_seed(8))
    found = predictor(family, precision=precision).draws(
        q, images(), 2, torch.Generator().manual_seed(8)
    )
    for log_probabilities in found:
        outputs = network(x)
        for layer in layers_of(network):
            drawn = exact.sample(layer, q[layer.name], noise)
            for key, value in drawn.items():
                name = f"{layer.name}.{key}"
                offset = (value.double() - mean[name]).flatten()
                outputs = outputs + jacobians[name].flatten(2) @ offset
        tolerance = {"fp32": 1e-5, "bf16": 0.2}[precision]
        expected = outputs.log_softmax(-1)
        torch.testing.assert_close(log_probabilities, expected, rtol=tolerance, atol=tolerance)


def test_layers_that_are_points_are_no_part_of_a_tangent():
    whole = FullyFactorisedGaussian(prediction="linearised")
    last = Mixed(FullyFactorisedGaussian(prediction="linearised"), "last_layer")
    sampled = Mixed(FullyFactorisedGaussian(), "last_layer")
    q = posterior(whole, 0.3)
    q["1"] = {key: q["1"][f"{key}_mean"] for key in ("weight", "bias")}
    one, other = (
        predictor(family).predictive(q, images(), 3, torch.Generator().manual_seed(8))
        for family in (last, sampled)
    )
    # A network is linear in its last layer.
    torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


def test_a_tangent_that_is_not_finite_is_named():
    family = FullyFactorisedGaussian(prediction="linearised")
    q = posterior(family, 1e38)
    with pytest.raises(PredictionError, match="^draw 1 of 4: the output of the linearised network"):
        predictor(family).predictive(q, images(), 4, torch.Generator().manual_seed(1))
