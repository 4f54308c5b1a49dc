"""Turns a plain network into one whose layers hold variational parameters.

It replaces every layer with weights by one that asks a family how to compute, and every dropout by
one that draws from the same noise; everything else (pooling, activations, order) is the network's.
"""

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from incbayes.families.base import Family
from incbayes.networks.dropout import NoisyDropout, make_noisy
from incbayes.networks.layers import (
    Layer,
    NetworkError,
    Normalisation,
    State,
    channels_last,
    layers_of,
)
from incbayes.networks.noise import Noise

NetworkState = dict[str, State]
"""The state of every layer, by layer name, in the order of the network."""

Trained = Callable[[Family, Layer, State], Collection[str]]
"""Which tensors of a layer's state become parameters, by name; the others are carried."""


def all_trained(family: Family, layer: Layer, state: State) -> Collection[str]:
    """Return the names of all tensors of a layer's state."""
    return state.keys()


def check_held(family: Family, layer: Layer) -> None:
    """Check that a family can hold a layer.

    Raises:
        NetworkError: it cannot, with its reason.
    """
    reason = family.refusal(layer)
    if reason is not None:
        raise NetworkError(f"layer {layer.name} ({layer.kind}): {reason}")


class VariationalLayer(nn.Module):
    """A layer whose weights are distributed as `family` with the tensors it holds."""

    def __init__(self, layer: Layer, family: Family, state: State, trained: Collection[str]):
        """Hold copies of the tensors of `state`: parameters those named, buffers the others."""
        super().__init__()
        self.layer, self.family = layer, family
        self.noise: Noise | None = None
        self.keeps_draws = self.stays_at_mean = False
        self.draw: State = {}
        self.log_density: Tensor | None = None
        self._names = list(state)
        for key, value in state.items():
            copy = channels_last(value.detach())
            if key in trained:
                self.register_parameter(key, nn.Parameter(copy))
            else:
                self.register_buffer(key, copy)

    @property
    def state(self) -> State:
        """The tensors of the state, live, by name: trained and carried, in the state's order."""
        return {key: getattr(self, key) for key in self._names}

    def forward(self, x: Tensor) -> Tensor:
        """Return a stochastic output where noise is set, else that of the posterior mean."""
        if self.noise is None or self.stays_at_mean:
            return self._plain(x, self.family.mean(self.layer, self.state))
        if self.keeps_draws:
            drawn = self.family.sample_with_log_density(self.layer, self.state, self.noise)
            self.draw, self.log_density = drawn
            return self._plain(x, self.draw)
        return self.family.forward(self.layer, self.state, x, self.noise)

    def _plain(self, x: Tensor, weights: State) -> Tensor:
        return self.layer.apply(x, weights["weight"], weights.get("bias"))


class VariationalNormalisation(VariationalLayer):
    """A normalisation whose scales and shifts are distributed, with its running statistics."""

    layer: Normalisation

    def forward(self, x: Tensor) -> Tensor:
        """Return x, normalised, with one draw of scales and shifts where noise is set."""
        if self.noise is None or self.keeps_draws or self.stays_at_mean:
            return super().forward(x)
        return self._plain(x, self.family.sample(self.layer, self.state, self.noise))

    def _plain(self, x: Tensor, weights: State) -> Tensor:
        return self.layer.normalised(x, weights, self.state, self.training)


class VariationalNetwork(nn.Module):
    """A network over weights w ~ q(w), with q factorised over its layers."""

    def __init__(
        self,
        network: nn.Module,
        family: Family,
        state: NetworkState,
        trained: Trained = all_trained,
    ):
        """Replace, in place, the layers of `network` by variational ones with `state`.

        Args:
            network: a plain network.
            family: the form of q.
            state: of every layer.
            trained: says which tensors of it become parameters; running statistics never do.

        Raises:
            NetworkError: the family cannot hold a layer, which it names.
        """
        super().__init__()
        self.family = family
        self.network = network
        self._layers: list[VariationalLayer] = []
        for layer in layers_of(network):
            check_held(family, layer)
            own = state[layer.name]
            chosen = [key for key in trained(family, layer, own) if key not in layer.buffers]
            is_scale = isinstance(layer, Normalisation)
            made = VariationalNormalisation if is_scale else VariationalLayer
            variational = made(layer, family, own, chosen)
            parent, _, child = layer.name.rpartition(".")
            setattr(network.get_submodule(parent), child, variational)
            self._layers.append(variational)
        self._dropouts = make_noisy(network)

    @property
    def layers(self) -> list[Layer]:
        """The layers with weights, in order."""
        return [module.layer for module in self._layers]

    @property
    def variational_layers(self) -> list[VariationalLayer]:
        """The modules of those layers, which hold the state and the draws that are kept."""
        return list(self._layers)

    @property
    def running(self) -> list[str]:
        """Paths of the layers whose running statistics every pass of training changes."""
        return [layer.name for layer in self.layers if layer.buffers]

    def forward(self, x: Tensor, noise: Noise | None) -> Tensor:
        """Return logits [N, K] for x [N, C, H, W] under w ~ q.

        Args:
            x: the scaled images.
            noise: where the draws come from; None computes the posterior-mean network.
        """
        with self._drawing_from(noise):
            return self.network(x)

    @contextmanager
    def _drawing_from(self, noise: Noise | None) -> Iterator[None]:
        modules: list[VariationalLayer | NoisyDropout] = [*self._layers, *self._dropouts]
        for module in modules:
            module.noise = noise
        try:
            yield
        finally:
            for module in modules:
                module.noise = None

    def kl(self, prior: NetworkState, noise: Noise) -> dict[str, Tensor]:
        """Return KL(q‖p) in nats of every layer against its state in `prior`."""
        return {
            module.layer.name: self.family.kl(
                module.layer, module.state, prior[module.layer.name], noise
            )
            for module in self._layers
        }

    def keep_draws(self) -> None:
        """From now on draw whole weights in every pass, and keep them for `cost_of_draw`."""
        for module in self._layers:
            module.keeps_draws = True

    def stay_at_means(self) -> None:
        """From now on take the mean of all weights in every pass; noise is for dropout alone."""
        for module in self._layers:
            module.stays_at_mean = True

    def cost_of_draw(self, prior: NetworkState) -> dict[str, Tensor]:
        """Return ln q(w) - ln p(w) in nats of every layer, at the draw of the last pass.

        Its mean over draws is KL(q‖p): the complexity cost of Wohlert et al. (2017) eq. (4).
        """
        costs = {}
        for module in self._layers:
            layer = module.layer
            log_p = self.family.log_density(layer, prior[layer.name], module.draw)
            if module.log_density is None:
                raise RuntimeError(f"layer {layer.name}: no pass has kept a draw")
            costs[layer.name] = module.log_density - log_p
        return costs

    def mean(self) -> NetworkState:
        """Return the plain weights of the posterior mean, and running statistics, detached."""
        means: NetworkState = {}
        for module in self._layers:
            layer, state = module.layer, module.state
            running = {key: state[key] for key in layer.buffers}
            found = {**self.family.mean(layer, state), **running}
            means[layer.name] = {key: value.detach() for key, value in found.items()}
        return means

    def state(self) -> NetworkState:
        """Return detached copies of all tensors of the state, trained and carried."""
        return {
            module.layer.name: {k: v.detach().clone() for k, v in module.state.items()}
            for module in self._layers
        }

    def sigma_ratio(self, prior: NetworkState) -> dict[str, Tensor]:
        """Return σ/σ_prior of every weight, by layer; empty for a family without a scale."""
        ratios = {}
        for module in self._layers:
            with torch.no_grad():
                sigma = self.family.sigma(module.layer, module.state)
                of_prior = self.family.sigma(module.layer, prior[module.layer.name])
                if sigma is not None and of_prior is not None:
                    ratios[module.layer.name] = (sigma / of_prior).flatten()
        return ratios

    def scale_parameters(self) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
        """Return (parameters that hold logarithms of scales, all others), in a fixed order."""
        scales: list[nn.Parameter] = []
        others: list[nn.Parameter] = []
        for module in self._layers:
            for key, value in module.named_parameters(recurse=False):
                (scales if key in self.family.scale_parameters else others).append(value)
        return scales, others
