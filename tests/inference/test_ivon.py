"""IVON: its formulas against a plain loop, and its chain against the exact posterior."""

import dataclasses
from functools import partial

import pytest
import torch
from bad_studies import refusal
from linear_regression import closed_form, fit, joined, parts_of_orthogonal_design
from replicate_fits import CLASSES, assert_close, part, settings, stage_of
from replicate_fits import fit as fit_replicates
from small_study import changed
from torch.distributions import Normal
from torch.func import functional_call

from incbayes.core.streams import torch_stream
from incbayes.data.part import Part
from incbayes.inference.ivon import Ivon
from incbayes.inference.ivon_run import next_curvature
from incbayes.inference.objective import Objective
from incbayes.inference.stage import first_start
from incbayes.inference.training import Training
from incbayes.networks.layers import NetworkError
from incbayes.posterior.build import fresh_network
from incbayes.priors.base import Source
from incbayes.study.model import KindSpec

PARTS = 3
OPTIONS = {"initial_curvature": 0.3, "momentum": 0.8, "curvature_decay": 0.95, "clip": 0.5}


def chosen(**training):
    made = settings(
        "ffg",
        model={"kind": "mlp", "widths": [5]},
        objective={"kl_scale": 0.5, "draws": 2},
        **{"epochs": 2, "learning_rate": 0.1} | training,
    )
    return dataclasses.replace(made, inference=KindSpec("ivon", OPTIONS))


def replaced(method, **options):
    """Return settings with further options of the algorithm."""
    return dataclasses.replace(method, inference=KindSpec("ivon", OPTIONS | options))


class Opposite:
    """Draws signs, and their negatives at the next draw: two draws see all of a quadratic loss."""

    def __init__(self):
        self.sign = -1

    def normal(self, shape, like):
        self.sign = -self.sign
        return torch.full(shape, float(self.sign), dtype=like.dtype)

    def normal_like(self, output):
        return self.normal(output.shape, output)


def begin(problem, merging=1.0):
    run = Ivon(initial_curvature=1.0, curvature_decay=0.9, merging=merging).begin(problem)
    run.noise = Opposite()
    return run


@pytest.mark.parametrize("number", [1, PARTS])
@pytest.mark.parametrize("temper", [1.0, 0.2])
def test_the_chain_reaches_the_exact_posterior(number, temper):
    parts = list(parts_of_orthogonal_design(PARTS))
    mean, sigma = closed_form(joined(parts), temper)
    fitted = fit(
        parts if number > 1 else [joined(parts)],
        begin,
        trained=Ivon().trained,
        objective=Objective(kl_scale=temper, draws=2),
        learning_rate=0.2,
        epochs=400,
        schedule="constant",
    )
    torch.testing.assert_close(fitted[0], mean, rtol=1e-7, atol=1e-9)
    torch.testing.assert_close(fitted[1], sigma, rtol=1e-7, atol=0)


def test_merged_later_parts_count_with_their_likelihood_to_that_power():
    power, (first, *later) = 0.3, parts_of_orthogonal_design(PARTS)
    weighed = [Part(p.images * power**0.5, p.labels * power**0.5) for p in later]
    mean, sigma = closed_form(joined([first, *weighed]))
    fitted = fit(
        [first, *later],
        partial(begin, merging=power),
        trained=Ivon().trained,
        objective=Objective(kl_scale=1.0, draws=2),
        learning_rate=0.2,
        epochs=400,
        schedule="constant",
    )
    torch.testing.assert_close(fitted[0], mean, rtol=1e-7, atol=1e-9)
    torch.testing.assert_close(fitted[1], sigma, rtol=1e-7, atol=0)


def test_merging_takes_the_weighed_product_of_prior_and_posterior(tmp_path):
    parts, power = [part(seed) for seed in range(3)], 0.4
    first = fit_replicates(tmp_path / "first", chosen(), False, parts)
    ends = {}
    for merging in (1.0, power):
        method = replaced(chosen(), merging=merging)
        begun = fit_replicates(tmp_path / f"begun {merging}", method, False, parts)
        assert_close(begun, first, rtol=0, atol=0)  # the first prior is no posterior
        path = tmp_path / f"second {merging}"
        ends[merging] = fit_replicates(path, method, False, parts, before=first)
    unmerged = fit_replicates(tmp_path / "second", chosen(), False, parts, before=first)
    assert_close(ends[1.0], unmerged, rtol=0, atol=0)
    generator = torch.Generator().manual_seed(0)
    for replicate, (state, history) in ends[power].items():
        assert history == unmerged[replicate][1]
        for layer in state:
            for key in ("weight", "bias"):
                prior, whole, merged = (
                    Normal(of[layer][f"{key}_mean"], of[layer][f"{key}_log_sigma"].exp())
                    for of in (first[replicate][0], unmerged[replicate][0], state)
                )
                w = torch.randn(4, *merged.mean.shape, generator=generator, dtype=torch.float64)
                logs = [one.log_prob(w) for one in (merged, prior, whole)]
                # Up to a constant in w, ln q̄ = (1 - γ) ln p + γ ln q.
                rest = logs[0] - (1 - power) * logs[1] - power * logs[2]
                torch.testing.assert_close(rest, rest[:1].expand_as(rest), rtol=1e-9, atol=1e-6)


def plain_loop(method, replicate, data):
    """Return means and widths that Algorithm 1 ends in, written as one loop over flat vectors."""
    start = first_start(stage_of(method), replicate, CLASSES, Source())
    network = fresh_network(stage_of(method).architecture(CLASSES), 0).double()
    shapes = {name: value.shape for name, value in network.named_parameters()}

    def flat(state, ending):
        pieces = [
            state[layer][f"{key}_{ending}"].flatten()
            for layer, _, key in (name.rpartition(".") for name in shapes)
        ]
        return torch.cat(pieces).double()

    def shaped(vector):
        pieces = vector.split([shape.numel() for shape in shapes.values()])
        return {
            name: piece.view(shape)
            for (name, shape), piece in zip(shapes.items(), pieces, strict=True)
        }

    training = Training.of(method.training)
    count, batches = len(data.labels), training.batches(len(data.labels))
    lam = count / 0.5
    m0 = flat(start.prior, "mean")
    delta = flat(start.prior, "log_sigma").exp() ** -2 / lam
    m = flat(start.state, "mean").requires_grad_()
    h, g_bar, step = torch.full_like(m0, 0.3), torch.zeros_like(m0), 0
    generator = torch_stream(0, "experiment", "T1", "t1", replicate, "noise")
    for epoch in range(training.epochs):
        shuffled = torch_stream(0, "experiment", "T1", "t1", replicate, "order", epoch)
        for index in torch.randperm(count, generator=shuffled).tensor_split(batches):
            rate = training.learning_rate * training.rate(step, training.epochs * batches)
            step += 1
            sigma = (lam * (h + delta)) ** -0.5
            g, h_hat = torch.zeros_like(h), torch.zeros_like(h)
            for _ in range(2):
                noise = [
                    torch.randn(shape, generator=generator, dtype=torch.float64).flatten()
                    for shape in shapes.values()
                ]
                w = m + sigma * torch.cat(noise)
                outputs = functional_call(network, shaped(w), (data.images[index],))
                nll = torch.nn.functional.cross_entropy(
                    outputs, data.labels[index], reduction="sum"
                )
                (found,) = torch.autograd.grad(nll * batches / count, m)
                g += found / 2
                h_hat += lam * (h + delta) * (w - m).detach() * found / 2
            g_bar = 0.8 * g_bar + 0.2 * g
            h = 0.95 * h + 0.05 * h_hat + 0.5 * 0.05**2 * (h - h_hat) ** 2 / (h + delta)
            with torch.no_grad():
                newton = (g_bar / (1 - 0.8**step) + delta * (m - m0)) / (h + delta)
                m -= rate * newton.clamp(-0.5, 0.5)
    return m.detach(), (lam * (h + delta)) ** -0.5, flat


def test_it_is_the_plain_loop(tmp_path):
    method, parts = chosen(), [part(seed) for seed in range(3)]
    state, history = fit_replicates(tmp_path / "checkpoint", method, False, parts)[1]
    mean, sigma, flat = plain_loop(method, 1, parts[1])
    torch.testing.assert_close(flat(state, "mean"), mean, rtol=1e-8, atol=1e-10)
    torch.testing.assert_close(flat(state, "log_sigma").exp(), sigma, rtol=1e-8, atol=0)
    assert len(history) == 2 and all(record["kl"] > 0 for record in history)
    bound = -20 * history[-1]["nll"] - 0.5 * history[-1]["kl"]
    assert history[-1]["elbo"] == pytest.approx(bound)


def test_no_estimate_takes_the_curvature_below_what_the_prior_leaves():
    generator = torch.Generator().manual_seed(0)
    delta = torch.rand(10_000, generator=generator).double() + 1e-6
    h = torch.rand(10_000, generator=generator).double() - delta / 2
    for scale in (1e-3, 1.0, 1e6):
        estimate = scale * torch.randn(10_000, generator=generator).double()
        for decay in (0.0, 0.9, 0.999):
            found = next_curvature(h, estimate, delta, decay)
            assert (found + delta >= 0.5 * (h + delta) - 1e-9).all()


def test_it_fits_no_points(tmp_path):
    method = dataclasses.replace(chosen(), bayesian="last_layer")
    with pytest.raises(NetworkError, match=r"layer .* is a point: ivon fits networks of Gaussians"):
        fit_replicates(tmp_path / "checkpoint", method, False)


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("family", "cfg", "methods.ffg.inference: ivon cannot fit the family cfg; it fits: ffg"),
        ("bayesian", "last_layer", "methods.ffg.bayesian: found 'last_layer', but ivon fits no po"),
        ("objective", {"beta": "geometric"}, "methods.ffg.objective.beta: found 'geometric', wh"),
        ("objective", {"warmup_epochs": 1}, "methods.ffg.objective.warmup_epochs: found 1, which"),
        ("objective", {"kl_scale": 0}, "methods.ffg.objective.kl_scale: found 0, at which the po"),
    ],
)
def test_a_study_that_asks_more_of_it_is_refused(key, value, expected):
    raw = changed(("methods.ffg.inference", "ivon"), (f"methods.ffg.{key}", value))
    assert refusal(raw).startswith(expected)
