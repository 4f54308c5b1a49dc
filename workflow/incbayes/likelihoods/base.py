"""What every likelihood p(y | outputs) provides; each is one file beside this one."""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar

import torch
from torch import Tensor


class Likelihood(ABC):
    """A distribution of labels given the outputs [N, K] of a network.

    Attributes:
        constraints: facts that planning reads, each of them optional. `predicts`: `classes`, which
            is meant where it is absent, or `number`.
    """

    constraints: ClassVar[dict[str, Any]] = {}

    def outputs(self, classes: int) -> int:
        """Return how many numbers a network makes of an input, for a task of so many classes."""
        return classes

    def meaning(self) -> str:
        """Return what the outputs o1, o2, … are, for who reads a network without this library."""
        return f"what the likelihood {type(self).__name__} takes"

    @abstractmethod
    def nll(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return -Σ_n ln p(y_n | outputs_n) of a minibatch, a scalar in nats.

        Args:
            outputs: of the network [N, K], in float64, float32 or bfloat16.
            targets: labels [N], int64.
        """

    @abstractmethod
    def log_probabilities(self, outputs: Tensor) -> Tensor:
        """Return ln p(y | outputs) of every class y in nats, float64 [N, K].

        Args:
            outputs: of the network [N, K].
        """

    def probabilities(self, outputs: Tensor) -> Tensor:
        """Return p(y | outputs) of every class y [N, K], in the type of the outputs [N, K]."""
        return self.log_probabilities(outputs).exp().to(outputs.dtype)

    def drawn_targets(self, outputs: Tensor, generator: torch.Generator) -> Tensor:
        """Return one label of each input, drawn from p(y | outputs), as `nll` takes them [N].

        Args:
            outputs: of the network [N, K].
            generator: of the draws.
        """
        return torch.multinomial(self.probabilities(outputs), 1, generator=generator)[:, 0]

    def expected_targets(self, outputs: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield (labels [N], weights [N]) whose weighted squares sum to the expectation over y.

        That is Σ weights·(∇ ln p(labels | outputs))² = E_y (∇ ln p(y | outputs))² of every input,
        the diagonal of its Fisher information; here with every class, by its probability.

        Args:
            outputs: of the network [N, K].
        """
        probabilities = self.probabilities(outputs)
        for label in range(probabilities.shape[1]):
            labels = torch.full_like(outputs[:, 0], label, dtype=torch.int64)
            yield labels, probabilities[:, label]

    def predicted(self, outputs: Tensor) -> Tensor:
        """Return what one network predicts, float64: here ln p(y | outputs) [N, K].

        Args:
            outputs: of the network [N, K].
        """
        return self.log_probabilities(outputs)

    def mixture(self, draws: Iterable[Tensor], samples: int) -> Tensor:
        """Return the equal mixture of what draws of the weights predict.

        The sum over draws is taken in logarithms, as it goes: no probability is formed, so that
        none underflows, however wrong a draw is.

        Args:
            draws: as `predicted` returns them.
            samples: S, how many there are.

        Returns:
            Here ln (1/S)·Σ_s p(y | outputs_s), float64 [N, K].
        """
        total = torch.full((), -math.inf, dtype=torch.float64)
        for log_probabilities in draws:
            total = torch.logaddexp(total.to(log_probabilities.device), log_probabilities)
        return (total - math.log(samples)).clamp(max=0.0)  # rounding can pass 0
