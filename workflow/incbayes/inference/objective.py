"""The variational objective of a stage, per minibatch.

An epoch over M minibatches of a part of N images sums to the part's negative bound:
Σ_i (N/M)·loss_i = Σ nll + kl_scale·KL(q‖p), Kochurov et al. (2018) eq. (2), Wohlert et
al. (2017) eqs. (3)-(5). What a KL is, in closed form or by Monte Carlo, is the families'.
"""

import math
from dataclasses import dataclass
from typing import Literal

from msgspec.structs import asdict
from torch import Tensor

from incbayes.study.model.fitting import ObjectiveSettings


@dataclass(frozen=True)
class Objective:
    """How likelihood and complexity cost are estimated and weighed.

    Attributes:
        kl_scale: factor of the KL; below 1 the posterior is tempered.
        beta: weight β_i of the KL in minibatch i of M: `uniform` 1/M (Graves), `geometric`
            2^(M-i)/(2^M-1) (Blundell), `none` 0. The first two sum to 1 over an epoch.
        complexity: `closed_form` takes the family's own KL; `monte_carlo` is eq. (4), the
            mean of ln q(w) - ln p(w) at the draws that the likelihood is computed with.
        draws: stochastic passes per minibatch, over which likelihood and KL are averaged.
        warmup_epochs: epochs over which the KL's weight rises to its value, within a stage.
        likelihood: `sum` is the bound; `mean` leaves the minibatch's mean NLL unscaled, so
            that the KL weighs as many times too much as a minibatch has images.
        batches: whose minibatches M counts for β: those `used`, or those that the
            `whole_set` of the task would make although a fraction of it is used.
    """

    kl_scale: float
    beta: Literal["uniform", "geometric", "none"] = "uniform"
    complexity: Literal["closed_form", "monte_carlo"] = "closed_form"
    draws: int = 1
    warmup_epochs: int = 0
    likelihood: Literal["sum", "mean"] = "sum"
    batches: Literal["used", "whole_set"] = "used"

    @classmethod
    def of(cls, settings: ObjectiveSettings) -> "Objective":
        """Return the objective that the resolved section of a study states."""
        return cls(**asdict(settings))

    def beta_weight(self, step: int, batches: int) -> float:
        """Return β_i for i = step + 1 of M = batches, without overflow for any M."""
        if self.beta == "none":
            return 0.0
        if self.beta == "uniform":
            return 1.0 / batches
        return 2.0 ** -(step + 1) / (1.0 - 2.0**-batches)

    def kl_weight(self, step: int, epoch: int, used: int, whole: int) -> float:
        """Return the factor of the KL in the sum over an epoch: kl_scale · warm-up · β_i.

        Args:
            step: of the epoch, from 0.
            epoch: of the stage, from 0.
            used: minibatches of an epoch.
            whole: minibatches that the whole set of the task would make.
        """
        warmup = min(1.0, (epoch + 1) / self.warmup_epochs) if self.warmup_epochs else 1.0
        batches = whole if self.batches == "whole_set" else used
        return self.kl_scale * warmup * self.beta_weight(step, batches)

    def epoch_kl_weight(self, epoch: int, used: int, whole: int, images: int) -> float:
        """Return the factor of the KL in the bound that the losses of an epoch sum to.

        Σ_i kl_weight_i: kl_scale where β sums to 1 and nothing warms up, a tenth of it in a tenth
        of the minibatches that β was made for. With `likelihood: mean` times N/M, the images of a
        minibatch, as the loss is that bound divided by them.

        Args:
            epoch: of the stage, from 0.
            used: M, minibatches of the epoch.
            whole: minibatches that the whole set of the task would make.
            images: N, the images of the part.
        """
        total = math.fsum(self.kl_weight(step, epoch, used, whole) for step in range(used))
        return total * images / used if self.likelihood == "mean" else total

    def loss(
        self, nll: Tensor, kl: Tensor, kl_weight: float, size: int, images: int, batches: int
    ) -> Tensor:
        """Return the loss of one minibatch, in nats per image.

        (M/N)·(nll + kl_weight·KL): the mean NLL of the minibatch where minibatches are of
        equal size, and unbiased where they differ by one. With `likelihood: mean` it is
        nll/B + kl_weight·KL.

        Args:
            nll: summed over the minibatch.
            kl: KL(q‖p) of the whole network, in nats.
            kl_weight: of this minibatch, from `kl_weight`.
            size: B, the images of the minibatch.
            images: N, the images of the part.
            batches: M, the minibatches of an epoch.
        """
        if self.likelihood == "mean":
            return nll / size + kl_weight * kl
        return (nll + kl_weight * kl) * (batches / images)
