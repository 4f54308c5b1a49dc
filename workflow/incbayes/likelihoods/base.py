"""What every likelihood p(y | outputs) provides; each is one file beside this one."""

from abc import ABC, abstractmethod

from torch import Tensor


class Likelihood(ABC):
    """A distribution of labels given the outputs [N, K] of a network."""

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
