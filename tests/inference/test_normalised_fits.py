"""Fits of networks with normalisation, dropout and skipped layers, and of some layers alone."""

from dataclasses import replace
from pathlib import Path

import own_nets
import pytest
import torch
from cases import TRAINED, noise
from refusals import refusal
from replicate_fits import CLASSES, SHAPE, assert_close, cast, fit, part, settings, stage_of
from tiny_chain import SETTINGS, tiny_chain
from torch import nn
from torch.distributions import Normal, kl_divergence

from incbayes.evaluation.score import Evaluation, predictor_of
from incbayes.inference.stage import family_of, first_start
from incbayes.networks.dropout import NoisyDropout
from incbayes.networks.layers import NetworkError, plain_weights
from incbayes.posterior.build import Architecture, fresh_network, variational
from incbayes.posterior.file import read_posterior
from incbayes.posterior.predict import Passes, Predictor
from incbayes.priors.base import Source
from incbayes.study.model import KindSpec

RESIDUAL = {"kind": f"file:{own_nets.__file__}:Residual"}
NORMS = ["block.0", "block.4", "norm"]
RUNNING = {"running_mean", "running_var"}


def of(family, **changes):
    return replace(settings(family, model=RESIDUAL), **changes)


def begun(chosen, replicate=0):
    return first_start(stage_of(chosen), replicate, CLASSES, Source())


class StopError(Exception):
    pass


@pytest.mark.parametrize("normalisation", ["point", "variational"])
@pytest.mark.parametrize("family", TRAINED)
def test_resuming_after_any_step_gives_the_same_bits(family, normalisation, tmp_path):
    chosen = of(family, normalisation=normalisation)
    undisturbed = fit(tmp_path / "none", chosen, False)
    for stop in (2, 5):
        steps = iter(range(1, 99))

        def interrupt(*_, steps=steps, stop=stop):
            if next(steps) == stop:
                raise StopError

        path = tmp_path / str(stop)
        with pytest.raises(StopError):
            fit(path, chosen, False, seconds=0, on_step=interrupt)
        assert_close(fit(path, chosen, False, seconds=0), undisturbed, rtol=0, atol=0)


def test_a_pass_of_training_is_that_of_torch_and_moves_the_same_statistics():
    model = RESIDUAL | {"dropout": 0.0}
    chosen = of("point", model=KindSpec.of(model))
    architecture = stage_of(chosen).architecture(CLASSES)
    plain = fresh_network(architecture, 3).train()
    network = variational(architecture, family_of(chosen), plain_weights(plain)).train()
    images = part(0, dtype=torch.float32).images
    for _ in range(2):
        torch.testing.assert_close(network(images, noise()), plain(images))
    for key in RUNNING:
        moved = getattr(plain.block[0], key)
        torch.testing.assert_close(network.state()["block.0"][key], moved)


@pytest.mark.parametrize("family", ["point", "ffg", "planar"])
def test_predictions_are_those_of_the_running_statistics_without_dropout(family, tmp_path):
    chosen = of(family)
    ((state, _), *_) = fit(tmp_path / "c", chosen, False).values()
    state = cast(state, torch.float32)
    assert state["block.0"]["running_var"].ne(1).any()
    stage, passes = stage_of(chosen), Passes(torch.device("cpu"), 7)
    predictor = Predictor(stage.architecture(CLASSES), family_of(chosen), passes)
    images = part(0, dtype=torch.float32).images
    plain = fresh_network(stage.architecture(CLASSES), 5)
    with torch.no_grad():
        for layer in predictor.layers:
            mean = family_of(chosen).mean(layer, state[layer.name])
            for key, value in (mean | {k: state[layer.name][k] for k in layer.buffers}).items():
                getattr(plain.get_submodule(layer.name), key).copy_(value)
        expected = plain.eval()(images).double().log_softmax(-1)
    found = predictor.mean(state, images)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    one = predictor.predictive(state, images, 3, torch.Generator().manual_seed(1))
    again = predictor.predictive(state, images, 3, torch.Generator().manual_seed(1))
    assert torch.equal(one, again) and torch.isfinite(one).all()


def test_statistics_travel_with_the_posterior_from_stage_to_stage(tmp_path):
    chain = tiny_chain(tmp_path).asked(settings=replace(SETTINGS, model=KindSpec.of(RESIDUAL)))
    for t in (1, 2):
        chain.fit(t)
    chain.evaluate()
    first, second = (read_posterior(chain.posterior(t)).states[0]["block.0"] for t in (1, 2))
    assert {"weight", "bias", *RUNNING} == set(first) == set(second)
    assert not torch.equal(first["running_mean"], second["running_mean"])
    text = Path(chain.outputs(1).training).read_text()
    header = text.splitlines()[0].split(",")
    assert "kl/head" in header and not {f"kl/{name}" for name in NORMS} & set(header)


def test_points_of_normalisation_cost_nothing_and_gaussians_their_kl():
    for normalisation in ("point", "variational"):
        chosen = of("ffg", normalisation=normalisation)
        start = begun(chosen)
        architecture = stage_of(chosen).architecture(CLASSES)
        network = variational(architecture, family_of(chosen), start.state)
        costs = network.kl(start.prior, noise())
        for name in NORMS:
            q, p = start.state[name], start.prior[name]
            if normalisation == "point":
                assert costs[name] == 0 and "weight" in q
                continue
            expected = sum(
                kl_divergence(*(Normal(s[f"{k}_mean"], s[f"{k}_log_sigma"].exp()) for s in (q, p)))
                .sum() for k in ("weight", "bias")
            )  # fmt: skip
            torch.testing.assert_close(costs[name], expected)
            assert (p["weight_mean"] == 1).all() and (p["bias_mean"] == 0).all()


def test_replicates_with_statistics_are_fitted_in_turn_and_the_log_says_why(tmp_path):
    lines = []
    together = fit(tmp_path / "a", of("ffg"), True, log=lines.append)
    assert lines == [
        "replicates are fitted in turn: layer block.0 has running statistics",
    ]
    assert_close(together, fit(tmp_path / "b", of("ffg"), False), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("bayesian", "wide"),
    [
        ("all", ["first", "block.3", "head"]),
        ("last_layer", ["head"]),
        (("first",), ["first"]),
        (("block.*", "head"), ["block.3", "head"]),
    ],
)
@pytest.mark.parametrize("complexity", ["closed_form", "monte_carlo"])
def test_layers_that_are_chosen_have_a_width_and_the_others_none(
    bayesian, wide, complexity, tmp_path
):
    chosen = of("ffg", bayesian=bayesian)
    chosen = replace(
        chosen, objective=settings("ffg", objective={"complexity": complexity}).objective
    )
    fitted = fit(tmp_path / "c", chosen, False)
    for state, history in fitted.values():
        found = [name for name, tensors in state.items() if "weight_log_sigma" in tensors]
        assert found == wide
        assert [key[3:] for key in history[-1] if key.startswith("kl/")] == wide
        assert history[-1]["kl"] == pytest.approx(sum(history[-1][f"kl/{name}"] for name in wide))
    start = begun(chosen).state["first"]
    moved = cast(fitted[0][0], torch.float32)["first"]
    assert all(not torch.equal(moved[key], start[key]) for key in start), "points are trained"


def test_scales_of_the_prior_are_not_asked_of_points():
    start = begun(of("mnf", bayesian="last_layer"))
    assert set(start.state["first"]) == {"weight", "bias"}
    assert "z_mean" in start.state["head"]


def test_a_pattern_of_no_layer_is_refused_with_the_names_that_there_are():
    text = refusal(lambda: begun(of("ffg", bayesian=("heat",))), NetworkError)
    assert text.endswith("bayesian: no layer is 'heat'; layers: first, block.3, head")


def test_a_family_refuses_a_layer_by_name():
    volume = KindSpec(f"file:{own_nets.__file__}:Volume")
    chosen = replace(settings("cfg", {"estimator": "local"}), model=volume)
    text = refusal(lambda: begun(chosen), NetworkError)
    assert "layer first (conv3d): its estimator local" in text and "give estimator: weight" in text
    begun(replace(chosen, family=KindSpec("cfg")))
    begun(replace(chosen, bayesian="last_layer"))


def test_what_is_usual_is_no_part_of_what_a_posterior_is_known_by():
    usual = of("ffg")
    assert not {"bayesian", "normalisation"} & usual.identity().keys()
    assert of("ffg", bayesian="last_layer").identity()["bayesian"] == "last_layer"


@pytest.mark.parametrize("module", [nn.Dropout(0.3), nn.Dropout2d(0.3)])
def test_dropout_drops_its_share_and_keeps_the_mean(module):
    dropout, x = NoisyDropout(module).train(), torch.ones(200, 20, 4, 5)
    dropout.noise = noise()
    made = dropout(x)
    torch.testing.assert_close(made.unique(), torch.tensor([0.0, 1 / 0.7]))
    units = made if isinstance(module, nn.Dropout) else made[..., 0, 0]
    assert abs((units == 0).double().mean() - 0.3) < 5 * (0.21 / units.numel()) ** 0.5
    if isinstance(module, nn.Dropout2d):
        assert torch.equal(made, made[..., :1, :1].expand_as(made))
    assert torch.equal(dropout.eval()(x), x)
    dropout.train().noise = None
    assert torch.equal(dropout(x), x)


@pytest.mark.parametrize("module", [nn.Dropout(0.05), nn.Dropout2d(0.05)])
def test_in_half_precision_it_drops_the_same_share(module):
    dropout, x = NoisyDropout(module).train(), torch.ones(2000, 200, 1, 1, dtype=torch.bfloat16)
    dropout.noise = noise()
    made = dropout(x)
    assert made.dtype == torch.bfloat16
    assert abs((made == 0).double().mean() - 0.05) < 5 * (0.05 * 0.95 / made.numel()) ** 0.5


@pytest.mark.parametrize("sigma", [0.01, 1.0])
def test_normalisation_starts_as_wide_as_the_family_says(sigma):
    chosen = settings("ffg", {"initial_sigma": sigma}, model=RESIDUAL)
    start = begun(replace(chosen, normalisation="variational"))
    for layer, own in start.state.items():
        for key in own:
            if key.endswith("_log_sigma"):
                ratio = (own[key] - start.prior[layer][key]).exp()
                torch.testing.assert_close(ratio, torch.full_like(ratio, sigma))


def test_no_and_whole_dropout():
    for share, expected in ((0.0, 1.0), (1.0, 0.0)):
        dropout = NoisyDropout(nn.Dropout(share)).train()
        dropout.noise = noise()
        assert torch.equal(dropout(torch.ones(3, 2)), torch.full((3, 2), expected))


def test_a_predictor_is_built_of_the_family_of_the_settings():
    chosen = of("ffg", bayesian="last_layer")
    evaluation = Evaluation(2, None, 8, None, 1.0, 5, "fp32")
    predictor = predictor_of(stage_of(chosen), CLASSES, evaluation, torch.device("cpu"))
    state = begun(chosen).state
    images = torch.randn(5, *SHAPE)
    assert torch.isfinite(predictor.predictive(state, images, 2, torch.Generator())).all()
    assert isinstance(stage_of(chosen).architecture(CLASSES), Architecture)
