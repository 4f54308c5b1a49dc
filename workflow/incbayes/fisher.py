"""The diagonal Fisher information of a plain network, from exact per-example gradients.

For a Linear layer the squared gradient of an example is the outer product of squared
factors, g² (a²)ᵀ, and sums over a batch in one product; for a Conv2d layer it is the square
of a sum over positions and is formed example by example. Never the square of a batch mean.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from incbayes.layers import Layer, State, weighted_modules

Kind = Literal["empirical", "mc", "ggn"]


def diagonal_fisher(
    network: nn.Module,
    images: Tensor,
    labels: Tensor,
    kind: Kind,
    generator: torch.Generator,
    batch_size: int = 100,
) -> dict[str, State]:
    """Return F, the mean over images of the expected squared gradient of log p(y | x, w).

    Args:
        network: plain network with logits [N, K].
        images: [N, C, H, W], scaled.
        labels: [N], int64; only `empirical` uses them.
        kind: `empirical`: y is the observed label; `mc`: one y drawn from p(y | x, w);
            `ggn`: Σ_y p(y | x, w)·(∇ log p(y | x, w))², the exact expectation, equal to the
            diagonal of the generalised Gauss-Newton matrix for a softmax likelihood.
        generator: draws the labels of `mc`.
        batch_size: images at a time; bounds the memory to O(parameters + batch · largest
            convolution's weights).

    Returns:
        F by layer name, in the shapes of `weight` and `bias`, in nats² per image.
    """
    recorder = _Recorder(network)
    try:
        for start in range(0, len(images), batch_size):
            part = slice(start, start + batch_size)
            logits = recorder.forward(images[part])
            for targets, weights in _label_terms(logits, labels[part], kind, generator):
                recorder.accumulate(logits, targets, weights)
    finally:
        recorder.close()
    return {
        name: {key: value / len(images) for key, value in state.items()}
        for name, state in recorder.squares.items()
    }


def _label_terms(logits: Tensor, labels: Tensor, kind: Kind, generator: torch.Generator):
    """Yield (targets [B], weights [B]) whose weighted squares sum to the expectation over y."""
    ones = torch.ones_like(logits[:, 0])
    probabilities = logits.detach().softmax(-1)
    if kind == "empirical":
        yield labels, ones
    elif kind == "mc":
        yield torch.multinomial(probabilities, 1, generator=generator)[:, 0], ones
    else:
        for target in range(logits.shape[1]):
            yield torch.full_like(labels, target), probabilities[:, target]


class _Recorder:
    """Keeps every layer's input and output in a forward pass, and sums squared gradients."""

    def __init__(self, network: nn.Module):
        self.network = network
        self.layers = {name: Layer.of(name, m) for name, m in weighted_modules(network)}
        self.inputs: dict[str, Tensor] = {}  # of a Linear squared, of a Conv2d as patches
        self.outputs: dict[str, Tensor] = {}
        self.squares: dict[str, State] = {
            name: {key: torch.zeros_like(value) for key, value in module.named_parameters()}
            for name, module in weighted_modules(network)
        }
        self._handles = [
            module.register_forward_hook(self._hook(name))
            for name, module in weighted_modules(network)
        ]

    def _hook(self, name: str):
        def record(module: nn.Module, args: tuple[Tensor], output: Tensor) -> None:
            self.inputs[name] = _prepared(self.layers[name], args[0].detach())
            self.outputs[name] = output

        return record

    def close(self) -> None:
        for handle in self._handles:
            handle.remove()

    def forward(self, images: Tensor) -> Tensor:
        return self.network(images)

    def accumulate(self, logits: Tensor, targets: Tensor, weights: Tensor) -> None:
        """Add Σ_n weights_n · (∂ log p(targets_n) / ∂w)² to every layer's squares."""
        log_likelihood = -F.cross_entropy(logits, targets, reduction="sum")
        names = list(self.outputs)
        gradients = torch.autograd.grad(
            log_likelihood, [self.outputs[name] for name in names], retain_graph=True
        )
        for name, gradient in zip(names, gradients, strict=True):
            squares = _squared_gradients(self.layers[name], self.inputs[name], gradient, weights)
            for key, value in squares.items():
                self.squares[name][key] += value


def _prepared(layer: Layer, x: Tensor) -> Tensor:
    """Return what the squared gradients of every label take from a layer's input.

    Args:
        layer: the layer.
        x: its input, [N, I] or [N, C, H, W].

    Returns:
        x² [N, I], or the patches [N, groups, (C / groups)·kH·kW, positions].
    """
    if layer.kind == "linear":
        return x.square()
    patches = F.unfold(x, layer.weight_shape[2:], layer.dilation, layer.padding, layer.stride)
    return patches.unflatten(1, (layer.groups, -1))  # channels lead: groups are contiguous


def _squared_gradients(layer: Layer, prepared: Tensor, gradient: Tensor, weights: Tensor) -> State:
    """Return Σ_n weights_n · (per-example gradient)² of a layer's weight and bias.

    Args:
        layer: the layer.
        prepared: of its input, from `_prepared`.
        gradient: of its output, [N, O] or [N, O, H', W'].
        weights: [N].
    """
    if layer.kind == "linear":
        weighted = gradient.square() * weights[:, None]
        squares = {"weight": weighted.T @ prepared}
        return squares | ({"bias": weighted.sum(0)} if layer.has_bias else {})
    flat = gradient.flatten(2).unflatten(1, (layer.groups, -1))
    per_example = flat @ prepared.mT  # [N, groups, O / groups, I·kH·kW]
    weight = (per_example.square_().flatten(1).T @ weights).view(layer.weight_shape)
    squares = {"weight": weight}
    if layer.has_bias:
        squares["bias"] = weights @ flat.sum(-1).flatten(1).square()
    return squares
