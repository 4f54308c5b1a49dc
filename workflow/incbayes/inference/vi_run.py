"""Variational inference on one part: Adam on the bound, with gradients through the draws."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from incbayes.inference.adam import Adam
from incbayes.inference.base import EpochRecord, Problem
from incbayes.inference.minibatches import MinibatchRun
from incbayes.networks.noise import Noise
from incbayes.posterior.network import NetworkState

Pass = tuple[Tensor, dict[str, Tensor]]
"""The summed NLL of one stochastic pass, and the KL of every layer."""


class VariationalRun(MinibatchRun):
    """Adam on the objective of one part, from fresh moments (Algorithm 1, lines 5 to 9).

    Attributes:
        adam: takes the steps.
    """

    def __init__(self, problem: Problem):
        """Prepare to fit the network, whose state is where the stage starts, to the part."""
        super().__init__(problem)
        scales, others = self.network.scale_parameters()
        self.adam = Adam([(others, 1.0), (scales, self.training.log_sigma_rate)])
        if self.objective.complexity == "monte_carlo":
            self.network.keep_draws()

    def take_step(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Step down the gradient of the minibatch's loss; return its NLL and the gradient's norm.

        Args:
            images: [B, C, H, W], scaled.
            labels: [B], int64.

        Raises:
            DivergenceError: loss or gradient are not finite; naming step and tensor.
        """
        passes = [
            self.stochastic_pass(images, labels, self.prior, self.noise)
            for _ in range(self.objective.draws)
        ]
        nll, self.layer_kl, loss = self.bound(passes, len(labels))
        self.adam.clear_gradients()
        loss.backward()
        gradients = [p.grad for p in self.adam.parameters if p.grad is not None]
        norm = torch.stack(torch._foreach_norm(gradients)).norm()
        if not torch.isfinite(loss + norm):
            self.report_divergence(loss, norm)
        self.adam.step(self.learning_rate())
        return nll.detach(), norm

    def own_tensors(self) -> Mapping[str, Tensor]:
        """Return Adam's moments."""
        return {
            f"adam/{index}/{key}": value
            for index, moments in enumerate(self.adam.moments)
            for key, value in moments.items()
        }

    def stochastic_pass(
        self, images: Tensor, labels: Tensor, prior: NetworkState, noise: Noise
    ) -> Pass:
        """Return the summed NLL of one stochastic pass, and the KL of every layer."""
        outputs, kl = self.drawn_outputs(images, prior, noise)
        return self.likelihood.nll(outputs, labels), kl

    def drawn_outputs(
        self, images: Tensor, prior: NetworkState, noise: Noise
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the outputs [B, K] of one stochastic pass, and the KL of every layer."""
        outputs = self.outputs(images, noise)
        if self.objective.complexity == "monte_carlo":
            return outputs, self.network.cost_of_draw(prior)
        return outputs, self.network.kl(prior, noise)

    def bound(self, passes: Sequence[Pass], size: int) -> tuple[Tensor, dict[str, Tensor], Tensor]:
        """Return NLL and KL of every layer, averaged over passes, and the loss of this step.

        Args:
            passes: of one minibatch; their numbers may have a leading axis of replicates.
            size: B, the images of the minibatch.
        """
        nll = torch.stack([nll for nll, _ in passes]).mean(0)
        layer_kl = {
            name: torch.stack([kl[name] for _, kl in passes]).mean(0) for name in passes[0][1]
        }
        kl = torch.stack(list(layer_kl.values())).sum(0)
        weight = self.objective.kl_weight(self.step, self.epoch, self.batches, self.whole_batches)
        count = len(self.part.labels)
        return nll, layer_kl, self.objective.loss(nll, kl, weight, size, count, self.batches)

    def misfit(self, nll: float, *further: float) -> float:
        """Return what the bound counts of an epoch's means, as of `epoch_record`, per image."""
        return nll

    def part_bound(self, nll: float, *further: float) -> float:
        """Return the bound that the epoch's steps optimised, of the whole part; as `epoch_record`.

        Minus the NLL of the part, minus the KL at the last step times the weights that the KL had
        in the epoch, summed.
        """
        images = len(self.part.labels)
        weight = self.objective.epoch_kl_weight(
            self.epoch, self.batches, self.whole_batches, images
        )
        kl = sum(kl.item() for kl in self.layer_kl.values())
        return -self.misfit(nll, *further) * images - weight * kl

    def epoch_record(self, nll: float, *further: float) -> EpochRecord:
        """Return ELBO, NLL and, for a family with a scale, KL and σ/σ_prior, total and per layer.

        The ELBO is that of `part_bound`.
        """
        ratios = self.network.sigma_ratio(self.prior)
        record = {"elbo": self.part_bound(nll, *further), "nll": nll}
        if ratios:
            layers = {name: kl.item() for name, kl in self.layer_kl.items()}
            record |= {"kl": sum(layers.values())} | {
                f"kl/{name}": layers[name] for name in layers if name in ratios
            }
            record["sigma_ratio"] = torch.cat(list(ratios.values())).median().item()
            record |= {f"sigma_ratio/{n}": ratio.median().item() for n, ratio in ratios.items()}
        return record
