"""Predictive distributions of a posterior: Monte Carlo over weights, and the posterior mean."""

from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn

from incbayes.families.base import Family
from incbayes.layers import Layer, State, layers_of
from incbayes.networks import fresh_network, with_weights
from incbayes.noise import GeneratorNoise, Noise
from incbayes.variational import NetworkState


class Predictor:
    """Predicts with plain networks whose weights are draws from, or the mean of, a posterior."""

    def __init__(
        self,
        model: Mapping[str, Any],
        shape: tuple[int, int, int],
        classes: int,
        family: Family,
        device: torch.device,
        batch_size: int,
        precision: Literal["fp32", "bf16"] = "fp32",
    ):
        """Build one plain network; every draw is copied into it.

        Args:
            model: `{"kind": …, options}`.
            shape: [C, H, W] of an image.
            classes: K.
            family: of the posteriors.
            device: to compute on.
            batch_size: images at a time, which bounds the memory.
            precision: of weights, images and products; draws and probabilities are exact.
        """
        self.dtype = {"fp32": torch.float32, "bf16": torch.bfloat16}[precision]
        network = fresh_network(model, shape, classes, 0).to(device, self.dtype).eval()
        self.network = network.to(memory_format=torch.channels_last)
        self.layers = layers_of(self.network)
        self.family, self.device, self.batch_size = family, device, batch_size

    def mean(self, q: NetworkState, images: Tensor) -> Tensor:
        """Return the probabilities of the posterior-mean network, float64 [N, K].

        Args:
            q: the posterior.
            images: [N, C, H, W], scaled.
        """
        weights = {
            layer.name: self.family.mean(layer, self._on_device(q[layer.name]))
            for layer in self.layers
        }
        return self._probabilities(with_weights(self.network, weights), images)

    def predictive(
        self, q: NetworkState, images: Tensor, samples: int, generator: torch.Generator
    ) -> Tensor:
        """Return the predictive mean (1/S)·Σ_s p(y | x, w_s), w_s ~ q, float64 [N, K].

        Every w_s is one draw of all weights, shared by all images: a draw from q itself
        whatever estimator training used, at the price of one deterministic pass.
        """
        noise = GeneratorNoise(generator)
        q = {name: self._on_device(state) for name, state in q.items()}
        total = torch.zeros((), dtype=torch.float64, device=self.device)
        for _ in range(samples):
            weights = {layer.name: self._draw(layer, q[layer.name], noise) for layer in self.layers}
            total = total + self._probabilities(with_weights(self.network, weights), images)
        return total / samples

    def _draw(self, layer: Layer, q: State, noise: Noise) -> State:
        """Return one draw of the plain weights, without the latent variables of the family."""
        draw = self.family.sample(layer, q, noise)
        return {key: draw[key] for key in layer.shapes}

    def _on_device(self, state: State) -> State:
        return {key: value.to(self.device) for key, value in state.items()}

    @torch.inference_mode()
    def _probabilities(self, network: nn.Module, images: Tensor) -> Tensor:
        batches = images.split(self.batch_size)
        logits = torch.cat([network(batch.to(self.dtype)) for batch in batches])
        return logits.float().softmax(-1).double()
