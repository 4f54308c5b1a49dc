"""Turns a plain network into one whose layers hold variational parameters.

It replaces every Linear and Conv2d by a layer that asks a family how to compute, and
leaves everything else (pooling, activations, order) to the network.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from incbayes.families.base import Family
from incbayes.layers import Layer, State, channels_last, weighted_modules
from incbayes.noise import Noise

NetworkState = dict[str, State]
"""The state of every layer, by layer name, in the order of the network."""


class VariationalLayer(nn.Module):
    """A layer whose weights are distributed as `family` with the parameters it holds."""

    def __init__(self, layer: Layer, family: Family, state: State):
        """Hold copies of the tensors of `state` as parameters."""
        super().__init__()
        self.layer, self.family = layer, family
        self.noise: Noise | None = None
        self.keeps_draws = False
        self.draw: State = {}
        self.log_density: Tensor | None = None
        for key, value in state.items():
            self.register_parameter(key, nn.Parameter(channels_last(value.detach())))

    @property
    def state(self) -> State:
        """The variational parameters, live, by name."""
        return dict(self.named_parameters(recurse=False))

    def forward(self, x: Tensor) -> Tensor:
        """Return a stochastic output where noise is set, else that of the posterior mean."""
        if self.noise is None:
            return self._plain(x, self.family.mean(self.layer, self.state))
        if self.keeps_draws:
            drawn = self.family.sample_with_log_density(self.layer, self.state, self.noise)
            self.draw, self.log_density = drawn
            return self._plain(x, self.draw)
        return self.family.forward(self.layer, self.state, x, self.noise)

    def _plain(self, x: Tensor, weights: State) -> Tensor:
        return self.layer.apply(x, weights["weight"], weights.get("bias"))


class VariationalNetwork(nn.Module):
    """A network over weights w ~ q(w), with q factorised over its layers."""

    def __init__(self, network: nn.Module, family: Family, state: NetworkState):
        """Replace, in place, the layers of `network` by variational ones with `state`."""
        super().__init__()
        self.family = family
        self.network = network
        self._layers: list[VariationalLayer] = []
        for name, module in list(weighted_modules(network)):
            variational = VariationalLayer(Layer.of(name, module), family, state[name])
            parent, _, child = name.rpartition(".")
            setattr(network.get_submodule(parent), child, variational)
            self._layers.append(variational)

    @property
    def layers(self) -> list[Layer]:
        """The layers with weights, in order."""
        return [module.layer for module in self._layers]

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
        for module in self._layers:
            module.noise = noise
        try:
            yield
        finally:
            for module in self._layers:
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

    def cost_of_draw(self, prior: NetworkState) -> dict[str, Tensor]:
        """Return ln q(w) - ln p(w) in nats of every layer, at the draw of the last pass.

        Its mean over draws is KL(q‖p): the complexity cost of Wohlert et al. (2017) eq. (4).
        """
        costs = {}
        for module in self._layers:
            layer = module.layer
            log_p = self.family.log_density(layer, prior[layer.name], module.draw)
            costs[layer.name] = module.log_density - log_p
        return costs

    def state(self) -> NetworkState:
        """Return detached copies of the variational parameters."""
        return {
            module.layer.name: {k: v.detach().clone() for k, v in module.state.items()}
            for module in self._layers
        }

    def sigma_ratio(self, prior: NetworkState) -> dict[str, Tensor]:
        """Return σ/σ_prior of every weight, by layer; empty for a family without width."""
        ratios = {}
        for module in self._layers:
            with torch.no_grad():
                sigma = self.family.sigma(module.layer, module.state)
                if sigma is not None:
                    width = self.family.sigma(module.layer, prior[module.layer.name])
                    ratios[module.layer.name] = (sigma / width).flatten()
        return ratios

    def scale_parameters(self) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
        """Return (parameters that hold log-widths, all others), each in a fixed order."""
        scales, others = [], []
        for module in self._layers:
            for key, value in module.named_parameters(recurse=False):
                (scales if key in self.family.scale_parameters else others).append(value)
        return scales, others
