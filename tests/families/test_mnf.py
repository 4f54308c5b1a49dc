"""The multiplicative normalising flow: its joint density and KL, z by z, against brute force."""

import dataclasses

import pytest
import torch
from cases import LAYERS, gaussian, layer_and_input, noise, random_member
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.distributions import Normal, kl_divergence

from incbayes.families.mnf import MultiplicativeNormalisingFlow
from incbayes.networks.layers import Layer
from incbayes.networks.noise import GeneratorNoise
from incbayes.posterior.build import Architecture
from incbayes.posterior.file import read_posterior, write_posterior
from incbayes.posterior.predict import Passes, Predictor

SOME = ["linear", "conv stride padding", "conv groups"]
ESTIMATORS = [("local", "batch"), ("local", "example"), ("weight", "batch")]
MNF = MultiplicativeNormalisingFlow


def bent_member(family, layer, seed, scale=0.5):
    """Return a member whose flow is far from the identity."""
    state, source = random_member(family, layer, seed), noise(seed + 50)
    return {
        key: scale * source.normal(value.shape, value) if key.startswith("flow") else value
        for key, value in state.items()
    }


def with_z_width(state, width):
    return state | {"z_log_sigma": torch.full_like(state["z_mean"], width).log()}


def single(state):
    return {key: value.float() for key, value in state.items()}


def over_weight(layer, z):
    return layer.over_positions(z)


def gaussian_kl(layer, q, p, z):
    """Return Σ KL(N(z·μ, σ²)‖N(z·μ̃, σ̃²)) of the weight, plus the bias's KL."""
    scale = {"weight": over_weight(layer, z), "bias": 1.0}
    return sum(
        kl_divergence(
            Normal(scale[key] * q[f"{key}_mean"], q[f"{key}_log_sigma"].exp()),
            Normal(scale[key] * p[f"{key}_mean"], p[f"{key}_log_sigma"].exp()),
        ).sum()
        for key in layer.shapes
    )


class Fixed:
    """Returns draws made beforehand, in order."""

    def __init__(self, draws):
        self.draws = iter(draws)

    def normal(self, shape, like):
        draw = next(self.draws)
        assert tuple(draw.shape) == tuple(shape)
        return draw

    def normal_like(self, output):
        return self.normal(output.shape, output)


class Recording(GeneratorNoise):
    """Remembers what it draws."""

    def __init__(self, seed):
        super().__init__(torch.Generator().manual_seed(seed))
        self.draws = []

    def normal(self, shape, like):
        self.draws.append(super().normal(shape, like))
        return self.draws[-1]


@pytest.mark.parametrize("geometry", LAYERS)
def test_z_is_per_filter_and_channel_or_per_input(geometry):
    layer, _ = layer_and_input(geometry)
    state = MNF().from_gaussian(layer, *gaussian(layer, seed=1))
    expected = layer.weight_shape[:2] if layer.is_convolution else layer.weight_shape[1:]
    assert state["z_mean"].shape == state["z_log_sigma"].shape == expected
    assert MNF().sample(layer, state, noise())["z"].shape == expected


@pytest.mark.parametrize("tau", [0.1, 1.0, 3.0])
@pytest.mark.parametrize("geometry", SOME)
def test_a_prior_of_zero_mean_has_the_gaussian_itself_as_marginal(geometry, tau):
    layer, _ = layer_and_input(geometry)
    family, (mean, sigma) = MNF(prior_z_sigma=tau), gaussian(layer, seed=1)
    zero = {key: torch.zeros_like(value) for key, value in mean.items()}
    prior = family.from_gaussian(layer, zero, sigma)
    source = noise()
    # ln q(w, z) splits into ln N(w | 0, σ²) + ln N(z | 1, τ²): w does not depend on z.
    for _ in range(5):
        draw = family.sample(layer, prior, source)
        of_w = sum(Normal(zero[key], sigma[key]).log_prob(draw[key]).sum() for key in zero)
        of_z = Normal(torch.ones_like(draw["z"]), tau).log_prob(draw["z"]).sum()
        torch.testing.assert_close(family.log_density(layer, prior, draw), of_w + of_z)
    torch.testing.assert_close(family.sigma(layer, prior), sigma["weight"], rtol=1e-14, atol=0)
    assert all(torch.equal(v, zero[key]) for key, v in family.mean(layer, prior).items())


@pytest.mark.parametrize("geometry", SOME)
def test_mean_and_width_are_exact_for_an_identity_flow(geometry):
    layer, _ = layer_and_input(geometry)
    family, (mean, sigma) = MNF(prior_z_sigma=0.7), gaussian(layer, seed=1)
    q = family.from_gaussian(layer, mean, sigma)
    width = (sigma["weight"] ** 2 + (0.7 * mean["weight"]) ** 2).sqrt()
    torch.testing.assert_close(family.mean(layer, q), mean)
    torch.testing.assert_close(family.sigma(layer, q), width)


@pytest.mark.parametrize("geometry", SOME)
def test_mean_and_width_are_those_of_sampled_weights(geometry):
    family, (layer, _) = MNF(), layer_and_input(geometry)
    q, source = random_member(family, layer, seed=2), noise(3)
    draws = torch.stack([family.sample(layer, q, source)["weight"] for _ in range(4000)])
    width = family.sigma(layer, q)
    error = (draws.mean(0) - family.mean(layer, q)["weight"]).abs() / width
    assert error.max() < 0.15  # 4.5 standard errors, and the flow's mean from 64 points
    assert (draws.std(0) / width - 1).abs().max() < 0.12


def test_start_is_centred_on_the_weights_and_narrow():
    layer, _ = layer_and_input("conv groups")
    family, (weights, _) = MNF(initial_sigma=0.2, prior_z_sigma=0.5), gaussian(layer, seed=1)
    mean, sigma = gaussian(layer, seed=2)
    prior = family.from_gaussian(layer, mean, sigma)
    q = family.start(layer, prior, weights, noise())
    torch.testing.assert_close(family.mean(layer, q), weights)
    torch.testing.assert_close(q["weight_log_sigma"].exp(), 0.2 * sigma["weight"])
    torch.testing.assert_close(q["z_log_sigma"].exp(), torch.full_like(q["z_mean"], 0.1))
    assert list(q) == list(prior)
    assert any((q[key] != 0).any() for key in q if key.startswith("flow"))


def test_the_density_of_z_integrates_to_one():
    layer = Layer.of("layer", nn.Linear(2, 1, bias=False))
    family = MNF(flow_steps=3, flow_width=8)
    q = bent_member(family, layer, seed=1)
    axis = torch.linspace(-25, 25, 401, dtype=torch.float64)
    z = torch.cartesian_prod(axis, axis)
    weight = torch.zeros(1, 2, dtype=torch.float64)

    def density(at):
        of_weight = Normal(at * q["weight_mean"], q["weight_log_sigma"].exp()).log_prob(weight)
        return family.log_density(layer, q, {"weight": weight, "z": at}) - of_weight.sum()

    total = torch.vmap(density)(z).exp().sum() * (axis[1] - axis[0]) ** 2
    assert abs(total.item() - 1) < 1e-3


@pytest.mark.parametrize("geometry", LAYERS)
@pytest.mark.parametrize("dtype, tolerance", [(torch.float64, 1e-9), (torch.float32, 1e-3)])
def test_kl_of_equal_posteriors_is_zero_at_every_z(geometry, dtype, tolerance):
    family, (layer, _) = MNF(), layer_and_input(geometry)
    q = {key: value.to(dtype) for key, value in bent_member(family, layer, seed=3).items()}
    source = noise(4)
    for _ in range(20):
        assert abs(family.kl(layer, q, q, source).item()) < tolerance


@pytest.mark.parametrize("geometry", SOME)
def test_kl_agrees_with_brute_force(geometry):
    family, (layer, _) = MNF(), layer_and_input(geometry)
    q, p = (bent_member(family, layer, seed, scale=0.2) for seed in (5, 6))
    differences = []
    for seed in range(1000):
        # The first draw of both is z, so that what z adds to their variance is common.
        ours, draw = family.kl(layer, q, p, noise(seed)), family.sample(layer, q, noise(seed))
        brute = family.log_density(layer, q, draw) - family.log_density(layer, p, draw)
        differences.append(ours - brute)
    differences = torch.stack(differences)
    assert differences.mean().abs() < 4 * differences.std() / len(differences) ** 0.5


@pytest.mark.parametrize("geometry", LAYERS)
def test_kl_with_identity_flows_is_that_of_gaussians_at_the_same_z(geometry):
    family, (layer, _) = MNF(), layer_and_input(geometry)
    q, p = (family.from_gaussian(layer, *gaussian(layer, seed)) for seed in (8, 9))
    standard = noise(1).normal((q["z_mean"].numel(),), q["z_mean"])
    z = (1 + standard).reshape(q["z_mean"].shape)
    # Both priors of z are N(1, τ²) and cancel: what is left is (21) less (22).
    expected = gaussian_kl(layer, q, p, z)
    torch.testing.assert_close(family.kl(layer, q, p, Fixed([standard])), expected)
    # Of equal means, nothing depends on z: the plain Gaussian KL.
    level = p | {"weight_mean": q["weight_mean"]}
    expected = gaussian_kl(layer, q, level, torch.ones_like(z))
    torch.testing.assert_close(family.kl(layer, q, level, noise(2)), expected)


def test_kl_of_z_with_identity_flows_is_that_of_gaussians_in_expectation():
    layer, _ = layer_and_input("linear")
    family = MNF(flow_steps=0)
    q, p = (random_member(family, layer, seed) for seed in (10, 11))
    p = p | {key: q[key] for key in p if not key.startswith("z")}
    source = noise(12)
    draws = torch.stack([family.kl(layer, q, p, source) for _ in range(4000)])
    q_z, p_z = (Normal(s["z_mean"], s["z_log_sigma"].exp()) for s in (q, p))
    expected = kl_divergence(q_z, p_z).sum()
    assert (draws.mean() - expected).abs() < 4 * draws.std() / len(draws) ** 0.5


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(SOME), st.floats(0, 0.5), st.floats(0.05, 2))
def test_kl_is_not_negative_on_average(seed, geometry, bend, width):
    layer, _ = layer_and_input(geometry)
    family = MNF(flow_width=10)
    q = with_z_width(bent_member(family, layer, seed, bend), width)
    p = bent_member(family, layer, seed + 1, bend)
    source = noise(seed)
    draws = torch.stack([family.kl(layer, q, p, source) for _ in range(100)])
    assert draws.mean() >= -4 * draws.std() / 10
    assert torch.isfinite(draws).all()


def relabelled(state, order):
    """Return the member in which the weights that share z[i] are those of z[order[i]].

    A flow has its own two halves, so that the order must not exchange entries between them.
    """
    cut = (len(order) + 1) // 2
    halves = [order[:cut], order[cut:] - cut]
    result = dict(state)
    for key in ("weight_mean", "weight_log_sigma"):
        value = state[key]
        grouped = value.flatten(0, 1)[order].view_as(value) if value.dim() == 4 else None
        result[key] = value[:, order] if grouped is None else grouped
    for key in ("z_mean", "z_log_sigma"):
        result[key] = state[key].flatten()[order].view_as(state[key])
    for step in range(sum(key.endswith("hidden_bias") for key in state)):
        moved, kept = halves[step % 2], halves[1 - step % 2]
        hidden, output = f"flow_{step}_hidden_weight", f"flow_{step}_output"
        result[hidden] = state[hidden][:, kept]
        both = torch.cat([moved, moved + len(moved)])
        result[f"{output}_weight"] = state[f"{output}_weight"][both]
        result[f"{output}_bias"] = state[f"{output}_bias"][both]
    return result


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(SOME))
def test_kl_is_invariant_to_the_labels_of_filters_and_channels_within_a_half(seed, geometry):
    layer, _ = layer_and_input(geometry)
    family, generator = MNF(flow_width=10), torch.Generator().manual_seed(seed)
    q, p = (bent_member(family, layer, seed + k) for k in (0, 1))
    size = q["z_mean"].numel()
    cut = (size + 1) // 2
    order = torch.cat([torch.randperm(cut, generator=generator), cut + torch.randperm(size - cut)])
    standard = torch.randn(size, generator=generator, dtype=torch.float64)
    torch.testing.assert_close(
        family.kl(layer, relabelled(q, order), relabelled(p, order), Fixed([standard[order]])),
        family.kl(layer, q, p, Fixed([standard])),
    )


@pytest.mark.parametrize("geometry", SOME)
def test_outputs_with_a_z_per_example_have_the_moments_of_sampled_weights(geometry):
    family = MNF(z_draw="example")
    layer, x = layer_and_input(geometry)
    q, source = random_member(family, layer, seed=7), noise(8)
    ours = torch.stack([family.forward(layer, q, x, source) for _ in range(2000)])
    weights = [family.sample(layer, q, source) for _ in range(2000)]
    brute = torch.stack([layer.apply(x, w["weight"], w.get("bias")) for w in weights])
    error = (ours.var(0) / len(ours) + brute.var(0) / len(brute)).sqrt() + 1e-9
    assert ((ours.mean(0) - brute.mean(0)).abs() / error).max() < 5
    ratio = (ours.var(0) + 1e-12) / (brute.var(0) + 1e-12)
    assert (ratio - 1).abs().max() < 6 * (4 / len(ours)) ** 0.5


@pytest.mark.parametrize("geometry", LAYERS)
def test_every_example_has_its_own_z_and_the_layer_is_otherwise_the_same(geometry):
    layer, x = layer_and_input(geometry)
    family = MNF(z_draw="example")
    q = bent_member(family, layer, seed=1)
    exact = {key: torch.full_like(q[key], -40.0) for key in q if key.endswith("log_sigma")}
    q = q | exact | {"z_log_sigma": q["z_log_sigma"]}
    source = Recording(2)
    output = family.forward(layer, q, x, source)
    for index, standard in enumerate(source.draws[0]):
        one = dataclasses.replace(family, z_draw="batch")
        draws = [standard, torch.zeros_like(output[:1])]
        expected = one.forward(layer, q, x[index : index + 1], Fixed(draws))
        torch.testing.assert_close(output[index : index + 1], expected)
    shared = MNF().forward(layer, q, x[:1].expand_as(x), noise())
    torch.testing.assert_close(shared[0], shared[1])
    own = family.forward(layer, q, x[:1].expand_as(x), noise())
    assert not torch.allclose(own[0], own[1])


@pytest.mark.parametrize("sigma", [1e-8, 1e-4, 1.0, 10.0])
@pytest.mark.parametrize("z_width", [1e-8, 1e-4, 1.0, 10.0])
@pytest.mark.parametrize("estimator, z_draw", ESTIMATORS)
def test_z_near_zero_and_extreme_widths_stay_finite(sigma, z_width, estimator, z_draw):
    family = MNF(estimator=estimator, z_draw=z_draw)
    layer = Layer.of("layer", nn.Conv2d(2, 3, 3, padding=1))
    mean, one = gaussian(layer, seed=1, low=1.0, high=1.0)
    p = single(family.from_gaussian(layer, mean, one))
    width = {key: torch.full_like(value, sigma) for key, value in mean.items()}
    q = family.from_gaussian(layer, mean, width)
    q = with_z_width(q, z_width) | {"z_mean": torch.zeros_like(q["z_mean"])}
    q = {key: value.requires_grad_() for key, value in single(q).items()}
    x = torch.zeros(2, 2, 6, 6)
    x[:, :, 2:4, 2:4] = 1.0
    value = family.forward(layer, q, x, noise()).square().sum() + family.kl(layer, q, p, noise())
    draw = family.sample(layer, q, noise())
    value = value + family.log_density(layer, q, draw) + family.kl(layer, p, q, noise())
    value.backward()
    assert torch.isfinite(value)
    assert all(torch.isfinite(v.grad).all() for v in q.values())
    assert torch.isfinite(family.sigma(layer, q)).all()


@pytest.mark.parametrize("geometry", SOME)
@pytest.mark.parametrize("estimator, z_draw", ESTIMATORS)
def test_autocast_computes_layers_low_and_densities_high(geometry, estimator, z_draw):
    layer, x = layer_and_input(geometry)
    family = MNF(estimator=estimator, z_draw=z_draw)
    q, p = (single(bent_member(family, layer, seed)) for seed in (1, 2))
    exact, expected = family.forward(layer, q, x.float(), noise()), family.kl(layer, q, p, noise())
    with torch.autocast("cpu", torch.bfloat16):
        output = family.forward(layer, q, x.bfloat16(), noise())
        assert torch.equal(family.kl(layer, q, p, noise()), expected)
    assert torch.isfinite(output).all()
    if estimator == "weight":  # noise of bfloat16 is another stream's
        scale = exact.abs().max()
        assert ((output - exact).abs() < 0.05 * scale).all()


@pytest.mark.parametrize("geometry", SOME)
@pytest.mark.parametrize("estimator, z_draw", ESTIMATORS)
def test_vmap_over_stacked_states_equals_the_loop(geometry, estimator, z_draw):
    layer, x = layer_and_input(geometry)
    family = MNF(estimator=estimator, z_draw=z_draw)
    pairs = [[bent_member(family, layer, seed + k) for k in (0, 10)] for seed in range(3)]

    def step(q, p, source):
        return family.forward(layer, q, x, source), family.kl(layer, q, p, source)

    sources = [Recording(seed) for seed in range(3)]
    expected = [step(q, p, source) for (q, p), source in zip(pairs, sources, strict=True)]
    stacked = [
        {key: torch.stack([pair[k][key] for pair in pairs]) for key in pairs[0][k]} for k in (0, 1)
    ]
    draws = [torch.stack(drawn) for drawn in zip(*(s.draws for s in sources), strict=True)]
    found = torch.vmap(lambda q, p, drawn: step(q, p, Fixed(drawn)))(*stacked, draws)
    for ours, theirs in zip(found, zip(*expected, strict=True), strict=True):
        torch.testing.assert_close(ours, torch.stack(theirs))


@pytest.mark.parametrize("geometry", SOME)
@pytest.mark.parametrize("estimator, z_draw", ESTIMATORS)
def test_a_gradient_step_lowers_the_loss(geometry, estimator, z_draw):
    layer, x = layer_and_input(geometry)
    family = MNF(estimator=estimator, z_draw=z_draw)
    p = family.from_gaussian(layer, *gaussian(layer, seed=1))
    q = random_member(family, layer, seed=2)

    def loss(state):
        output = family.forward(layer, state, x, noise(3))
        return output.square().mean() + 0.01 * family.kl(layer, state, p, noise(4))

    q = {key: value.requires_grad_() for key, value in q.items()}
    before = loss(q)
    gradients = torch.autograd.grad(before, list(q.values()))
    after = {key: v - 1e-3 * g for (key, v), g in zip(q.items(), gradients, strict=True)}
    assert loss(after) < before


def test_a_chain_through_the_artifact_goes_on_to_the_same_bits(tmp_path):
    family, (layer, x) = MNF(), layer_and_input("conv")
    q, p = (single(bent_member(family, layer, seed)) for seed in (1, 2))
    write_posterior(tmp_path / "posterior", {0: {"0": p}}, {})
    read = read_posterior(tmp_path / "posterior").states[0]["0"]
    assert list(read) == list(p)
    assert all(torch.equal(read[key], value) for key, value in p.items())
    assert torch.equal(family.kl(layer, q, read, noise()), family.kl(layer, q, p, noise()))
    outputs = [family.forward(layer, state, x.float(), noise()) for state in (read, p)]
    assert torch.equal(*outputs)


def test_predictions_leave_out_the_latent_variables():
    family, shape = MNF(), (1, 4, 4)
    model = {"kind": "mlp", "widths": [5]}
    predictor = Predictor(Architecture(model, shape, 3), family, Passes(torch.device("cpu"), 10))
    q = {layer.name: single(random_member(family, layer, 1)) for layer in predictor.layers}
    images = torch.randn(7, *shape, generator=torch.Generator().manual_seed(0))
    generator = torch.Generator().manual_seed(1)
    predicted = predictor.predictive(q, images, 5, generator)
    torch.testing.assert_close(predicted.logsumexp(-1), torch.zeros(7, dtype=torch.float64))
