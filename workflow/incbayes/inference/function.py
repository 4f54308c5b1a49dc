"""Yesterday's predictive as a prior over functions, on today's images alone."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from incbayes.core.options import option
from incbayes.inference.base import EpochRecord, Problem
from incbayes.inference.vi import ByAdam
from incbayes.inference.vi_run import Pass, VariationalRun
from incbayes.networks.noise import Noise
from incbayes.posterior.network import NetworkState
from incbayes.posterior.predict import Passes, Predictor

PREDICTED_IMAGES = 500
"""Images at a time of the teacher's passes."""


class FunctionRun(VariationalRun):
    """A variational run whose loss also pulls predictions to those of the previous stage.

    Attributes:
        weight: a, of the pull.
    """

    def __init__(self, problem: Problem, settings: "FunctionalPrior"):
        """Predict the part with the previous posterior, and prepare to fit the network to both."""
        teacher, labels = _teacher(problem, settings), problem.part.labels
        # [N, 1 + K]: the label, and ln p_{t-1} of every class.
        targets = torch.cat([labels.to(teacher)[:, None], teacher], 1)
        super().__init__(replace(problem, part=replace(problem.part, labels=targets)))
        self.weight = settings.weight

    def stochastic_pass(
        self, images: Tensor, labels: Tensor, prior: NetworkState, noise: Noise
    ) -> Pass:
        """Return NLL and KL(p_{t-1} ‖ p) of one pass, [2], each summed; and the KL of every layer.

        Args:
            images: [B, C, H, W], scaled.
            labels: [B, 1 + K], of `targets`.
            prior: of the stage.
            noise: of the draws.
        """
        outputs, kl = self.drawn_outputs(images, prior, noise)
        teacher = labels[:, 1:]
        found = self.likelihood.log_probabilities(outputs)
        pull = (teacher.exp() * (teacher - found)).sum()
        nll = self.likelihood.nll(outputs, labels[:, 0].long())
        return torch.stack([nll.to(pull), pull]), kl

    def bound(self, passes: Sequence[Pass], size: int) -> tuple[Tensor, dict[str, Tensor], Tensor]:
        """Return NLL and pull [..., 2], the KL of every layer, and the loss of both."""
        terms = torch.stack([terms for terms, _ in passes]).mean(0)
        mixed = (1 - self.weight) * terms[..., 0] + self.weight * terms[..., 1]
        _, layer_kl, loss = super().bound([(mixed, kl) for _, kl in passes], size)
        return terms, layer_kl, loss

    def zero_sums(self) -> Tensor:
        """Return zeros for the epoch's sums: of NLL, pull and gradient norms."""
        return torch.zeros(3, dtype=torch.float64, device=self.device)

    def per_epoch(self, nll: Tensor, norm: Tensor) -> Tensor:
        """Return what a step adds to the sums, [..., 3]; `nll` is [..., 2], of `bound`."""
        share = nll.detach().double() * self.batches / len(self.part.labels)
        return torch.cat([share, norm.detach().double()[..., None]], -1)

    def misfit(self, nll: float, *further: float) -> float:
        """Return (1 - a)·NLL + a·KL(p_{t-1} ‖ p) per image."""
        return (1 - self.weight) * nll + self.weight * further[0]

    def epoch_record(self, nll: float, *further: float) -> EpochRecord:
        """Return what variational inference records, and KL(p_{t-1} ‖ p) per image."""
        return super().epoch_record(nll, *further) | {"function_kl": further[0]}


def _teacher(problem: Problem, settings: "FunctionalPrior") -> Tensor:
    """Return ln p_{t-1}(y | x) of the part's images, float64 [N, K], in nats."""
    images = problem.part.images
    passes = Passes(images.device, PREDICTED_IMAGES, problem.training.precision)
    family = problem.network.family
    predictor = Predictor(problem.architecture, family, passes, problem.likelihood)
    if settings.teacher == "mean" or not family.drawn:
        return predictor.mean(problem.prior, images).clone()
    generator = problem.stream("teacher", device=images.device)
    return predictor.predictive(problem.prior, images, settings.teacher_draws, generator).clone()


@dataclass(frozen=True)
class FunctionalPrior(ByAdam):
    """Variational inference that keeps to what the previous stage predicts on today's images.

    The NLL of a part is replaced by (1 - a)·NLL + a·Σ KL(p_{t-1}(y | x) ‖ p_w(y | x)), from the
    second stage on: the functional view of learning without forgetting (Li & Hoiem 2016), which
    needs no earlier images. Of a Bayesian family the KL of the weights is as in `vi`.
    """

    weight: float = option(
        0.5,
        "Weight a of the previous stage's predictions, against 1 - a of the labels.",
        minimum=0,
        maximum=1,
    )
    teacher: Literal["mean", "predictive"] = option(
        "mean",
        "What the previous stage predicts with: `mean`, the network of the posterior means; "
        "`predictive`, the mean of `teacher_draws` draws; of a point both are its network.",
    )
    teacher_draws: int = option(
        20, "Draws of the teacher `predictive`, once a stage.", minimum=1, maximum=10_000
    )

    constraints: ClassVar[dict[str, Any]] = {
        "step_cost": 1,
        "bytes_per_weight": 200,
        "predicts": "classes",
    }

    def begin(self, problem: Problem) -> VariationalRun:
        """Return the run of one replicate; before any part it is that of `vi`."""
        if not problem.follows or self.weight == 0:
            return VariationalRun(problem)
        return FunctionRun(problem, self)
