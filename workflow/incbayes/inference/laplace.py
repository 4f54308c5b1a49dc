"""Online Laplace approximation with a diagonal precision; online EWC is one of its settings."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from incbayes.core.options import option
from incbayes.curvature.fisher import FisherError, Kind, diagonal_fisher
from incbayes.families.base import Family
from incbayes.inference.base import DivergenceError, EpochRecord, Problem
from incbayes.inference.vi import ByAdam
from incbayes.inference.vi_run import Pass, VariationalRun
from incbayes.networks.layers import Layer, State
from incbayes.networks.noise import Noise
from incbayes.posterior.build import fresh_network, with_weights
from incbayes.posterior.network import NetworkState

LOG_SIGMA = "_log_sigma"


class LaplaceRun(VariationalRun):
    """Adam on the NLL and a quadratic penalty, and the curvature at where it ends.

    Attributes:
        settings: of the algorithm.
    """

    def __init__(self, problem: Problem, settings: "OnlineLaplace"):
        """Prepare to fit the means of the network to the part."""
        super().__init__(problem)
        self.settings, self.architecture = settings, problem.architecture
        self.network.stay_at_means()

    def stochastic_pass(
        self, images: Tensor, labels: Tensor, prior: NetworkState, noise: Noise
    ) -> Pass:
        """Return the summed NLL at the means, and ½ρ Σ Λ(m - m_prior)² of every layer."""
        penalties = {
            module.layer.name: self._penalty(module.state, prior[module.layer.name])
            for module in self.network.variational_layers
        }
        return self.likelihood.nll(self.outputs(images, noise), labels), penalties

    def epoch_record(self, nll: float, *further: float) -> EpochRecord:
        """Return minus the loss of the part as `elbo`, NLL and penalty.

        Widths are not known before the end of the stage: no KL is.
        """
        penalty, images = sum(kl.item() for kl in self.layer_kl.values()), len(self.part.labels)
        weight = self.objective.epoch_kl_weight(
            self.epoch, self.batches, self.whole_batches, images
        )
        return {"elbo": -nll * images - weight * penalty, "nll": nll, "penalty": penalty}

    def end_stage(self) -> None:
        """Set the precision to γΛ + N·F/κ, with F the Fisher information at the means.

        Raises:
            DivergenceError: F is not finite; naming the tensor.
        """
        fisher = self._fisher()
        scale = len(self.part.labels) / self.objective.kl_scale
        with torch.no_grad():
            for module in self.network.variational_layers:
                state, prior = module.state, self.prior[module.layer.name]
                for key in _gaussian(state):
                    before = (-2 * prior[f"{key}{LOG_SIGMA}"]).exp()
                    found = scale * fisher[module.layer.name][key]
                    precision = self.settings.precision_decay * before + found
                    state[f"{key}{LOG_SIGMA}"].copy_(-0.5 * precision.log())
        self.check_tensors("at the end of the stage")

    def _fisher(self) -> Mapping[str, State]:
        """Return the diagonal Fisher information per image of the part at the means."""
        fresh = fresh_network(self.architecture, 0).to(self.device, self.part.images.dtype)
        plain = with_weights(fresh, self.network.mean())
        generator = self.stream("fisher", device=self.device)
        kind = self.settings.fisher
        try:
            return diagonal_fisher(plain, self.part, kind, generator, self.likelihood)
        except FisherError as error:
            raise DivergenceError(f"at the end of the stage: {error}") from None

    def _penalty(self, state: State, prior: State) -> Tensor:
        terms = [
            ((state[f"{key}_mean"] - prior[f"{key}_mean"]) / prior[f"{key}{LOG_SIGMA}"].exp())
            .square()
            .sum()
            for key in _gaussian(state)
        ]
        if not terms:
            return next(iter(state.values())).new_zeros(())
        return 0.5 * self.settings.penalty_scale * torch.stack(terms).sum()


def _gaussian(state: State) -> list[str]:
    """Return the names of the weights of a layer that are Gaussian; none of a point."""
    return [key.removesuffix(LOG_SIGMA) for key in state if key.endswith(LOG_SIGMA)]


@dataclass(frozen=True)
class OnlineLaplace(ByAdam):
    """A network trained under a quadratic penalty, and a Gaussian by the curvature at its weights.

    m_t = argmin Σ NLL + κρ/2 Σ Λ_{t-1}(w - m_{t-1})², Λ_t = γΛ_{t-1} + N·F(m_t)/κ, with κ the
    `kl_scale`; q = N(m_t, 1/Λ_t). ρ = γ = 1 is Bayes' rule for a quadratic NLL (Ritter et al.
    2018), γ < 1 online EWC (Schwarz et al. 2018). `estimator`, `initial_sigma` and
    `log_sigma_rate` have no part.
    """

    fisher: Kind = option(
        "ggn",
        "Which Fisher information F: `empirical` (squared gradients at the observed labels), `mc` "
        "(at one label per image drawn from the network), `ggn` (exact expectation over the "
        "network's labels, equal to the generalised Gauss-Newton diagonal).",
    )
    penalty_scale: float = option(
        1.0,
        "Factor ρ of the penalty on the distance from the previous stage's means.",
        minimum=0,
        maximum=1e6,
    )
    precision_decay: float = option(
        1.0,
        "Factor γ of the previous stage's precision, the first prior's among them; below 1 what "
        "earlier parts said is forgotten.",
        minimum=0,
        maximum=1,
    )

    constraints: ClassVar[dict[str, Any]] = {
        "families": ["ffg"],
        "step_cost": 1,
        "bytes_per_weight": 200,
        "objective": {"complexity": ["closed_form"], "draws": [1]},
        "weighs_prior": True,
    }

    def trained(self, family: Family, layer: Layer, state: State) -> list[str]:
        """Return the names of all but the widths, which follow at the end of a stage."""
        return [key for key in state if key not in family.scale_parameters]

    def begin(self, problem: Problem) -> LaplaceRun:
        """Return the run of one replicate, from fresh moments of Adam."""
        return LaplaceRun(problem, self)
