"""First-stage priors: what they are centred on, how wide they are, where q starts."""

import pytest
import torch
from cases import BAYESIAN, noise
from torch import nn

from incbayes.kinds import FAMILIES, PRIORS
from incbayes.networks.layers import layers_of, plain_weights
from incbayes.priors.base import Source
from incbayes.priors.transfer import TransferError

FAMILY = FAMILIES["ffg"]()


def needs_source(kind):
    """Return whether a prior is made from a source task."""
    return PRIORS[kind].constraints["needs_source"]


def network(outputs=3, seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8, 5), nn.Linear(5, outputs)
    )


def source(**more):
    weights = plain_weights(network(outputs=4, seed=1))
    ones = {n: {k: torch.full_like(v, 2.0) for k, v in s.items()} for n, s in weights.items()}
    return Source(state=weights, fisher=ones, images=10, **more)


def start(prior, given, family=FAMILY):
    net = network()
    return prior.start(family, layers_of(net), plain_weights(net), given, noise())


def test_the_default_is_as_wide_as_fan_in_says_and_starts_at_fresh_weights():
    begun = start(PRIORS["normal"](), Source())
    fresh = plain_weights(network())
    for layer in layers_of(network()):
        prior = begun.prior[layer.name]
        assert (prior["weight_mean"] == 0).all()
        width = prior["weight_log_sigma"].exp()
        torch.testing.assert_close(width, torch.full_like(width, (2 / layer.fan_in) ** 0.5))
        assert torch.equal(begun.state[layer.name]["weight_mean"], fresh[layer.name]["weight"])
    wide = start(PRIORS["normal"](sigma=3.0), Source())
    assert all((s["weight_log_sigma"].exp() - 3).abs().max() < 1e-5 for s in wide.prior.values())


@pytest.mark.parametrize("kind", ["grid", "laplace"])
def test_a_pretrained_prior_is_centred_on_the_source_but_for_the_output_layer(kind):
    given = source(variance=0.04 if kind == "grid" else None)
    options = {} if kind == "grid" else {"prior_precision": 5.0}
    begun = start(PRIORS[kind](**options), given)
    width = 0.2 if kind == "grid" else (10 * 2.0 + 5.0) ** -0.5
    for name in ("0", "3"):
        assert torch.equal(begun.prior[name]["weight_mean"], given.state[name]["weight"])
        assert torch.equal(begun.state[name]["weight_mean"], given.state[name]["weight"])
        sigma = begun.prior[name]["weight_log_sigma"].exp()
        torch.testing.assert_close(sigma, torch.full_like(sigma, width))
    assert (begun.prior["4"]["weight_mean"] == 0).all()
    fresh = plain_weights(network())["4"]["weight"]
    assert torch.equal(begun.state["4"]["weight_mean"], fresh)


def test_fine_tuning_starts_at_the_source_with_a_fresh_output_layer():
    given = source()
    begun = start(PRIORS["pretrained"](), given, FAMILIES["point"]())
    assert torch.equal(begun.state["3"]["weight"], given.state["3"]["weight"])
    assert torch.equal(begun.state["4"]["weight"], plain_weights(network())["4"]["weight"])


@pytest.mark.parametrize("kind", [kind for kind in PRIORS if needs_source(kind)])
def test_of_the_source_all_but_the_output_carries_over_or_the_convolutions_alone(kind):
    family = FAMILIES["point" if kind == "pretrained" else "ffg"]()
    posterior = PRIORS[kind].constraints["source"] == "posterior"
    given = source_posterior(family, outputs=4) if posterior else source(variance=0.04)
    all_but_output = start(PRIORS[kind](), given, family)
    assert PRIORS[kind]().transfer == "all_but_output"
    convolutions = start(PRIORS[kind](transfer="convolutions"), given, family)
    nothing = start(PRIORS["normal"](sigma=1.0 if posterior else None), Source(), family)
    for named in ("state", "prior"):
        every, only, none = (getattr(b, named) for b in (all_but_output, convolutions, nothing))
        assert same(only["0"], every["0"])
        assert same(only["3"], none["3"]) and same(only["4"], none["4"])
        assert same(every["4"], none["4"])
    moved = "prior" if posterior else "state"  # by the text of the second paper q starts anew
    for begun, layers in ((all_but_output, ("0", "3")), (convolutions, ("0",))):
        for layer in layers:
            assert not same(getattr(begun, moved)[layer], getattr(nothing, moved)[layer])


def same(first, second):
    """Return whether two states of a layer are equal to the bit."""
    return first.keys() == second.keys() and all(torch.equal(first[k], second[k]) for k in first)


def source_posterior(family, outputs):
    net = network(outputs=outputs, seed=5)
    begun = PRIORS["normal"](sigma=1.0).start(
        family, layers_of(net), plain_weights(net), Source(), noise(9)
    )
    return Source(state=begun.state, images=10)


@pytest.mark.parametrize("name", BAYESIAN)
def test_transfer_makes_the_source_posterior_the_prior_of_all_but_the_output(name):
    family = FAMILIES[name]()
    given = source_posterior(family, outputs=4)
    begun = start(PRIORS["transfer"](), given, family)
    for layer in ("0", "3"):
        for key, value in given.state[layer].items():
            assert torch.equal(begun.prior[layer][key], value)
    output = layers_of(network())[-1]
    assert (family.mean(output, begun.prior["4"])["weight"] == 0).all()
    width = family.sigma(output, begun.prior["4"])
    torch.testing.assert_close(width, torch.ones_like(width))


@pytest.mark.parametrize("output_layer", ["fresh", "transferred"])
@pytest.mark.parametrize("name", BAYESIAN)
def test_q_starts_as_it_does_without_transfer(name, output_layer):
    family = FAMILIES[name]()
    given = source_posterior(family, outputs=3)
    begun = start(PRIORS["transfer"](output_layer=output_layer), given, family)
    without = start(PRIORS["normal"](sigma=1.0), Source(), family)
    for layer, state in without.state.items():
        for key, value in state.items():
            assert torch.equal(begun.state[layer][key], value)


@pytest.mark.parametrize("name", BAYESIAN)
def test_q_starts_at_the_source_posterior_where_that_is_asked_for(name):
    family = FAMILIES[name]()
    given = source_posterior(family, outputs=3)
    transfer = PRIORS["transfer"](restart="posterior")
    begun, anew = start(transfer, given, family), start(PRIORS["transfer"](), given, family)
    for layer in ("0", "3"):
        for key, value in given.state[layer].items():
            assert torch.equal(begun.state[layer][key], value)
    for key, value in anew.state["4"].items():
        assert torch.equal(begun.state["4"][key], value)


def test_the_published_transfer_transfers_the_prior_of_the_output_layer():
    given = source_posterior(FAMILY, outputs=3)
    begun = start(PRIORS["transfer"](output_layer="transferred"), given)
    for name in ("0", "3", "4"):
        assert torch.equal(begun.prior[name]["weight_mean"], given.state[name]["weight_mean"])
        assert not torch.equal(begun.state[name]["weight_mean"], given.state[name]["weight_mean"])


def test_an_output_layer_of_another_size_cannot_be_transferred():
    given = source_posterior(FAMILY, outputs=4)
    with pytest.raises(TransferError, match="layer 4 has the shape .*output_layer: fresh"):
        start(PRIORS["transfer"](output_layer="transferred"), given)
