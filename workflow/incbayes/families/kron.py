"""The Kronecker-factored Gaussian of Ritter et al. (2018): one precision Ā ⊗ Ḡ + τI a layer."""

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from incbayes.core.errors import UserError
from incbayes.core.options import option
from incbayes.families.base import Family
from incbayes.networks.layers import Layer, State
from incbayes.networks.noise import Noise

LOG_TAU = "log_tau"
FACTORS = ("inputs_basis", "inputs_scale", "outputs_basis", "outputs_scale", LOG_TAU)
"""Names of the tensors beside the means, which `laplace` computes and no gradient trains."""


class WidthError(UserError, ValueError):
    """A Gaussian that is no member of the family."""


@dataclass(frozen=True)
class KroneckerGaussian(Family):
    """A Gaussian over the weights W [O, J] of a layer with the precision Ā ⊗ Ḡ + τI.

    J counts a layer's inputs, of a convolution those under its kernel, and one more for the bias.
    Ā = U diag(λ) Uᵀ and Ḡ = V diag(μ) Vᵀ are kept as eigenvectors and eigenvalues, so that a draw
    is two products: W = M + V (ε / sqrt(μ λᵀ + τ)) Uᵀ. The state of a layer is `weight_mean`, with
    a bias `bias_mean` [O], `inputs_basis` U [J, J], `inputs_scale` λ [J], `outputs_basis` V [O, O],
    `outputs_scale` μ [O] and `log_tau` [1].
    """

    prediction: Literal["sampled", "linearised"] = option(
        "sampled",
        "What a draw of the predictive distribution is: `sampled`, the network at a draw of the "
        "weights; `linearised`, f(x; μ) + J(x)(w - μ), its tangent at the means, at two to three "
        "times the cost.",
    )

    constraints: ClassVar[dict[str, Any]] = {
        "bayesian": True,
        "step_cost": 3,
        "fitted_by": ["laplace"],
        "one_width": True,
    }

    def refusal(self, layer: Layer) -> str | None:
        """Return why the layer has no Kronecker factors, or None."""
        if layer.kind == "embedding" or layer.is_transposed:
            return "kron knows no such layer; leave it out of `bayesian`"
        if layer.is_convolution and layer.groups > 1:
            return "kron knows no groups of a convolution; leave it out of `bayesian`"
        return None

    def from_gaussian(self, layer: Layer, mean: State, sigma: State) -> State:
        """Return N(mean, sigma²) with Ā = Ḡ = 0 and τ = 1/sigma².

        Raises:
            WidthError: sigma is not the same for all weights of the layer.
        """
        state = {f"{key}_mean": mean[key].clone() for key in layer.shapes}
        if not layer.shapes:
            return state
        width = sigma["weight"].flatten()[:1]
        same = all(s.is_meta or torch.equal(s, width.expand_as(s)) for s in sigma.values())
        if not same:
            raise WidthError(
                f"layer {layer.name}: a Gaussian with a width for every weight is none of kron's"
            )
        outputs, inputs = self.size(layer)
        state["inputs_basis"] = torch.eye(inputs, dtype=width.dtype, device=width.device)
        state["inputs_scale"] = width.new_zeros(inputs)
        state["outputs_basis"] = torch.eye(outputs, dtype=width.dtype, device=width.device)
        state["outputs_scale"] = width.new_zeros(outputs)
        state[LOG_TAU] = -2 * width.log()
        return state

    def start(self, layer: Layer, prior: State, weights: State, noise: Noise) -> State:
        """Return the prior, centred on `weights`."""
        return {**prior, **{f"{key}_mean": weights[key].clone() for key in layer.shapes}}

    def forward(self, layer: Layer, q: State, x: Tensor, noise: Noise) -> Tensor:
        """Return the layer's output under one draw of its weights."""
        weights = self.sample(layer, q, noise)
        return layer.apply(x, weights["weight"], weights.get("bias"))

    def sample(self, layer: Layer, q: State, noise: Noise) -> State:
        """Return M + V (ε / sqrt(μ λᵀ + τ)) Uᵀ."""
        epsilon = noise.normal(self.size(layer), q["weight_mean"])
        offset = q["outputs_basis"] @ (epsilon * precisions(q).rsqrt()) @ q["inputs_basis"].mT
        drawn = self.flattened(layer, self.mean(layer, q)) + offset
        return self.unflattened(layer, drawn)

    def log_density(self, layer: Layer, q: State, draw: State) -> Tensor:
        """Return ln q(draw) in nats."""
        difference = self.flattened(layer, draw) - self.flattened(layer, self.mean(layer, q))
        entries, squares = precisions(q), rotated(q, difference).square()
        constant = 0.5 * math.log(2 * math.pi) * entries.numel()
        return 0.5 * (entries.log() - entries * squares).sum() - constant

    def mean(self, layer: Layer, q: State) -> State:
        """Return M."""
        return {key: q[f"{key}_mean"] for key in layer.shapes}

    def kl(self, layer: Layer, q: State, p: State, noise: Noise) -> Tensor:
        """Return KL(q‖p) in nats, in closed form.

        ½ [tr(P_p P_q⁻¹) - OJ + ΔᵀP_pΔ + ln det P_q - ln det P_p], the trace in the basis of q,
        where P_q is diagonal.
        """
        inputs = (p["inputs_basis"].mT @ q["inputs_basis"]).square().mT @ p["inputs_scale"]
        outputs = (p["outputs_basis"].mT @ q["outputs_basis"]).square().mT @ p["outputs_scale"]
        ratio = (torch.outer(outputs, inputs) + p[LOG_TAU].exp()) / precisions(q)
        widths = ratio - 1 + precisions(q).log() - precisions(p).log()
        return 0.5 * widths.sum() + self.penalty(layer, q, p)

    def penalty(self, layer: Layer, q: State, p: State) -> Tensor:
        """Return ½ [tr(Ā ΔWᵀ Ḡ ΔW) + τ‖ΔW‖²] for the distance ΔW of the means, with p's factors."""
        means = [self.flattened(layer, self.mean(layer, state)) for state in (q, p)]
        return 0.5 * (precisions(p) * rotated(p, means[0] - means[1]).square()).sum()

    def sigma(self, layer: Layer, q: State) -> Tensor:
        """Return the marginal standard deviation of every weight."""
        outputs, inputs = (q[f"{side}_basis"].square() for side in ("outputs", "inputs"))
        marginal = (outputs @ precisions(q).reciprocal() @ inputs.mT).sqrt()
        return self.unflattened(layer, marginal)["weight"]

    @staticmethod
    def size(layer: Layer) -> tuple[int, int]:
        """Return O and J of a layer."""
        return layer.weight_shape[0], math.prod(layer.weight_shape[1:]) + layer.has_bias

    @staticmethod
    def flattened(layer: Layer, weights: State) -> Tensor:
        """Return plain weights as [O, J], the bias last."""
        flat = weights["weight"].flatten(1)
        return torch.cat([flat, weights["bias"][:, None]], 1) if layer.has_bias else flat

    @staticmethod
    def unflattened(layer: Layer, flat: Tensor) -> State:
        """Return [O, J] as plain weights."""
        if not layer.has_bias:
            return {"weight": flat.reshape(layer.weight_shape)}
        return {"weight": flat[:, :-1].reshape(layer.weight_shape), "bias": flat[:, -1]}


def precisions(q: State) -> Tensor:
    """Return the eigenvalues μ λᵀ + τ of a layer's precision, [O, J]."""
    return torch.outer(q["outputs_scale"], q["inputs_scale"]) + q[LOG_TAU].exp()


def rotated(q: State, weights: Tensor) -> Tensor:
    """Return Vᵀ W U of weights [O, J]: their coordinates in the eigenbasis of the precision."""
    return q["outputs_basis"].mT @ weights @ q["inputs_basis"]


def factors(q: State) -> tuple[Tensor, Tensor]:
    """Return Ā [J, J] and Ḡ [O, O] of a layer, float64."""
    bases = [q[f"{side}_basis"].double() for side in ("inputs", "outputs")]
    scales = [q[f"{side}_scale"].double() for side in ("inputs", "outputs")]
    inputs, outputs = ((b * s) @ b.mT for b, s in zip(bases, scales, strict=True))
    return inputs, outputs


def set_factors(q: State, inputs: Tensor, outputs: Tensor, log_tau: Tensor) -> None:
    """Write Ā, Ḡ and ln τ into a layer's tensors, in place; eigenvalues below 0 are rounding.

    Raises:
        torch.linalg.LinAlgError: a factor has no eigenvectors, as it is not finite.
    """
    for side, factor in (("inputs", inputs), ("outputs", outputs)):
        values, vectors = torch.linalg.eigh(factor)
        q[f"{side}_scale"].copy_(values.clamp_min(0))
        q[f"{side}_basis"].copy_(vectors)
    q[LOG_TAU].copy_(log_tau)
