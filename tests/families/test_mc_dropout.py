"""Dropout as a distribution over weights: masks enumerated, per image and per draw."""

import itertools

import pytest
import torch
from cases import LAYERS, layer_and_input, noise
from replicate_fits import CLASSES, assert_close, fit, part, settings, stage_of

from incbayes.evaluation.evidence import MeanEntropy, entropy
from incbayes.families.mc_dropout import McDropout
from incbayes.inference.stage import family_of
from incbayes.networks.layers import layers_of, plain_weights
from incbayes.posterior.build import Architecture, fresh_network, variational
from incbayes.posterior.predict import Passes, Predictor
from incbayes.study.model import KindSpec

RATE = 0.3
FAMILY = McDropout(rate=RATE)
WIDTHS = [3, 2]
TINY = Architecture(KindSpec("mlp", {"widths": WIDTHS}), (1, 2, 2), 3)
SAMPLES = 4000


class Given:
    """Hands out draws of which those of dropped units are far below zero."""

    def __init__(self, kept):
        self.kept = iter(kept)

    def normal(self, shape, like):
        count = torch.Size(shape).numel()
        kept = [next(self.kept) for _ in range(count)]
        return torch.where(torch.tensor(kept), 9.0, -9.0).to(like).view(shape)


def state_of(layer, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return {
        key: torch.randn(shape, generator=generator, dtype=torch.float64)
        for key, shape in layer.shapes.items()
    }


@pytest.mark.parametrize("geometry", [name for name in LAYERS if name != "embedding"])
def test_units_dropped_of_an_image_are_columns_dropped_of_the_weights(geometry):
    layer, x = layer_and_input(geometry)
    state, image = state_of(layer), x[:1]
    units = image.shape[1] if layer.is_convolution else image.shape[-1]
    for kept in itertools.product([False, True], repeat=units):
        given = Given(kept)
        weights = FAMILY.sample(layer, state, given)
        assert next(given.kept, None) is None
        drawn = layer.apply(image, weights["weight"], weights.get("bias"))
        found = FAMILY.forward(layer, state, image, Given(kept))
        torch.testing.assert_close(found, drawn)
        # By its definition: inputs that are zero, the others scaled up.
        factors = torch.tensor(kept, dtype=torch.float64) / (1 - RATE)
        shape = (1, -1, *(1,) * len(layer.kernel)) if layer.is_convolution else (-1,)
        masked = layer.apply(image * factors.view(shape), state["weight"], state.get("bias"))
        torch.testing.assert_close(found, masked)


def test_in_half_precision_units_are_dropped_as_often_and_scaled_up_as_much():
    layer, _ = layer_and_input("linear")
    units = layer.weight_shape[1]
    x = torch.ones(400_000 // units, units, dtype=torch.bfloat16)
    state = {"weight": torch.eye(units)[: layer.weight_shape[0]].to(x)}
    made = McDropout(rate=0.25).forward(layer, state, x, noise())
    assert made.dtype == torch.bfloat16
    share = (made == 0).double().mean()
    assert abs(share - 0.25) < 5 * (0.25 * 0.75 / made.numel()) ** 0.5


@pytest.fixture(scope="module")
def exact():
    """Return weights, images, and every network's chance and ln p(y | x), by enumeration."""
    plain = fresh_network(TINY, 4)
    weights = {o: {k: 3 * v for k, v in w.items()} for o, w in plain_weights(plain).items()}
    images = torch.randn(6, 1, 2, 2, generator=torch.Generator().manual_seed(1))
    names = list(weights)
    chances, predicted = [], []
    for kept in itertools.product([0.0, 1.0], repeat=sum(WIDTHS)):
        masks = [torch.ones(4), *torch.tensor(kept).split(WIDTHS)]
        masks = [masks[0], *(mask / (1 - RATE) for mask in masks[1:])]
        x = images.flatten(1)
        for position, (name, mask) in enumerate(zip(names, masks, strict=True)):
            x = torch.nn.functional.linear(x * mask, weights[name]["weight"], weights[name]["bias"])
            x = x.relu() if position < len(names) - 1 else x
        chances.append((1 - RATE) ** sum(kept) * RATE ** (len(kept) - sum(kept)))
        predicted.append(x.double().log_softmax(-1))
    assert sum(chances) == pytest.approx(1)
    return weights, images, torch.tensor(chances, dtype=torch.float64), torch.stack(predicted)


def test_the_predictive_is_the_expectation_over_all_masks(exact):
    weights, images, chances, predicted = exact
    predictor, spread = Predictor(TINY, FAMILY, Passes(torch.device("cpu"), 4)), MeanEntropy()
    generator = torch.Generator().manual_seed(0)
    found = predictor.predictive(weights, images, SAMPLES, generator, spread.heard)
    mean = torch.einsum("m,mnk->nk", chances, predicted.exp())
    deviation = (torch.einsum("m,mnk->nk", chances, predicted.exp().square()) - mean**2).sqrt()
    assert deviation.max() > 0.1
    assert ((found.exp() - mean).abs() < 5 * deviation / SAMPLES**0.5 + 1e-6).all()
    entropies = torch.stack([entropy(one) for one in predicted])
    expected = entropy(mean.log()) - chances @ entropies
    information = entropy(found) - spread.value()
    assert expected.max() > 0.05
    torch.testing.assert_close(information, expected, rtol=0.1, atol=0.01)


def test_every_draw_is_one_of_the_networks_the_same_for_all_images(exact):
    weights, images, _, predicted = exact
    predictor = Predictor(TINY, FAMILY, Passes(torch.device("cpu"), 2))
    for drawn in predictor.draws(weights, images, 20, torch.Generator().manual_seed(3)):
        differences = (predicted - drawn).abs().flatten(1).amax(1)
        assert differences.min() < 1e-5
    plain = predictor.mean(weights, images)
    full = predicted[-1]
    assert not torch.allclose(plain, full)  # without masks nothing is scaled up


def test_in_training_every_image_has_masks_of_its_own(exact):
    weights, images, chances, predicted = exact
    network = variational(TINY, FAMILY, weights)
    repeated = images[:1].expand(SAMPLES, -1, -1, -1)
    outputs = network(repeated, noise(2)).detach().double().log_softmax(-1).exp()
    mean = torch.einsum("m,mk->k", chances, predicted[:, 0].exp())
    deviation = outputs.std(0) / SAMPLES**0.5
    assert outputs.std(0).max() > 0.1
    assert ((outputs.mean(0) - mean).abs() < 5 * deviation).all()


def test_no_column_of_the_data_is_dropped_where_several_layers_read_them():
    table = Architecture(
        {"kind": "embedding_mlp", "categories": [3, 0, 5], "widths": [6, 4]}, (9, 1, 1), 2
    )
    layers = layers_of(fresh_network(table, 0))
    # A vector for each of two features, and the layer that the third, a number, feeds.
    assert [FAMILY.drops(layer) for layer in layers] == [False, False, False, True, True]


def test_the_first_layer_and_embeddings_are_left_whole():
    first, *others = layers_of(fresh_network(TINY, 0))
    assert not FAMILY.drops(first) and all(FAMILY.drops(layer) for layer in others)
    layer, x = layer_and_input("embedding")
    state = state_of(layer)
    assert torch.equal(
        FAMILY.forward(layer, state, x, Given([])), layer.apply(x, state["weight"], None)
    )


def test_a_chain_is_fitted_with_dropout_and_predicts_with_it(tmp_path):
    parts = [part(seed, dtype=torch.float32) for seed in range(3)]
    model = {"kind": "mlp", "widths": [6]}
    dropped, plain = settings("mc_dropout", model=model), settings("point", model=model)
    first = fit(tmp_path / "first", dropped, False, parts)
    second = fit(tmp_path / "second", dropped, False, parts, before=first)
    without = fit(tmp_path / "plain", plain, False, parts)
    assert first[0][0].keys() == without[0][0].keys()
    layer = list(first[0][0])[-1]
    assert not torch.equal(first[0][0][layer]["weight"], without[0][0][layer]["weight"])
    assert "kl" not in second[0][1][-1] and "sigma_ratio" not in second[0][1][-1]
    architecture = stage_of(dropped).architecture(CLASSES)
    predictor = Predictor(architecture, family_of(dropped), Passes(torch.device("cpu"), 7))
    draws = list(
        predictor.draws(second[0][0], parts[0].images, 8, torch.Generator().manual_seed(0))
    )
    assert any(not torch.equal(draws[0], drawn) for drawn in draws[1:])


def test_replicates_take_their_steps_stacked_with_the_masks_of_each(tmp_path):
    chosen, lines = settings("mc_dropout", {"rate": 0.4}, model={"kind": "digits_net"}), []
    alone = fit(tmp_path / "alone", chosen, False)
    stacked = fit(tmp_path / "stacked", chosen, True, log=lines.append)
    assert_close(stacked, alone, rtol=1e-8, atol=1e-12)
    assert not lines
