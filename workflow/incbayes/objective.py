"""The variational objective of a stage, per minibatch.

An epoch over M minibatches of a part of N images sums to the part's negative bound:
Σ_i (N/M)·loss_i = Σ nll + kl_scale·KL(q‖p), Kochurov et al. (2018) eq. (2).
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Objective:
    """How likelihood and divergence are weighed.

    Attributes:
        kl_scale: factor of the KL; below 1 the posterior is tempered.
    """

    kl_scale: float

    def nll(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the summed negative log-likelihood of a categorical model, in nats.

        Args:
            outputs: logits [B, K].
            targets: labels [B], int64.
        """
        return F.cross_entropy(
            outputs.float() if outputs.dtype == torch.bfloat16 else outputs,
            targets,
            reduction="sum",
        )

    def loss(
        self, outputs: Tensor, targets: Tensor, kl: Tensor, images: int, batches: int
    ) -> Tensor:
        """Return the loss of one minibatch, in nats per image.

        (M/N)·(Σ_b nll_b + kl_scale·β·KL) with β = 1/M: the mean NLL of the minibatch where
        minibatches are of equal size, and unbiased where they differ by one.

        Args:
            outputs: of the network, [B, K].
            targets: [B].
            kl: KL(q‖p) of the whole network, in nats.
            images: N, the images of the part.
            batches: M, the minibatches of an epoch.
        """
        return self.nll(outputs, targets) * (batches / images) + self.kl_scale / images * kl
