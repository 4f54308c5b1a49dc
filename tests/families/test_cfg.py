"""The channel-factorised Gaussian against dense Gaussians, and against `ffg` where it is one."""

import pytest
import torch
from cases import LAYERS, gaussian, layer_and_input, noise, random_member
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.distributions import MultivariateNormal, kl_divergence

from incbayes.kinds import FAMILIES
from incbayes.networks.layers import Layer
from incbayes.posterior.file import read_posterior, write_posterior

CFG, FFG = FAMILIES["cfg"], FAMILIES["ffg"]
ESTIMATORS = ["local", "weight"]
CONVOLUTIONS = [name for name, (module, _) in LAYERS.items() if hasattr(module, "kernel_size")]
FLAT = [name for name in CONVOLUTIONS if name.startswith("conv")]
HELD = [
    (estimator, name)
    for estimator in ESTIMATORS
    for name in LAYERS
    if estimator == "weight" or name in FLAT or name not in CONVOLUTIONS
]
DRAWS = 20_000


def dense(state):
    """Return μ [O, I, K] and L [O, I, K, K] entry by entry, as eq. (4) has them."""
    mean, diagonal = state["weight_mean"].flatten(2), state["weight_log_diagonal"].exp()
    entries = mean.shape[-1]
    unit = torch.eye(entries, dtype=mean.dtype).expand(*mean.shape, entries).clone()
    row, column = torch.tril_indices(entries, entries, -1)
    unit[..., row, column] = state["weight_lower"]
    return mean, diagonal[..., None] * unit


def distribution(state):
    mean, root = dense(state)
    return MultivariateNormal(mean, scale_tril=root)


def bias_of(state):
    return torch.distributions.Normal(state["bias_mean"], state["bias_log_sigma"].exp())


def member(layer, seed, spread=0.3):
    """Return a float64 state with correlations of either sign."""
    state = CFG().from_gaussian(layer, *gaussian(layer, seed))
    lower = state["weight_lower"]
    generator = torch.Generator().manual_seed(seed + 100)
    state["weight_lower"] = spread * torch.randn(lower.shape, generator=generator).double()
    return state


def kernels(filters=3, channels=2, side=3, bias=True):
    return Layer.of("layer", nn.Conv2d(channels, filters, side, bias=bias))


def near(state, by, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return {
        key: value + by * torch.randn(value.shape, generator=generator, dtype=value.dtype)
        for key, value in state.items()
    }


@pytest.mark.parametrize(("estimator", "geometry"), HELD)
def test_without_correlations_it_is_ffg(geometry, estimator):
    layer, x = layer_and_input(geometry)
    # Layers without kernels take the local estimator whatever is asked for.
    cfg, ffg = CFG(estimator), FFG(estimator if layer.is_convolution else "local")
    q, p = gaussian(layer, seed=3), gaussian(layer, seed=4)
    ours = [cfg.from_gaussian(layer, *g) for g in (q, p)]
    theirs = [ffg.from_gaussian(layer, *g) for g in (q, p)]
    close = torch.testing.assert_close
    outputs = [f.forward(layer, s[0], x, noise(5)) for f, s in ((cfg, ours), (ffg, theirs))]
    close(*outputs, rtol=1e-12, atol=1e-12)
    draws = [f.sample(layer, s[0], noise(6)) for f, s in ((cfg, ours), (ffg, theirs))]
    assert all(torch.equal(draws[0][key], draws[1][key]) for key in layer.shapes)
    close(cfg.kl(layer, *ours, noise()), ffg.kl(layer, *theirs, noise()), rtol=1e-12, atol=0)
    densities = [cfg.log_density(layer, s, draws[0]) for s in ours]
    expected = [ffg.log_density(layer, s, draws[0]) for s in theirs]
    close(densities, expected, rtol=1e-12, atol=0)
    close(cfg.sigma(layer, ours[0]), q[1]["weight"], rtol=1e-12, atol=0)
    started = cfg.start(layer, ours[1], q[0], noise())
    close(cfg.sigma(layer, started), ffg.sigma(layer, ffg.start(layer, theirs[1], q[0], noise())))


@pytest.mark.parametrize("geometry", CONVOLUTIONS)
def test_kl_and_density_are_those_of_dense_gaussians(geometry):
    layer, _ = layer_and_input(geometry)
    family, q, p = CFG(), member(layer, 5), member(layer, 6)
    draw = family.sample(layer, q, noise())
    kl = kl_divergence(distribution(q), distribution(p)).sum()
    density = distribution(q).log_prob(draw["weight"].flatten(2)).sum()
    if layer.has_bias:
        kl = kl + kl_divergence(bias_of(q), bias_of(p)).sum()
        density = density + bias_of(q).log_prob(draw["bias"]).sum()
    torch.testing.assert_close(family.kl(layer, q, p, noise()), kl)
    torch.testing.assert_close(family.log_density(layer, q, draw), density)


def test_samples_have_mean_covariance_and_marginal_width():
    family, one = CFG(), member(kernels(1, 1, 2, bias=False), 7, spread=0.7)
    many = {key: value.expand(DRAWS, *value.shape[1:]) for key, value in one.items()}
    draws = family.sample(kernels(DRAWS, 1, 2, bias=False), many, noise())["weight"].flatten(1)
    mean, covariance = distribution(one).mean[0, 0], distribution(one).covariance_matrix[0, 0]
    width = covariance.diagonal().sqrt()
    torch.testing.assert_close(family.sigma(kernels(1, 1, 2), one).flatten(), width)
    assert ((draws.mean(0) - mean).abs() / width).max() < 5 / DRAWS**0.5
    centred = (draws - mean) / width
    correlation = centred.T @ centred / DRAWS
    expected = covariance / (width[:, None] * width)
    assert expected.tril(-1).abs().max() > 0.3
    assert (correlation - expected).abs().max() < 5 * (2 / DRAWS) ** 0.5


@pytest.mark.parametrize("geometry", sorted(set(CONVOLUTIONS) - set(FLAT)))
def test_local_is_refused_by_name_for_what_it_cannot_have(geometry):
    layer, _ = layer_and_input(geometry)
    assert "estimator: weight" in CFG("local").refusal(layer)
    assert CFG("weight").refusal(layer) is None


@pytest.mark.parametrize("geometry", FLAT)
def test_local_variance_is_that_of_the_patches(geometry):
    layer, x = layer_and_input(geometry)
    family, q = CFG("local"), member(layer, 9, spread=0.7)

    class Constant:
        def normal(self, shape, like):
            return like.new_ones(shape)

    mean = layer.apply(x, q["weight_mean"], q.get("bias_mean"))
    std = family.forward(layer, q, x, Constant()) - mean
    # Column j of every L in turn as a kernel: Σ_c Σ_j (L_ncᵀ x_c)_j², channel by channel.
    _, root = dense(q)
    variance = torch.zeros_like(mean)
    for channel in range(layer.weight_shape[1]):
        for j in range(root.shape[-1]):
            kernel = torch.zeros(layer.weight_shape, dtype=x.dtype)
            kernel[:, channel] = root[:, channel, :, j].unflatten(-1, layer.weight_shape[2:])
            variance += layer.apply(x, kernel, None).square()
    if layer.has_bias:
        variance += layer.over_positions((2 * q["bias_log_sigma"]).exp())
    torch.testing.assert_close(std, variance.clamp_min(1e-30).sqrt())


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 10**6),
    side=st.sampled_from([(1, 2), (2, 2), (3, 3)]),
    width=st.sampled_from([1e-8, 1e-3, 1.0, 10.0]),
    distance=st.sampled_from([0.0, 1e-8, 1e-4, 1e-2, 1.0]),
    spread=st.sampled_from([0.0, 0.3, 2.0]),
)
def test_kl_is_never_negative_and_zero_only_between_equals(seed, side, width, distance, spread):
    layer, family = kernels(2, 2, side), CFG()
    p = member(layer, seed, spread)
    p["weight_log_diagonal"] = p["weight_log_diagonal"] + torch.tensor(width).double().log()
    q = near(p, distance, seed)
    kl = family.kl(layer, q, p, noise()).item()
    assert kl >= (0 if distance == 0 or distance >= 1e-4 else -1e-15)
    assert (kl < 1e-9) if distance == 0 else (kl > 0 or distance == 1e-8)


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10**6), data=st.data())
def test_kl_and_density_do_not_depend_on_the_order_of_kernels(seed, data):
    layer, family = kernels(3, 4), CFG()
    q, p = member(layer, seed), member(layer, seed + 1)
    filters = data.draw(st.permutations(range(3)))
    channels = data.draw(st.permutations(range(4)))

    def relabelled(state):
        return {
            key: value[filters] if key.startswith("bias") else value[filters][:, channels]
            for key, value in state.items()
        }

    draw = family.sample(layer, q, noise())
    close = torch.testing.assert_close
    close(
        family.kl(layer, relabelled(q), relabelled(p), noise()),
        family.kl(layer, q, p, noise()),
        rtol=1e-12,
        atol=0,
    )
    close(
        family.log_density(layer, relabelled(q), relabelled(draw)),
        family.log_density(layer, q, draw),
        rtol=1e-12,
        atol=1e-12,
    )


@pytest.mark.parametrize("distance", [1e-5, 1e-4, 1e-3, 1e-1])
def test_kl_in_float32_keeps_its_digits_near_equality(distance):
    layer, family = kernels(20, 10, 5), CFG()
    p = {key: value.float() for key, value in member(layer, 3, spread=0.3).items()}
    q = near(p, distance)
    exact = family.kl(
        layer, *({k: v.double() for k, v in state.items()} for state in (q, p)), noise()
    )
    kl = family.kl(layer, q, p, noise())
    assert abs(kl.item() / exact.item() - 1) < 1e-3
    assert family.kl(layer, p, p, noise()).item() == 0


@pytest.mark.parametrize("diagonal", [1e-30, 1e-8, 10.0])
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_diagonals_near_zero_stay_finite_in_float32(diagonal, estimator):
    layer, family = kernels(3, 2, 3), CFG(estimator)
    p = {key: value.float() for key, value in member(layer, 1).items()}
    q = {key: value.float() for key, value in member(layer, 2).items()}
    q["weight_log_diagonal"][..., 1::2] = torch.tensor(diagonal).log()
    q = {key: value.requires_grad_() for key, value in q.items()}
    x = torch.ones(2, 2, 5, 5)
    value = family.forward(layer, q, x, noise()).square().sum() + family.kl(layer, q, p, noise())
    value.backward()
    assert torch.isfinite(value)
    assert all(torch.isfinite(parameter.grad).all() for parameter in q.values())


def test_local_variance_that_cancels_to_nothing_stays_finite():
    layer, family = kernels(1, 1, 2, bias=False), CFG("local")
    q = {key: value.float() for key, value in member(layer, 1).items()}
    # L's columns sum to 0 but for the last, so that equal inputs see next to no variance.
    q["weight_log_diagonal"] = torch.tensor([0.0, 0.0, 0.0, -14.0]).expand(1, 1, 4).clone()
    q["weight_lower"] = torch.zeros(1, 1, 6)
    q["weight_lower"][..., [0, 2]] = -1.0
    q["weight_lower"][..., 5] = -torch.tensor(14.0).exp()
    q = {key: value.requires_grad_() for key, value in q.items()}
    output = family.forward(layer, q, torch.full((1, 1, 6, 6), 0.3), noise())
    output.sum().backward()
    assert torch.isfinite(output).all()
    assert all(torch.isfinite(parameter.grad).all() for parameter in q.values())


def test_it_starts_with_the_prior_s_correlations():
    layer, family = kernels(), CFG(initial_sigma=0.1)
    prior, weights = member(layer, 1), gaussian(layer, 2)[0]
    start = family.start(layer, prior, weights, noise())
    torch.testing.assert_close(dense(start)[1], 0.1 * dense(prior)[1])
    assert torch.equal(start["weight_mean"], weights["weight"])


def test_round_trip_through_the_artifact_is_exact(tmp_path):
    family = CFG()
    layers = {name: layer_and_input(name)[0] for name in ("conv", "linear")}
    states = {
        r: {name: random_member(family, layer, r) for name, layer in layers.items()} for r in (0, 1)
    }
    path = tmp_path / "posterior.safetensors"
    write_posterior(path, states, {"family": "cfg"})
    read = read_posterior(path).states
    for r, state in states.items():
        for name, layer in layers.items():
            assert all(torch.equal(read[r][name][key], state[name][key]) for key in state[name])
            assert family.kl(layer, state[name], read[r][name], noise()) == 0


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_bf16_autocast_rounds_products_only(estimator):
    layer, family = kernels(8, 4), CFG(estimator)
    q, p = ({k: v.float() for k, v in member(layer, seed).items()} for seed in (1, 2))
    x = torch.randn(4, 4, 8, 8, generator=torch.Generator().manual_seed(1))
    q = {key: value.requires_grad_() for key, value in q.items()}
    with torch.autocast("cpu", torch.bfloat16):
        output = family.forward(layer, q, x, noise())
        kl, draw = family.kl(layer, q, p, noise()), family.sample(layer, q, noise())
        density = family.log_density(layer, q, draw)
    assert output.dtype == torch.bfloat16
    output.float().sum().backward()
    assert all(torch.isfinite(parameter.grad).all() for parameter in q.values())
    assert torch.equal(kl, family.kl(layer, q, p, noise()))
    assert torch.equal(draw["weight"], family.sample(layer, q, noise())["weight"])
    assert torch.equal(density, family.log_density(layer, q, draw))
    if estimator == "weight":
        exact = family.forward(layer, q, x, noise())
        assert (output - exact).abs().max() < 0.02 * exact.abs().max()


@pytest.mark.parametrize(("estimator", "geometry"), HELD)
def test_a_small_step_down_the_gradient_lowers_the_loss(geometry, estimator):
    (layer, x), family = layer_and_input(geometry), CFG(estimator)
    p, q = (random_member(family, layer, seed) for seed in (1, 2))

    def loss(state):
        output = family.forward(layer, state, x, noise(3))
        return output.square().sum() + family.kl(layer, state, p, noise())

    q = {key: value.requires_grad_() for key, value in q.items()}
    before = loss(q)
    gradients = torch.autograd.grad(before, list(q.values()))
    assert all((gradient != 0).any() for gradient in gradients)
    lower = {k: v - 1e-5 * g for (k, v), g in zip(q.items(), gradients, strict=True)}
    assert loss(lower) < before


class Drawn:
    """Noise drawn beforehand, handed out in order."""

    def __init__(self, draws):
        self.draws = iter(draws)

    def normal(self, shape, like):
        draw = next(self.draws)
        assert draw.shape == tuple(shape)
        return draw


@pytest.mark.parametrize("geometry", ["conv stride padding", "conv groups"])
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_mapping_over_replicates_equals_the_loop(geometry, estimator):
    layer, x = layer_and_input(geometry)
    family, states = CFG(estimator), [member(layer, seed) for seed in (1, 2, 3)]
    shapes = list(layer.shapes.values())
    if estimator == "local":
        shapes = [layer.apply(x, states[0]["weight_mean"], None).shape]
    draws = [torch.randn(3, *shape, dtype=x.dtype) for shape in shapes]
    stacked = {key: torch.stack([state[key] for state in states]) for key in states[0]}
    p = member(layer, 4)

    def outputs(q, noises):
        kl = family.kl(layer, q, p, Drawn(noises))
        return family.forward(layer, q, x, Drawn(noises)), kl, family.sigma(layer, q)

    mapped = torch.func.vmap(outputs)(stacked, draws)
    loop = [outputs(state, [draw[r] for draw in draws]) for r, state in enumerate(states)]
    for ours, theirs in zip(mapped, zip(*loop, strict=True), strict=True):
        torch.testing.assert_close(ours, torch.stack(theirs))


def test_widths_learn_at_their_own_rate_and_correlations_do_not():
    layer = kernels()
    names = CFG().from_gaussian(layer, *gaussian(layer, 1))
    assert set(names) & CFG.scale_parameters == {"weight_log_diagonal", "bias_log_sigma"}
    dense_layer, _ = layer_and_input("linear")
    assert set(CFG().from_gaussian(dense_layer, *gaussian(dense_layer, 1))) & (
        CFG.scale_parameters
    ) == {"weight_log_sigma", "bias_log_sigma"}


def test_kernels_of_one_entry_have_no_triangle():
    layer = kernels(side=1)
    state = CFG().from_gaussian(layer, *gaussian(layer, 1))
    assert list(state) == ["weight_mean", "weight_log_sigma", "bias_mean", "bias_log_sigma"]
