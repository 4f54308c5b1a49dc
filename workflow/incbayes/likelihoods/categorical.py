"""The categorical likelihood: the outputs are the logits of a softmax over the classes."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from incbayes.likelihoods.base import Likelihood


@dataclass(frozen=True)
class Categorical(Likelihood):
    """One class of K, with the softmax of the outputs as its probabilities."""

    def meaning(self) -> str:
        """Return that the outputs are logits."""
        return "the logits of a softmax over `classes`, in this order"

    def nll(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the cross-entropy of the logits [N, K] at labels [N], summed, in nats."""
        if outputs.dtype == torch.bfloat16:
            outputs = outputs.float()
        return F.cross_entropy(outputs, targets, reduction="sum")

    def log_probabilities(self, outputs: Tensor) -> Tensor:
        """Return the log-softmax of the logits, float64 [N, K], in nats.

        In float64 before the log-softmax: float32 rounds ln p of a class that is nearly certain
        to 0, and is no faster that one could see beside a pass of the network.
        """
        return outputs.double().log_softmax(-1)

    def probabilities(self, outputs: Tensor) -> Tensor:
        """Return the softmax of the logits [N, K]."""
        return outputs.softmax(-1)


CATEGORICAL = Categorical()
"""What networks are taken for where nothing else is said."""
