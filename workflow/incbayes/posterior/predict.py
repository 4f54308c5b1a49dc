"""Predictive distributions of a posterior: Monte Carlo over weights, and the posterior mean."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.func import functional_call, jvp

from incbayes.core.errors import UserError
from incbayes.families.base import Family
from incbayes.likelihoods.base import Likelihood
from incbayes.likelihoods.categorical import CATEGORICAL
from incbayes.networks.check import path_of, recorded_calls
from incbayes.networks.layers import Layer, State, layers_of
from incbayes.networks.noise import GeneratorNoise, Noise
from incbayes.posterior.build import Architecture, fresh_network, with_weights
from incbayes.posterior.members import is_ensemble, members_of
from incbayes.posterior.network import NetworkState

NOT_FINITE = "it is not finite"
WAY_OUT = "fit it again with a smaller learning rate or a narrower prior"


class PredictionError(UserError, ArithmeticError):
    """A network predicts what is not finite, or there is none that could predict."""


@contextmanager
def predictions_of(what: str) -> Iterator[None]:
    """Say in the error of a prediction whose it is, e.g. which stage's of which replicate."""
    try:
        yield
    except PredictionError as error:
        raise PredictionError(f"{what}: {error}") from None


@dataclass(frozen=True)
class Passes:
    """How forward passes are computed.

    Attributes:
        device: to compute on.
        batch_size: images at a time, which bounds the memory.
        precision: of weights, images and products; draws are exact, and what follows logits.
    """

    device: torch.device
    batch_size: int
    precision: Literal["fp32", "bf16"] = "fp32"

    @property
    def dtype(self) -> torch.dtype:
        """The number format of `precision`."""
        return {"fp32": torch.float32, "bf16": torch.bfloat16}[self.precision]


class Predictor:
    """Predicts with plain networks whose weights are draws from, or the mean of, a posterior."""

    def __init__(
        self,
        architecture: Architecture,
        family: Family,
        passes: Passes,
        likelihood: Likelihood = CATEGORICAL,
    ):
        """Build one plain network; every draw is copied into it.

        Args:
            architecture: of the network.
            family: of the posteriors.
            passes: how to compute.
            likelihood: of the labels given the network's outputs.
        """
        network = fresh_network(architecture, 0).to(passes.device, passes.dtype).eval()
        self.network = network.to(memory_format=torch.channels_last)
        self.layers = layers_of(self.network)
        self.family, self.passes = family, passes
        self.likelihood = likelihood

    def number_of_draws(self, q: NetworkState, samples: int) -> int | None:
        """Return how many networks the predictive averages over; None where q is one alone.

        Args:
            q: the posterior.
            samples: S, what is asked for; an ensemble has its members.
        """
        if is_ensemble(q):
            return len(members_of(q))
        return samples if self.family.drawn else None

    def mean(self, q: NetworkState, images: Tensor) -> Tensor:
        """Return what the posterior-mean network predicts, as the likelihood has it.

        Of classes log p(y | x, w), float64 [N, K], in nats; of a number a Gaussian, [N, 1, 2].

        Args:
            q: the posterior.
            images: [N, C, H, W], scaled.

        Raises:
            PredictionError: naming the layer whose output is not finite; or it is an ensemble,
                which has no network of its mean.
        """
        if is_ensemble(q):
            raise PredictionError(
                "an ensemble has no network of its mean; predict with all its members"
            )
        weights = self._mean({name: self._on_device(state) for name, state in q.items()})
        return self._predicted(weights, images, "the posterior mean")

    def predictive(
        self,
        q: NetworkState,
        images: Tensor,
        samples: int,
        generator: torch.Generator,
        heard: Callable[[Iterator[Tensor]], Iterator[Tensor]] = iter,
    ) -> Tensor:
        """Return log p(y | x) = ln (1/S)·Σ_s p(y | x, w_s), w_s ~ q, float64 [N, K], in nats.

        Every w_s is one draw of all weights, shared by all images: a draw from q itself
        whatever estimator training used, at the price of one deterministic pass. Where the
        family's `prediction` is linearised, the outputs are those of the network's tangent at the
        means, f(x; μ) + J(x)(w_s - μ) (Immer et al. 2021, eq. 8).

        Of a number the S Gaussians, float64 [N, S, 2]: mean and standard deviation. Of an ensemble
        w_1 … w_S are its members.

        Args:
            q: the posterior.
            images: [N, C, H, W], scaled.
            samples: S, draws.
            generator: of the draws, on the device of the passes.
            heard: passes on what each draw predicts, and may look at it.

        Raises:
            PredictionError: naming the draw, and the layer whose output is not finite.
        """
        draws = self.draws(q, images, samples, generator)
        return self.likelihood.mixture(heard(draws), self.number_of_draws(q, samples) or samples)

    def draws(
        self, q: NetworkState, images: Tensor, samples: int, generator: torch.Generator
    ) -> Iterator[Tensor]:
        """Yield what networks w_1 … w_S ~ q predict, each as the likelihood has it.

        Of classes log p(y | x, w_s), float64 [N, K], in nats; of a number a Gaussian, [N, 1, 2].

        Args:
            q: the posterior.
            images: [N, C, H, W], scaled.
            samples: S, draws.
            generator: of the draws, on the device of the passes.

        Raises:
            PredictionError: naming the draw, and the layer whose output is not finite.
        """
        if is_ensemble(q):
            yield from self._of_members(q, images)
            return
        noise = GeneratorNoise(generator)
        q = {name: self._on_device(state) for name, state in q.items()}
        for draw in range(1, samples + 1):
            shared = self.family.shared(q, noise)
            weights = {
                layer.name: self._draw(layer, q[layer.name] | shared, noise)
                for layer in self.layers
            }
            which = f"draw {draw} of {samples}"
            if self.family.prediction == "linearised":
                yield self._linearised(self._mean(q), weights, images, which)
            else:
                yield self._predicted(weights, images, which)

    def _of_members(self, q: NetworkState, images: Tensor) -> Iterator[Tensor]:
        """Yield what every member of an ensemble predicts."""
        members = members_of(q)
        for number, member in enumerate(members, 1):
            weights = self._mean({name: self._on_device(state) for name, state in member.items()})
            yield self._predicted(weights, images, f"member {number} of {len(members)}")

    def _mean(self, q: NetworkState) -> NetworkState:
        """Return the plain weights of the posterior mean, with running statistics."""
        return {
            layer.name: {
                **self.family.mean(layer, q[layer.name]),
                **_running(layer, q[layer.name]),
            }
            for layer in self.layers
        }

    def _draw(self, layer: Layer, q: State, noise: Noise) -> State:
        """Return one draw of the plain weights, without the latent variables of the family."""
        draw = self.family.sample(layer, q, noise)
        return {key: draw[key] for key in layer.shapes} | _running(layer, q)

    def _on_device(self, state: State) -> State:
        return {key: value.to(self.passes.device) for key, value in state.items()}

    @torch.inference_mode()
    def _predicted(self, weights: NetworkState, images: Tensor, which: str) -> Tensor:
        """Return what the network predicts under plain weights, as the likelihood has it."""
        network, batches = with_weights(self.network, weights), images.split(self.passes.batch_size)
        found = torch.cat(
            [self.likelihood.predicted(network(batch.to(self.passes.dtype))) for batch in batches]
        )
        if not torch.isfinite(found).all():
            raise PredictionError(f"{which}: {self._not_finite(network, batches)}; {WAY_OUT}")
        return found

    @torch.no_grad()
    def _linearised(
        self, mean: NetworkState, draw: NetworkState, images: Tensor, which: str
    ) -> Tensor:
        """Return what f(x; μ) + J(x)(w - μ) predicts, as the likelihood has it."""
        network, batches = with_weights(self.network, mean), images.split(self.passes.batch_size)
        means = {name: p.detach() for name, p in network.named_parameters()}
        offsets = {}
        for name, value in means.items():
            layer, _, key = name.rpartition(".")
            offsets[name] = (draw[layer][key] - mean[layer][key]).to(value)
        outputs = []
        for batch in batches:
            x = batch.to(self.passes.dtype)
            at = lambda weights, x=x: functional_call(network, weights, (x,))  # noqa: E731
            outputs.append(torch.add(*jvp(at, (means,), (offsets,))))
        found = torch.cat([self.likelihood.predicted(output) for output in outputs])
        if not torch.isfinite(found).all():
            reason = self._not_finite(network, batches)
            if reason == NOT_FINITE:
                reason = "the output of the linearised network is not finite"
            raise PredictionError(f"{which}: {reason}; {WAY_OUT}")
        return found

    def _not_finite(self, network: nn.Module, batches: Sequence[Tensor]) -> str:
        """Return what is the first of weights, images and outputs that is not finite."""
        for name, tensor in network.named_parameters():
            if not torch.isfinite(tensor).all():
                return f"{name} is not finite"
        largest = max(float(tensor.abs().max()) for tensor in network.parameters())
        for batch in batches:
            if not torch.isfinite(batch).all():
                return "the scaled pixels of the images are not finite"
            with recorded_calls(network) as calls:
                network(batch.to(self.passes.dtype))
            for call in calls:
                if not torch.isfinite(call.made).all():
                    what = f"the output of {path_of(call.name)} ({type(call.module).__name__})"
                    return f"{what} is not finite, with weights of up to {largest:.3g}"
        return NOT_FINITE


def _running(layer: Layer, q: State) -> State:
    """Return the running statistics of a layer, with which it predicts."""
    return {key: q[key] for key in layer.buffers}
