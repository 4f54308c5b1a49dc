"""Where a diagonal Gaussian over a layer's weights starts in the first stage, by name.

It knows layers, priors and uniform draws, and not what a family builds on the Gaussian.
"""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from incbayes.networks.layers import Layer, State
from incbayes.networks.noise import Noise

Initialisation = Literal["prior_scaled", "wohlert2017", "as_published"]

INITIALISATION = (
    "Where q starts in the first stage. `prior_scaled`: centred on freshly initialised weights, "
    "`initial_sigma` times as wide as the prior. `wohlert2017`: drawn as in eq. (14) of that "
    "paper, means from U(0, 1), log σ² from U(-α-8, α-8), α = 10/sqrt(fan_in). `as_published`: "
    "as their published code draws it, means from U(-α, α), log σ² as in eq. (14)."
)
"""What a study's schema says of an option `initialisation`."""

INITIAL_SIGMA = (
    "Scale of q at the start of the first stage, as a multiple of the prior's; used by the "
    "initialisation `prior_scaled`."
)
"""What a study's schema says of the option `initial_sigma` beside it."""

LOG_VARIANCE = -8.0
"""Centre of log Σ in Wohlert et al. (2017) eq. (14b)."""


def initial_gaussian(
    name: Initialisation,
    layer: Layer,
    prior: State,
    weights: State,
    initial_sigma: float,
    noise: Noise,
) -> tuple[State, State]:
    """Return mean and standard deviation of `weight` and `bias` at the start of stage 1.

    Args:
        name: of the initialisation.
        layer: the layer.
        prior: a state that holds `weight_log_sigma` and, with a bias, `bias_log_sigma`.
        weights: freshly initialised plain weights; the drawn initialisations take only
            shape, dtype and device from them.
        initial_sigma: q's scale as a multiple of the prior's, for `prior_scaled`.
        noise: for the drawn initialisations.
    """
    if name == "prior_scaled":
        sigma = {key: initial_sigma * prior[f"{key}_log_sigma"].exp() for key in layer.shapes}
        return dict(weights), sigma
    mean, sigma = {}, {}
    for key in layer.shapes:
        mean[key] = DRAWN_MEANS[name](layer, weights[key], noise)
        sigma[key] = _drawn_sigma(layer, weights[key], noise)
    return mean, sigma


def alpha(layer: Layer) -> float:
    """Return α = 10/sqrt(D) of eq. (14).

    The paper calls D the number of features of an observation. It is taken layer by layer, as
    the fan-in: the features that the layer observes, which is how the published code reads it.
    """
    return 10.0 / layer.fan_in**0.5


def _drawn_sigma(layer: Layer, like: Tensor, noise: Noise) -> Tensor:
    """Return σ with log σ² ~ U(-α-8, α-8), eq. (14b): Σ is a covariance, so Σ_ii is σ²."""
    scale = alpha(layer)
    log_variance = LOG_VARIANCE + scale * (2 * _uniform(like, noise) - 1)
    return (0.5 * log_variance).exp()


def _unit_means(layer: Layer, like: Tensor, noise: Noise) -> Tensor:
    """Return μ ~ U(0, 1), eq. (14a)."""
    return _uniform(like, noise)


def _wide_means(layer: Layer, like: Tensor, noise: Noise) -> Tensor:
    """Return μ ~ U(-α, α), which the published code draws in place of eq. (14a)."""
    return alpha(layer) * (2 * _uniform(like, noise) - 1)


DRAWN_MEANS: dict[str, Callable[[Layer, Tensor, Noise], Tensor]] = {
    "wohlert2017": _unit_means,
    "as_published": _wide_means,
}
"""How the means of the drawn initialisations are drawn."""


def _uniform(like: Tensor, noise: Noise) -> Tensor:
    """Return U(0, 1) draws in the shape of `like`: the normal CDF of normal draws."""
    return torch.special.ndtr(noise.normal(like.shape, like))
