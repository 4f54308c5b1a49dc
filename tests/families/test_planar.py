"""The planar family: its density, divergence, moments and start, against brute force."""

import math

import pytest
import torch
from cases import LAYERS, gaussian, layer_and_input, noise, random_member
from planar_maps import STEPS, maps, vector
from torch import nn
from torch.func import functional_call, grad, vmap

from incbayes.families.flows.planar import PlanarFlow
from incbayes.families.planar import FLOW_STARTS, Planar
from incbayes.networks.layers import Layer
from incbayes.networks.noise import GeneratorNoise
from incbayes.posterior.file import read_posterior, write_posterior
from incbayes.posterior.network import VariationalNetwork

SOME = ["linear", "conv stride padding", "conv groups"]


def bent_member(family, layer, seed):
    """Return a member whose maps are far from the identity."""
    state = random_member(family, layer, seed)
    n = state["flow_a"].shape[1]
    u, a, b = maps(n, family.steps, seed + 20)
    return state | {"flow_u": 0.5 * u, "flow_a": a, "flow_b": b}


def draws_of(family, layer, state, count, seed):
    """Return `count` draws of weight and bias, stacked along the first axis."""
    generator = torch.Generator().manual_seed(seed)
    n = state["flow_a"].shape[1]
    eps = torch.randn(count, n, generator=generator, dtype=torch.float64)
    return vmap(lambda eps: family.sample(layer, state, Fixed([eps])))(eps)


class Fixed:
    """Returns draws made beforehand, in order."""

    def __init__(self, draws):
        self.draws = list(draws)

    def normal(self, shape, like):
        draw = self.draws.pop(0)
        assert draw.shape == torch.Size(shape)
        return draw


def single(state):
    return {key: value.float() for key, value in state.items()}


# The density.


@pytest.mark.parametrize("geometry", LAYERS)
def test_density_by_inversion_is_the_one_carried_forward(geometry):
    family, (layer, _) = Planar(steps=STEPS), layer_and_input(geometry)
    q, source = bent_member(family, layer, 3), noise(4)
    for _ in range(5):
        draw, carried = family.sample_with_log_density(layer, q, source)
        torch.testing.assert_close(family.log_density(layer, q, draw), carried)


def test_density_is_that_of_a_change_of_variables():
    family, (layer, _) = Planar(steps=STEPS), layer_and_input("linear")
    q = bent_member(family, layer, 3)
    flow = PlanarFlow(q["flow_u"], q["flow_a"], q["flow_b"])
    mean, log_sigma = (
        torch.cat([q[f"weight_{part}"].flatten(), q[f"bias_{part}"]])
        for part in ("mean", "log_sigma")
    )
    z = mean + log_sigma.exp() * vector(18)
    jacobian = torch.autograd.functional.jacobian(lambda z: flow.forward(z)[0], z)
    base = torch.distributions.Normal(mean, log_sigma.exp()).log_prob(z).sum()
    w = flow.forward(z)[0]
    draw = {"weight": w[:15].view(3, 5), "bias": w[15:]}
    expected = base - torch.linalg.slogdet(jacobian).logabsdet
    torch.testing.assert_close(family.log_density(layer, q, draw), expected)


def test_density_in_two_dimensions_integrates_to_one():
    family, layer = Planar(steps=3), Layer.of("layer", nn.Linear(1, 1))
    q = bent_member(family, layer, 2)
    q |= {key: torch.full_like(q[key], math.log(0.8)) for key in q if "log_sigma" in key}
    side = torch.linspace(-12, 12, 241, dtype=torch.float64)
    first, second = (axis.flatten() for axis in torch.meshgrid(side, side, indexing="ij"))

    def density(first, second):
        draw = {"weight": first.view(1, 1), "bias": second.view(1)}
        return family.log_density(layer, q, draw).exp()

    total = vmap(density)(first, second).sum() * (side[1] - side[0]) ** 2
    assert abs(total - 1) < 1e-3


def test_gradient_of_the_density_is_that_of_finite_differences():
    family, layer = Planar(steps=2), Layer.of("layer", nn.Linear(2, 1))
    q = bent_member(family, layer, 1)
    w, b = vector(2).view(1, 2), vector(1, 5)

    def density(w, b, *values):
        q_of = dict(zip(q, values, strict=True))
        return family.log_density(layer, q_of, {"weight": w, "bias": b})

    assert torch.autograd.gradcheck(density, [v.requires_grad_() for v in (w, b, *q.values())])


@pytest.mark.parametrize("geometry", SOME)
def test_kl_agrees_with_brute_force(geometry):
    family, (layer, _) = Planar(steps=3), layer_and_input(geometry)
    q, p = bent_member(family, layer, 3), bent_member(family, layer, 6)
    source = noise(1)
    ours = torch.stack([family.kl(layer, q, p, source) for _ in range(400)])
    draws = draws_of(family, layer, q, 4000, seed=2)
    log_q, log_p = (
        vmap(lambda draw, state=state: family.log_density(layer, state, draw))(draws)
        for state in (q, p)
    )
    brute = log_q - log_p
    error = (ours.var() / len(ours) + brute.var() / len(brute)).sqrt()
    assert abs(ours.mean() - brute.mean()) < 4 * error
    assert ours.mean() > 0


def test_reparameterised_gradient_of_the_kl_is_that_of_its_mean():
    family, layer = Planar(steps=2), Layer.of("layer", nn.Linear(2, 1))
    q, p = bent_member(family, layer, 1), bent_member(family, layer, 2)
    eps = torch.randn(4000, 3, generator=torch.Generator().manual_seed(3), dtype=torch.float64)

    def kl(q, eps):
        return family.kl(layer, q, p, Fixed([eps]))

    step = 1e-5
    gradient = vmap(grad(kl), in_dims=(None, 0))(q, eps)["flow_b"].mean(0)[0]
    ahead, behind = (
        vmap(kl, in_dims=(None, 0))(q | {"flow_b": q["flow_b"] + shift}, eps).mean()
        for shift in (torch.tensor([step, 0]), torch.tensor([-step, 0]))
    )
    torch.testing.assert_close(gradient, (ahead - behind) / (2 * step), rtol=1e-5, atol=1e-7)


def test_the_order_in_which_weights_are_flattened_does_not_matter():
    family, layer = Planar(steps=STEPS), Layer.of("layer", nn.Linear(5, 3, bias=False))
    q, p = bent_member(family, layer, 3), bent_member(family, layer, 4)
    order = torch.randperm(15, generator=torch.Generator().manual_seed(0))
    eps = vector(15)

    def permuted(state):
        return {
            key: value[:, order] if value.dim() == 2 and key.startswith("flow") else value
            for key, value in state.items()
        } | {key: state[key].flatten()[order].view(3, 5) for key in state if "weight" in key}

    ours = family.kl(layer, q, p, Fixed([eps]))
    theirs = family.kl(layer, permuted(q), permuted(p), Fixed([eps[order]]))
    torch.testing.assert_close(ours, theirs)


def test_per_weight_counts_the_log_determinant_as_often_as_there_are_weights():
    layer, _ = layer_and_input("linear")
    once, often = Planar(steps=STEPS), Planar(steps=STEPS, log_determinant="per_weight")
    q = bent_member(once, layer, 3)
    draw = once.sample(layer, q, noise(4))
    flow = PlanarFlow(q["flow_u"], q["flow_a"], q["flow_b"])
    log_determinant = flow.inverse(torch.cat([draw["weight"].flatten(), draw["bias"]]))[1]
    difference = once.log_density(layer, q, draw) - often.log_density(layer, q, draw)
    torch.testing.assert_close(difference, (18 - 1) * log_determinant)
    assert abs(difference) > 1
    assert often.kl(layer, q, q, noise()).abs() < 1e-8
    assert all(torch.equal(often.sample(layer, q, noise(4))[key], draw[key]) for key in draw)


# The moments.


def test_sigma_is_that_of_draws_where_the_maps_are_nearly_linear():
    family, layer = Planar(steps=STEPS), Layer.of("layer", nn.Linear(5, 3))
    q = bent_member(family, layer, 3)
    q |= {key: torch.full_like(q[key], math.log(0.01)) for key in q if "log_sigma" in key}
    draws = draws_of(family, layer, q, 4000, seed=5)["weight"]
    ratio = family.sigma(layer, q) / draws.std(0)
    assert (ratio - 1).abs().max() < 5 * (0.5 / len(draws)) ** 0.5
    error = (family.mean(layer, q)["weight"] - draws.mean(0)) / draws.std(0)
    assert error.abs().max() < 5 / len(draws) ** 0.5 + 0.02


def test_the_maps_change_the_width():
    family, (layer, _) = Planar(steps=STEPS), layer_and_input("linear")
    q = bent_member(family, layer, 3)
    assert ((family.sigma(layer, q) / q["weight_log_sigma"].exp()).log().abs() > 0.1).any()


# The start.


@pytest.mark.parametrize("n", [3, 300, 300_000])
@pytest.mark.parametrize("centre", [0.0, 0.5])
def test_small_starts_at_the_identity_without_saturating(n, centre):
    source = noise(6)
    mean = centre + 0.04 * source.normal((n,), torch.zeros(()))
    sigma = torch.full((n,), 0.005)
    state = FLOW_STARTS["small"](16, mean, sigma, source)
    z = mean + sigma * source.normal((n,), mean)
    alpha = state["flow_a"] @ z + state["flow_b"]
    assert alpha.abs().max() < 3
    assert alpha.abs().max() > 0.1
    flow = PlanarFlow(state["flow_u"], state["flow_a"], state["flow_b"])
    torch.testing.assert_close(flow.forward(z)[0], z, rtol=0, atol=1e-5)


def test_as_published_starts_with_unit_normals_and_unit_offsets():
    mean = torch.zeros(20_000)
    state = FLOW_STARTS["as_published"](16, mean, mean + 1, noise(7))
    for key in ("flow_u", "flow_a"):
        assert state[key].shape == (16, 20_000)
        assert abs(state[key].mean()) < 0.01 and abs(state[key].std() - 1) < 0.01
    assert torch.equal(state["flow_b"], torch.ones(16))
    assert not torch.equal(state["flow_u"], state["flow_a"])


def test_the_first_draw_is_that_of_a_gaussian():
    family, (layer, _) = Planar(), layer_and_input("linear")
    prior = family.from_gaussian(layer, *gaussian(layer, 1))
    fresh, _ = gaussian(layer, 2)
    q = family.start(layer, prior, fresh, noise(3))
    torch.testing.assert_close(family.mean(layer, q), fresh)
    torch.testing.assert_close(family.sigma(layer, q), 0.1 * family.sigma(layer, prior))


# Computing with it.


@pytest.mark.parametrize("sigma", [1e-8, 1e-4, 1.0, 10.0])
@pytest.mark.parametrize("start", ["small", "as_published"])
def test_widths_from_tiny_to_huge_stay_finite_in_float32(sigma, start):
    family = Planar(flow_initialisation=start)
    layer = Layer.of("layer", nn.Linear(20, 10))
    mean = {key: torch.zeros(shape) for key, shape in layer.shapes.items()}
    width = {key: torch.full(shape, sigma) for key, shape in layer.shapes.items()}
    prior = family.from_gaussian(layer, mean, {key: w / w for key, w in width.items()})
    q = family.from_gaussian(layer, mean, width)
    q |= FLOW_STARTS[start](16, torch.zeros(210), torch.full((210,), sigma), noise(3))
    q = {key: value.requires_grad_() for key, value in q.items()}
    output = family.forward(layer, q, torch.ones(4, 20), noise(1))
    total = output.square().mean() + family.kl(layer, q, prior, noise(2))
    total.backward()
    assert torch.isfinite(total)
    assert all(torch.isfinite(value.grad).all() for value in q.values())
    assert torch.isfinite(family.kl(layer, prior, prior, noise(2)))


@pytest.mark.parametrize("geometry", SOME)
def test_bf16_autocast_leaves_the_flow_in_full_precision(geometry):
    family, (layer, x) = Planar(steps=STEPS), layer_and_input(geometry)
    q, x = single(bent_member(family, layer, 3)), x.float()
    p = single(bent_member(family, layer, 4))
    with torch.autocast("cpu", torch.bfloat16):
        draw = family.sample(layer, q, noise(2))
        output = family.forward(layer, q, x, noise(2))
        kl = family.kl(layer, q, p, noise(2))
    assert output.dtype == torch.bfloat16
    assert all(torch.equal(draw[key], family.sample(layer, q, noise(2))[key]) for key in draw)
    assert torch.equal(kl, family.kl(layer, q, p, noise(2)))
    torch.testing.assert_close(
        output.float(), family.forward(layer, q, x, noise(2)), rtol=0.05, atol=0.1
    )


@pytest.mark.parametrize("geometry", SOME)
def test_vmap_over_stacked_states_equals_the_loop(geometry):
    family, (layer, x) = Planar(steps=STEPS), layer_and_input(geometry)
    states = [bent_member(family, layer, seed) for seed in (1, 2, 3)]
    priors = [bent_member(family, layer, seed) for seed in (4, 5, 6)]
    n = states[0]["flow_a"].shape[1]
    eps = torch.stack([torch.stack([vector(n, s), vector(n, s + 9)]) for s in (1, 2, 3)])

    def loss(q, p, eps):
        output = family.forward(layer, q, x, Fixed(eps[:1]))
        return output.square().mean() + family.kl(layer, q, p, Fixed(eps[1:]))

    def both(q, p, eps):
        return loss(q, p, eps), grad(loss)(q, p, eps)

    def stacked(members):
        return {key: torch.stack([member[key] for member in members]) for key in members[0]}

    values, gradients = vmap(both)(stacked(states), stacked(priors), eps)
    for index, (q, p) in enumerate(zip(states, priors, strict=True)):
        value, gradient = both(q, p, eps[index])
        torch.testing.assert_close(values[index], value)
        for key, expected in gradient.items():
            torch.testing.assert_close(gradients[key][index], expected)


def test_steps_of_gradient_descent_lower_the_loss():
    family = Planar(steps=STEPS)
    network = nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 3)).double()
    layers = [Layer.of(name, network[int(name)]) for name in ("0", "2")]
    prior = {layer.name: family.from_gaussian(layer, *gaussian(layer, 3)) for layer in layers}
    start = {layer.name: bent_member(family, layer, 8) for layer in layers}
    net = VariationalNetwork(network, family, start)
    x, y = torch.randn(30, 5, generator=torch.Generator().manual_seed(1)).double(), torch.arange(30)

    def loss(seed):
        source = GeneratorNoise(torch.Generator().manual_seed(seed))
        nll = nn.functional.cross_entropy(net(x, source), y % 3, reduction="sum")
        return nll + sum(net.kl(prior, source).values())

    before = torch.stack([loss(seed) for seed in range(20)]).mean().item()
    optimiser = torch.optim.SGD(net.parameters(), lr=2e-4)
    for step in range(60):
        optimiser.zero_grad()
        loss(100 + step).backward()
        optimiser.step()
    assert torch.stack([loss(seed) for seed in range(20)]).mean().item() < before - 10
    assert functional_call(net, dict(net.named_parameters()), (x, None)).isfinite().all()


def test_a_posterior_as_prior_of_the_next_stage_keeps_every_bit(tmp_path):
    family, (layer, _) = Planar(steps=STEPS), layer_and_input("conv groups")
    written = {r: {layer.name: single(bent_member(family, layer, r))} for r in (0, 1)}
    path = tmp_path / "posterior.safetensors"
    write_posterior(path, written, {"family": {"kind": "planar"}})
    read = read_posterior(path).states
    for replicate, state in written.items():
        q, p = state[layer.name], read[replicate][layer.name]
        assert all(torch.equal(q[key], p[key]) for key in q)
        draws = [family.sample(layer, member, noise(2)) for member in (q, p)]
        assert all(torch.equal(draws[0][key], draws[1][key]) for key in draws[0])
        # float32 rounds the inverse; what is left of the KL of equal states is that.
        assert family.kl(layer, q, p, noise(3)).abs() < 1e-3
