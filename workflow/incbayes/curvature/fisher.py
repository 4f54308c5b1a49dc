"""The diagonal Fisher information of a plain network, from exact per-example gradients.

For a Linear layer the squared gradient of an example is the outer product of squared
factors, g² (a²)ᵀ, and sums over a batch in one product; where a layer has positions it is the
square of a sum over them and is formed example by example. Never the square of a batch mean.
"""

from collections.abc import Callable, Iterator
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from incbayes.core.errors import UserError
from incbayes.data.part import Part
from incbayes.likelihoods.base import Likelihood
from incbayes.likelihoods.categorical import CATEGORICAL
from incbayes.networks.layers import Layer, Normalisation, State, weighted_modules

Kind = Literal["empirical", "mc", "ggn"]
ForwardHook = Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]


class FisherError(UserError, ArithmeticError):
    """A Fisher information that is not finite."""


def diagonal_fisher(
    network: nn.Module,
    part: Part,
    kind: Kind,
    generator: torch.Generator,
    likelihood: Likelihood = CATEGORICAL,
    batch_size: int = 100,
) -> dict[str, State]:
    """Return F, the mean over images of the expected squared gradient of log p(y | x, w).

    Args:
        network: plain network with outputs [N, K], for the categorical likelihood logits; it is put
            into evaluation, in which it predicts.
        part: the scaled images; only `empirical` uses their labels.
        kind: `empirical`: y is the observed label; `mc`: one y drawn from p(y | x, w);
            `ggn`: E_y (∇ log p(y | x, w))², the exact expectation, Σ_y p(y | x, w)·(…)² over
            classes, equal to the diagonal of the generalised Gauss-Newton matrix.
        generator: draws the labels of `mc`.
        likelihood: of the labels given the outputs.
        batch_size: images at a time; bounds the memory to O(parameters + batch · largest
            convolution's weights).

    Returns:
        F by layer name, in the shapes of `weight` and `bias`, in nats² per image.

    Raises:
        FisherError: logits are not finite, or a tensor of F, which it names.
    """
    images, labels = part.images, part.labels
    network.eval()
    recorder = _Recorder(network, likelihood)
    try:
        for start in range(0, len(images), batch_size):
            batch = slice(start, start + batch_size)
            logits = recorder.forward(images[batch])
            if not torch.isfinite(logits).all():
                raise FisherError("the logits of the network are not finite")
            for targets, weights in label_terms(logits, labels[batch], kind, likelihood, generator):
                recorder.accumulate(logits, targets, weights)
    finally:
        recorder.close()
    found = {
        name: {key: value / len(images) for key, value in state.items()}
        for name, state in recorder.squares.items()
    }
    for name, state in found.items():
        for key, value in state.items():
            if not torch.isfinite(value).all():
                what = f"the Fisher information of {name}.{key}"
                raise FisherError(
                    f"{what} is not finite: its gradients are too large to be squared"
                )
    return found


def label_terms(
    logits: Tensor,
    labels: Tensor,
    kind: Kind,
    likelihood: Likelihood,
    generator: torch.Generator,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield (targets [B], weights [B]) whose weighted squares sum to the expectation over y."""
    ones, found = torch.ones_like(logits[:, 0]), logits.detach()
    if kind == "empirical":
        yield labels, ones
    elif kind == "mc":
        yield likelihood.drawn_targets(found, generator), ones
    else:
        yield from likelihood.expected_targets(found)


class _Recorder:
    """Keeps every layer's input and output in a forward pass, and sums squared gradients."""

    def __init__(self, network: nn.Module, likelihood: Likelihood):
        self.network, self.likelihood = network, likelihood
        self.layers = {name: Layer.of(name, m) for name, m in weighted_modules(network)}
        self.inputs: dict[str, Tensor] = {}  # of a Linear squared, of a convolution as patches
        self.outputs: dict[str, Tensor] = {}
        self.squares: dict[str, State] = {
            name: {key: torch.zeros_like(value) for key, value in module.named_parameters()}
            for name, module in weighted_modules(network)
        }
        self._handles = [
            module.register_forward_hook(self._hook(name))
            for name, module in weighted_modules(network)
        ]

    def _hook(self, name: str) -> ForwardHook:
        def record(module: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> None:
            layer, x = self.layers[name], args[0].detach()
            if isinstance(layer, Normalisation):
                running = {key: getattr(module, key) for key in layer.buffers}
                self.inputs[name] = layer.normalised(x, {}, running, training=False)
            else:
                self.inputs[name] = _prepared(layer, x)
            self.outputs[name] = output

        return record

    def close(self) -> None:
        for handle in self._handles:
            handle.remove()

    def forward(self, images: Tensor) -> Tensor:
        return self.network(images)

    def accumulate(self, logits: Tensor, targets: Tensor, weights: Tensor) -> None:
        """Add Σ_n weights_n · (∂ log p(targets_n) / ∂w)² to every layer's squares."""
        log_likelihood = -self.likelihood.nll(logits, targets)
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
        x: its input, [N, …, I], [N, C, *sides], or the numbers [N, …] of an embedding.

    Returns:
        x² [N, I]; x [N, positions, I]; the patches [N, groups, (C / groups)·K, positions]; of a
        transposed convolution x [N, groups, C / groups, positions]; the chosen numbers as ones
        [N, positions, V].
    """
    if layer.kind == "linear":
        return x.square() if x.dim() == 2 else x.flatten(1, -2)
    if layer.kind == "embedding":
        return F.one_hot(x.flatten(1), layer.weight_shape[0])
    if layer.is_transposed:
        return x.flatten(2).unflatten(1, (layer.groups, -1))
    # Channels lead: groups are contiguous.
    return patches(layer, x).unflatten(1, (layer.groups, -1))


def patches(layer: Layer, x: Tensor) -> Tensor:
    """Return what every position of a kernel covers of x, padded, [N, C·K, positions]."""
    if len(layer.kernel) == 2:
        if layer.border:
            x = F.pad(x, layer.border, layer.border_mode)
        return F.unfold(x, layer.kernel, layer.dilation, layer.padding, layer.stride)
    x = layer.padded(x)
    for axis, (side, dilation) in enumerate(zip(layer.kernel, layer.dilation, strict=True), 2):
        x = x.unfold(axis, dilation * (side - 1) + 1, layer.stride[axis - 2])[..., ::dilation]
    axes = len(layer.kernel)
    positions = range(2, 2 + axes)
    x = x.permute(0, 1, *range(2 + axes, 2 + 2 * axes), *positions)
    return x.flatten(2 + axes).flatten(1, -2)


def _squared_gradients(layer: Layer, prepared: Tensor, gradient: Tensor, weights: Tensor) -> State:
    """Return Σ_n weights_n · (per-example gradient)² of a layer's weight and bias.

    Args:
        layer: the layer.
        prepared: of its input, from `_prepared`.
        gradient: of its output, [N, …, O] or [N, O, *positions].
        weights: [N].
    """
    if isinstance(layer, Normalisation):
        return _squared_of_scales(layer, prepared, gradient, weights)
    if layer.kind == "embedding":
        per_example = prepared.mT.to(gradient) @ gradient.flatten(1, -2)  # [N, V, E]
        return {"weight": torch.einsum("n...,n->...", per_example.square_(), weights)}
    if layer.kind == "linear" and gradient.dim() > 2:
        return _squared_over_positions(layer, prepared, gradient.flatten(1, -2).mT, weights)
    if layer.kind == "linear":
        weighted = gradient.square() * weights[:, None]
        squares = {"weight": weighted.T @ prepared}
        return squares | ({"bias": weighted.sum(0)} if layer.has_bias else {})
    if layer.is_transposed:
        # The input meets the gradient where a direct convolution's gradient meets its input.
        covered = patches(layer, gradient).unflatten(1, (layer.groups, -1))
        per_example = prepared @ covered.mT  # [N, groups, I / groups, O / groups·K]
        squares = {"weight": _weighted(layer, per_example.square_(), weights)}
        bias = weights @ gradient.flatten(2).sum(-1).square()
        return squares | ({"bias": bias} if layer.has_bias else {})
    flat = gradient.flatten(2).unflatten(1, (layer.groups, -1))
    per_example = flat @ prepared.mT  # [N, groups, O / groups, I·K]
    weight = _weighted(layer, per_example.square_(), weights)
    squares = {"weight": weight}
    if layer.has_bias:
        squares["bias"] = weights @ flat.sum(-1).flatten(1).square()
    return squares


def _squared_of_scales(
    layer: Normalisation, prepared: Tensor, gradient: Tensor, weights: Tensor
) -> State:
    """Return the same of scales and shifts, where x was normalised; both [N, …]."""
    axes = len(layer.weight_shape)
    of_scales = {"weight": gradient * prepared, "bias": gradient}
    found: State = {}
    for key in layer.shapes:
        if layer.over == "layer":
            summed = of_scales[key].flatten(1, -axes - 1) if gradient.dim() > axes + 1 else None
            per_example = of_scales[key] if summed is None else summed.sum(1)
        else:
            per_example = (
                of_scales[key].flatten(2).sum(-1) if gradient.dim() > 2 else of_scales[key]
            )
        found[key] = torch.einsum("n...,n->...", per_example.square(), weights)
    return found


def _squared_over_positions(
    layer: Layer, prepared: Tensor, gradient: Tensor, weights: Tensor
) -> State:
    """Return the same of a Linear layer with x [N, positions, I], gradient [N, O, positions]."""
    squares = {"weight": _weighted(layer, (gradient @ prepared).square_(), weights)}
    bias = weights @ gradient.sum(-1).square()
    return squares | ({"bias": bias} if layer.has_bias else {})


def _weighted(layer: Layer, squares: Tensor, weights: Tensor) -> Tensor:
    """Return Σ_n weights_n · squares_n [N, …] in the shape of the weight."""
    return (squares.flatten(1).T @ weights).view(layer.weight_shape)
