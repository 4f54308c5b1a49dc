"""The Gaussian of SWAG: what its draws are, exactly, and over the layers of a network."""

import pytest
import torch
from cases import LAYERS, gaussian, layer_and_input
from torch import nn

from incbayes.families.swag import Swag
from incbayes.networks.layers import Layer, layers_of, plain_weights
from incbayes.networks.noise import GeneratorNoise
from incbayes.posterior.build import Architecture, fresh_network, with_weights
from incbayes.posterior.predict import Passes, Predictor
from incbayes.study.model import KindSpec

RANK = 3
FAMILY = Swag(rank=RANK)
NETWORK = nn.Sequential(nn.Conv2d(1, 2, 2), nn.Flatten(), nn.Linear(8, 2, bias=False))


class Given:
    """Hands out a long vector of draws, piece by piece."""

    def __init__(self, draws):
        self.draws, self.taken = draws, 0

    def normal(self, shape, like):
        count = torch.Size(shape).numel()
        piece = self.draws[self.taken : self.taken + count]
        self.taken += count
        return piece.view(shape)

    def normal_like(self, output):
        return self.normal(output.shape, output)


def random_state(layer, seed):
    mean, _ = gaussian(layer, seed)
    generator = torch.Generator().manual_seed(seed)
    state = FAMILY.from_gaussian(layer, *gaussian(layer, seed))
    for key in layer.shapes:
        columns = torch.randn(RANK, *layer.shapes[key], generator=generator, dtype=torch.float64)
        state |= {key: mean[key], f"{key}_deviations": columns}
    return state


def flat(layers, states, suffix):
    return torch.cat([states[o.name][f"{k}{suffix}"].flatten() for o in layers for k in o.shapes])


def test_the_covariance_of_draws_over_all_layers_is_that_of_the_formula():
    layers = layers_of(NETWORK)
    states = {layer.name: random_state(layer, seed) for seed, layer in enumerate(layers)}
    mean, variance = flat(layers, states, ""), flat(layers, states, "_variance")
    columns = torch.stack(
        [
            torch.cat(
                [states[o.name][f"{k}_deviations"][c].flatten() for o in layers for k in o.shapes]
            )
            for c in range(RANK)
        ],
        1,
    )

    def draw(noise):
        given = Given(noise)
        shared = FAMILY.shared(states, given)
        drawn = [FAMILY.sample(o, states[o.name] | shared, given) for o in layers]
        found = torch.cat(
            [w[k].flatten() for o, w in zip(layers, drawn, strict=True) for k in o.shapes]
        )
        assert given.taken == len(noise)
        return found

    numbers = RANK + len(mean)
    assert torch.equal(draw(torch.zeros(numbers, dtype=torch.float64)), mean)
    # A draw is linear in its noise: its matrix, column by column, has the covariance A·Aᵀ.
    matrix = torch.stack([draw(row) - mean for row in torch.eye(numbers, dtype=torch.float64)], 1)
    expected = (torch.diag(variance) + columns @ columns.T) / 2
    torch.testing.assert_close(matrix @ matrix.T, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("geometry", LAYERS)
def test_a_gaussian_keeps_mean_and_width_and_every_layer_can_be_drawn(geometry):
    layer, x = layer_and_input(geometry)
    mean, sigma = gaussian(layer, seed=3)
    state = FAMILY.from_gaussian(layer, mean, sigma)
    torch.testing.assert_close(FAMILY.sigma(layer, state), sigma["weight"])
    given = Given(torch.ones(10_000, dtype=torch.float64))
    drawn = FAMILY.sample(layer, state, given)
    for key in layer.shapes:
        torch.testing.assert_close(drawn[key], mean[key] + sigma[key])
    torch.testing.assert_close(
        FAMILY.forward(layer, state, x, given), layer.apply(x, mean["weight"], mean.get("bias"))
    )


def test_the_marginal_width_is_that_of_many_draws():
    layer = Layer.of("layer", nn.Linear(3, 2))
    state, noise = random_state(layer, 5), GeneratorNoise(torch.Generator().manual_seed(1))
    drawn = torch.stack([FAMILY.sample(layer, state, noise)["weight"] for _ in range(20_000)])
    ratio = drawn.std(0) / FAMILY.sigma(layer, state)
    assert (ratio - 1).abs().max() < 6 / (2 * len(drawn)) ** 0.5


def test_predictions_are_those_of_networks_drawn_with_one_vector_for_all_layers():
    architecture = Architecture(KindSpec("mlp", {"widths": [4, 3]}), (1, 3, 3), 2)
    plain = fresh_network(architecture, 1)
    states = {
        layer.name: {k: v.float() for k, v in random_state(layer, seed).items()}
        for seed, layer in enumerate(layers_of(plain))
    }
    images = torch.randn(5, 1, 3, 3, generator=torch.Generator().manual_seed(0))
    predictor = Predictor(architecture, FAMILY, Passes(torch.device("cpu"), 2))
    found = list(predictor.draws(states, images, 2, torch.Generator().manual_seed(7)))
    noise = GeneratorNoise(torch.Generator().manual_seed(7))
    for predicted in found:
        z = torch.randn(RANK, generator=noise.generator)
        weights = plain_weights(plain)
        for name, state in states.items():
            for key in weights[name]:
                scale = (state[f"{key}_variance"] / 2).sqrt()
                low_rank = torch.tensordot(z, state[f"{key}_deviations"], 1) / 2**0.5
                weights[name][key] = state[key] + scale * noise.normal_like(scale) + low_rank
        with torch.no_grad():
            logits = with_weights(plain, weights)(images)
        torch.testing.assert_close(predicted, logits.double().log_softmax(-1), rtol=1e-5, atol=1e-6)
