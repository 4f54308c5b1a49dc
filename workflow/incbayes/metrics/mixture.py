"""A predicted number as a mixture of S Gaussians, one a draw of the weights."""

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def log_density(mixture: "Tensor", truth: "Tensor") -> "Tensor":
    """Return ln p(y) of every number, in nats, float64 [N].

    Args:
        mixture: mean and standard deviation of the Gaussians, float64 [N, S, 2].
        truth: y, float64 [N].
    """
    mean, sigma = mixture.unbind(-1)
    scaled = (truth[:, None] - mean) / sigma
    log_densities = -0.5 * scaled.square() - sigma.log() - 0.5 * math.log(2 * math.pi)
    return log_densities.logsumexp(1) - math.log(mean.shape[1])


def below(mixture: "Tensor", truth: "Tensor") -> "Tensor":
    """Return F(y), the distribution function at every number, float64 [N]; as `log_density`."""
    import torch

    mean, sigma = mixture.unbind(-1)
    return torch.special.ndtr((truth[:, None] - mean) / sigma).mean(1)
