"""Kronecker factors of a plain network's Fisher information, and the nearest product to a sum.

F of a layer, over its weights [O, J], is taken for Ā ⊗ Ḡ (K-FAC, Martens & Grosse 2015): Ā is the
second moment of its inputs, with a 1 appended where it has a bias, Ḡ that of the gradients of its
outputs. Convolutions are unfolded, and positions are taken for independent (KFC, Grosse & Martens
2016; the "expand" setting of Eschenhagen et al. 2023): Ā sums over positions, Ḡ is their mean. A
Linear layer over positions is as a convolution of width 1.
"""

from collections.abc import Collection, Sequence

import torch
from torch import Tensor, nn

from incbayes.curvature.fisher import FisherError, ForwardHook, Kind, label_terms, patches
from incbayes.data.part import Part
from incbayes.likelihoods.base import Likelihood
from incbayes.networks.layers import Layer, weighted_modules

Factors = tuple[Tensor, Tensor]
"""Ā [J, J] over the inputs and Ḡ [O, O] over the outputs of a layer."""

TOLERANCE, MOST_ITERATIONS = 1e-13, 1000


def kronecker_factors(
    network: nn.Module,
    part: Part,
    kind: Kind,
    generator: torch.Generator,
    likelihood: Likelihood,
    names: Collection[str],
    batch_size: int = 100,
) -> dict[str, Factors]:
    """Return Ā and Ḡ of the layers that are named, per image: F is taken for Ā ⊗ Ḡ.

    Args:
        network: plain network with outputs [N, K]; it is put into evaluation.
        part: the scaled images; only `empirical` uses their labels.
        kind: whose labels, as of `diagonal_fisher`.
        generator: draws the labels of `mc`.
        likelihood: of the labels given the outputs.
        names: of Linear layers and of convolutions without groups.
        batch_size: images at a time.

    Raises:
        FisherError: a factor is not finite; naming the layer.
    """
    network.eval()
    recorder = _Recorder(network, names)
    try:
        for start in range(0, len(part.images), batch_size):
            batch = slice(start, start + batch_size)
            logits = network(part.images[batch])
            for targets, weights in label_terms(
                logits, part.labels[batch], kind, likelihood, generator
            ):
                recorder.add_gradients(-likelihood.nll(logits, targets), weights)
            recorder.add_inputs()
    finally:
        recorder.close()
    count = len(part.images)
    found = {
        name: (recorder.inputs[name] / count, recorder.gradients[name] / count) for name in names
    }
    for name, factors in found.items():
        if not all(torch.isfinite(factor).all() for factor in factors):
            raise FisherError(f"the Kronecker factors of {name} are not finite")
    return found


class _Recorder:
    """Keeps inputs and outputs of the named layers in a forward pass, and sums their moments."""

    def __init__(self, network: nn.Module, names: Collection[str]):
        modules = {name: module for name, module in weighted_modules(network) if name in names}
        self.layers = {name: Layer.of(name, module) for name, module in modules.items()}
        self.inputs: dict[str, Tensor] = {}
        self.gradients: dict[str, Tensor] = {}
        self._seen: dict[str, tuple[Tensor, Tensor]] = {}
        self._handles = [
            module.register_forward_hook(self._hook(name)) for name, module in modules.items()
        ]

    def _hook(self, name: str) -> ForwardHook:
        def record(module: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> None:
            self._seen[name] = _rows(self.layers[name], args[0].detach()), output

        return record

    def close(self) -> None:
        for handle in self._handles:
            handle.remove()

    def add_gradients(self, log_likelihood: Tensor, weights: Tensor) -> None:
        """Add Σ_n weights_n · g_n g_nᵀ, over positions their mean, of every layer's outputs."""
        outputs = [output for _, output in self._seen.values()]
        found = torch.autograd.grad(log_likelihood, outputs, retain_graph=True)
        for name, gradient in zip(self._seen, found, strict=True):
            rows = _output_rows(self.layers[name], gradient)  # [N, R, O]
            share = rows * (weights / rows.shape[1])[:, None, None]
            self._add(self.gradients, name, share.flatten(0, 1).T @ rows.flatten(0, 1))

    def add_inputs(self) -> None:
        """Add Σ a aᵀ over images and positions of the inputs of the last pass."""
        for name, (rows, _) in self._seen.items():
            flat = rows.flatten(0, 1)
            self._add(self.inputs, name, flat.T @ flat)

    @staticmethod
    def _add(sums: dict[str, Tensor], name: str, moment: Tensor) -> None:
        sums[name] = sums[name] + moment if name in sums else moment


def _rows(layer: Layer, x: Tensor) -> Tensor:
    """Return what meets the weights of one output, [N, R, J], with a 1 for the bias."""
    if layer.is_convolution:
        rows = patches(layer, x).mT
    else:
        rows = x[:, None] if x.dim() == 2 else x.flatten(1, -2)
    return torch.cat([rows, rows.new_ones(*rows.shape[:2], 1)], -1) if layer.has_bias else rows


def _output_rows(layer: Layer, gradient: Tensor) -> Tensor:
    """Return the gradient of a layer's output as [N, R, O]."""
    if layer.is_convolution:
        return gradient.flatten(2).mT
    return gradient[:, None] if gradient.dim() == 2 else gradient.flatten(1, -2)


def nearest_product(terms: Sequence[Factors]) -> Factors:
    """Return the Ā ⊗ Ḡ that is nearest to Σ_k A_k ⊗ G_k in the Frobenius norm, in float64.

    By alternating least squares: for a given Ḡ the best Ā is Σ_k A_k ⟨G_k, Ḡ⟩ / ‖Ḡ‖², and the
    other way round. As Ā and Ḡ stay in the span of the terms, their coefficients alone alternate;
    of positive semi-definite terms these are not negative, so that neither is any eigenvalue.
    The two come out with equal norms.
    """
    inputs, outputs = (torch.stack([term[i].double() for term in terms]) for i in (0, 1))
    of_inputs, of_outputs = (
        torch.einsum("kij,lij->kl", stacked, stacked).cpu() for stacked in (inputs, outputs)
    )
    a = b = torch.ones(len(terms), dtype=torch.float64)
    for _ in range(MOST_ITERATIONS):
        before = torch.outer(a, b)
        a = _best(of_outputs, b)
        b = _best(of_inputs, a)
        change = (torch.outer(a, b) - before).abs().max()
        if change <= TOLERANCE * before.abs().max():
            break
    a, b = (coefficients.to(inputs.device) for coefficients in (a, b))
    first, second = torch.tensordot(a, inputs, 1), torch.tensordot(b, outputs, 1)
    norms = first.norm(), second.norm()
    if min(norms) == 0:
        return torch.zeros_like(first), torch.zeros_like(second)
    balance = (norms[1] / norms[0]).sqrt()
    return first * balance, second / balance


def _best(products: Tensor, given: Tensor) -> Tensor:
    """Return the coefficients of one factor that are best for those of the other.

    Args:
        products: inner products [K, K] of the other factor's terms.
        given: its coefficients [K].
    """
    projected = products @ given
    square = given @ projected
    return projected / square if square > 0 else torch.zeros_like(given)
