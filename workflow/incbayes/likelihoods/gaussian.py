"""The Gaussian likelihood: the outputs are the mean of a number, and the width of its noise.

Of a target that is standardised, so that 1 is the standard deviation of the target among the rows
that its standardisation is by. What comes out is a mixture of Gaussians, one a draw of the weights.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from incbayes.core.options import option
from incbayes.likelihoods.base import Likelihood

WIDEST = 5.0
"""Bound of |ln σ| of a learnt noise: from 1/150 to 150 times the standard deviation."""


@dataclass(frozen=True)
class Gaussian(Likelihood):
    """A number with Gaussian noise, whose width is given, or learnt for every input."""

    constraints: ClassVar[dict[str, Any]] = {"predicts": "number"}

    noise: Literal["learnt"] | float = option(
        "learnt",
        "Standard deviation of the noise, as a multiple of the standard deviation by which the "
        "target is standardised. `learnt`: it differs from row to row, and the network has a "
        "second output for it, its logarithm (bounded to ±5).",
        minimum=1e-3,
        maximum=1e3,
    )

    def outputs(self, classes: int) -> int:
        """Return 1, the mean, and 1 more where the noise is learnt; `classes` is not used."""
        return 2 if self.noise == "learnt" else 1

    def meaning(self) -> str:
        """Return the formulas of mean and standard deviation in the unit of the target."""
        noise = f"exp({WIDEST:g} * tanh(o2 / {WIDEST:g}))" if self.noise == "learnt" else self.noise
        return f"mean = target.std * o1 + target.mean; sigma = target.std * {noise}"

    def nll(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return Σ_n (y_n - μ_n)²/2σ_n² + ln σ_n + ½ ln 2π, in nats of the standardised target.

        Args:
            outputs: μ and, where the noise is learnt, what bounds to ln σ, [N, 1 or 2].
            targets: standardised [N], floating point.
        """
        if outputs.dtype == torch.bfloat16:
            outputs = outputs.float()
        mean, log_sigma = self._parameters(outputs)
        scaled = (targets.to(mean.dtype) - mean) * torch.exp(-log_sigma)
        return (0.5 * scaled.square() + log_sigma + 0.5 * math.log(2 * math.pi)).sum()

    def log_probabilities(self, outputs: Tensor) -> Tensor:
        """Raise: a number has a density and no classes; planning keeps it from who asks."""
        raise TypeError("the likelihood gaussian is of a number, which has no classes")

    def drawn_targets(self, outputs: Tensor, generator: torch.Generator) -> Tensor:
        """Return one standardised number for each input [N], drawn from N(μ, σ²)."""
        mean, log_sigma = self._parameters(outputs)
        noise = torch.randn(
            mean.shape, generator=generator, dtype=mean.dtype, device=generator.device
        )
        return mean + log_sigma.exp() * noise.to(mean.device)

    def expected_targets(self, outputs: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield two numbers for each input that give the expectation over y exactly.

        The Fisher information of (μ, ln σ) is diag(1/σ², 2). At y = μ + σ the gradient is that of
        μ alone, 1/σ; at y = μ that of ln σ alone, -1, and it counts twice.
        """
        mean, log_sigma = self._parameters(outputs)
        ones = torch.ones_like(mean)
        yield mean + log_sigma.exp(), ones
        if self.noise == "learnt":
            yield mean, 2 * ones

    def predicted(self, outputs: Tensor) -> Tensor:
        """Return mean and standard deviation of the standardised target, float64 [N, 1, 2].

        Args:
            outputs: of the network [N, 1 or 2].
        """
        mean, log_sigma = self._parameters(outputs.double())
        return torch.stack([mean, log_sigma.exp()], -1)[:, None]

    def mixture(self, draws: Iterable[Tensor], samples: int) -> Tensor:
        """Return the S Gaussians of equal weight, mean and standard deviation, [N, S, 2].

        Args:
            draws: as `predicted` returns them.
            samples: S; not used.
        """
        return torch.cat(list(draws), 1)

    def _parameters(self, outputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and ln σ, [N] each."""
        mean = outputs[:, 0]
        if self.noise == "learnt":
            return mean, WIDEST * torch.tanh(outputs[:, 1] / WIDEST)
        return mean, torch.full_like(mean, math.log(self.noise))
