"""The fully factorised Gaussian, Kochurov et al. (2018) eq. (3): every weight on its own."""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from torch import Tensor

from incbayes.core.options import MULTIPLE, option
from incbayes.families.base import Family
from incbayes.families.estimators import Estimator, draws_weights
from incbayes.families.gaussian import (
    diagonal_kl,
    draw,
    draw_with_log_density,
    gaussian_state,
    log_density,
    perturbed,
)
from incbayes.families.initialisation import (
    INITIAL_SIGMA,
    INITIALISATION,
    Initialisation,
    initial_gaussian,
)
from incbayes.networks.layers import Layer, State
from incbayes.networks.noise import Noise


@dataclass(frozen=True)
class FullyFactorisedGaussian(Family):
    """A Gaussian per weight, q(w) = Π N(w_ij | μ_ij, σ_ij²).

    The state of a layer is `weight_mean`, `weight_log_sigma` (shape of the weight) and,
    with a bias, `bias_mean`, `bias_log_sigma` [O].
    """

    estimator: Literal[Estimator, "flipout"] = option(
        "local",
        "How the expected likelihood is sampled: `local` draws every pre-activation on its own "
        "(local reparameterisation, Kingma et al. 2015: lower variance, two products), `weight` "
        "draws one set of weights per minibatch (one product), `mixed` is `weight` in convolutions "
        "and `local` elsewhere, `flipout` flips the signs of one draw anew for every image (Wen et "
        "al. 2018, two products).",
    )
    initial_sigma: float = option(0.1, INITIAL_SIGMA, **MULTIPLE)
    initialisation: Initialisation = option("prior_scaled", INITIALISATION)

    mean_scale: float = option(
        1.0,
        "Factor λ of the KL's term in the means, (μ - μ_prior)²/(2σ_prior²): stiffness apart from "
        "width. 1 is the KL; with another the objective is no variational bound. As kl_scale goes "
        "to 0 the chain goes to online EWC of strength λ (Loo et al. 2021).",
        minimum=0,
        maximum=1e6,
    )
    prediction: Literal["sampled", "linearised"] = option(
        "sampled",
        "What a draw of the predictive distribution is: `sampled`, the network at a draw of the "
        "weights; `linearised`, f(x; μ) + J(x)(w - μ), its tangent at the means, which suits a "
        "posterior of `laplace`, at two to three times the cost.",
    )

    constraints: ClassVar[dict[str, Any]] = {
        "bayesian": True,
        "mean_scale": "mean_scale",
        "step_cost": 4,
        "step_cost_of": {"estimator": {"weight": 3, "mixed": 3}},
    }
    scale_parameters: ClassVar[frozenset[str]] = frozenset({"weight_log_sigma", "bias_log_sigma"})

    def from_gaussian(self, layer: Layer, mean: State, sigma: State) -> State:
        """Return N(mean, sigma²) itself."""
        state: State = {}
        for key in layer.shapes:
            state |= gaussian_state(key, mean[key], sigma[key])
        return state

    def start(self, layer: Layer, prior: State, weights: State, noise: Noise) -> State:
        """Return q as `initialisation` has it, by default around `weights`."""
        mean, sigma = initial_gaussian(
            self.initialisation, layer, prior, weights, self.initial_sigma, noise
        )
        return self.from_gaussian(layer, mean, sigma)

    def forward(self, layer: Layer, q: State, x: Tensor, noise: Noise) -> Tensor:
        """Return one stochastic output of the layer for x [N, …].

        `local`: given x, the output is Gaussian with mean A(x; μ) and variance
        A(x²; σ²), where A is the layer; one draw per output entry. An embedding chooses
        weights, so that its variance is A(x; σ²).

        `flipout`: A(x; μ) + s·A(r·x; σε), Wen et al. (2018) eq. (4), with signs r of every image's
        inputs or channels and s of its outputs: of one image what `weight` gives, while two
        images' deviations are uncorrelated.
        """
        if self.estimator == "flipout":
            return _flipped(layer, q, x, noise)
        if draws_weights(self.estimator, layer):
            weights = self.sample(layer, q, noise)
            return layer.apply(x, weights["weight"], weights.get("bias"))
        mean = layer.apply(x, q["weight_mean"], q.get("bias_mean"))
        bias_variance = (2 * q["bias_log_sigma"]).exp() if layer.has_bias else None
        variance = layer.variance(x, (2 * q["weight_log_sigma"]).exp(), bias_variance)
        return perturbed(mean, variance, noise)

    def sample(self, layer: Layer, q: State, noise: Noise) -> State:
        """Return μ + σ·ε for weight and bias."""
        return {key: draw(q, key, noise) for key in layer.shapes}

    def sample_with_log_density(self, layer: Layer, q: State, noise: Noise) -> tuple[State, Tensor]:
        """Return μ + σ·ε for weight and bias, and ln q of both in nats."""
        drawn = {key: draw_with_log_density(q, key, noise) for key in layer.shapes}
        return {key: value for key, (value, _) in drawn.items()}, sum(d for _, d in drawn.values())

    def log_density(self, layer: Layer, q: State, draw: State) -> Tensor:
        """Return Σ ln N(w | μ, σ²) over weight and bias, in nats."""
        return sum(log_density(q, key, draw[key]) for key in layer.shapes)

    def mean(self, layer: Layer, q: State) -> State:
        """Return the means."""
        return {key: q[f"{key}_mean"] for key in layer.shapes}

    def kl(self, layer: Layer, q: State, p: State, noise: Noise) -> Tensor:
        """Return KL(q‖p) in nats, the second term of eq. (2), with its means weighed.

        Loo et al. (2021) scale only what the precision of p has beyond the first prior's; here all
        of it is, as the first prior is not known in later stages.
        """
        return sum(diagonal_kl(q, p, key, self.mean_scale) for key in layer.shapes)

    def sigma(self, layer: Layer, q: State) -> Tensor:
        """Return σ of every weight."""
        return q["weight_log_sigma"].exp()


def _flipped(layer: Layer, q: State, x: Tensor, noise: Noise) -> Tensor:
    """Return the mean output for x [N, …] plus a draw's deviation, its signs each image's own."""
    mean = {key: q[f"{key}_mean"] for key in layer.shapes}
    deviation = {key: draw(q, key, noise) - mean[key] for key in layer.shapes}
    turned = x if layer.kind == "embedding" else x * _signs(layer, x, noise)
    output = layer.apply(x, mean["weight"], mean.get("bias"))
    deviating = layer.apply(turned, deviation["weight"], deviation.get("bias"))
    return output + deviating * _signs(layer, output, noise)


def _signs(layer: Layer, values: Tensor, noise: Noise) -> Tensor:
    """Return random signs of every image's channels, or last axis, to broadcast over `values`."""
    return noise.normal(layer.unit_shape(values), values).sign()
