"""Online Laplace, diagonal or with Kronecker factors; online EWC is one of its settings."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from incbayes.core.options import option
from incbayes.curvature.fisher import FisherError, Kind, diagonal_fisher
from incbayes.curvature.kronecker import Factors, kronecker_factors, nearest_product
from incbayes.families import kron
from incbayes.families.base import Family
from incbayes.inference.base import DivergenceError, EpochRecord, Problem
from incbayes.inference.vi import ByAdam
from incbayes.inference.vi_run import Pass, VariationalRun
from incbayes.networks.layers import Layer, State
from incbayes.networks.noise import Noise
from incbayes.posterior.build import fresh_network, with_weights
from incbayes.posterior.network import NetworkState

LOG_SIGMA = "_log_sigma"
KRON = kron.KroneckerGaussian()


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
        """Return the summed NLL at the means, and ½ρ Σ Λ(m - m_prior)² of every layer.

        Of a layer with Kronecker factors it is ½ρ [tr(Ā ΔWᵀ Ḡ ΔW) + τ‖ΔW‖²].
        """
        penalties = {
            module.layer.name: self._penalty(module.layer, module.state, prior[module.layer.name])
            for module in self.network.variational_layers
        }
        return self.likelihood.nll(self.outputs(images, noise), labels), penalties

    def epoch_record(self, nll: float, *further: float) -> EpochRecord:
        """Return minus the loss of the part as `elbo`, NLL and penalty.

        Widths are not known before the end of the stage: no KL is.
        """
        penalty = sum(kl.item() for kl in self.layer_kl.values())
        return {"elbo": self.part_bound(nll), "nll": nll, "penalty": penalty}

    def end_stage(self) -> None:
        """Set the precision to γΛ + N·F/κ, with F the Fisher information at the means.

        With Kronecker factors γ(Ā ⊗ Ḡ) + N·F/κ is fitted by one product, and τ becomes γτ.

        Raises:
            DivergenceError: F is not finite; naming the tensor.
        """
        states = {m.layer.name: m.state for m in self.network.variational_layers}
        try:
            with torch.no_grad():
                self._set_widths({n: s for n, s in states.items() if _gaussian(s)})
                self._set_factors({n: s for n, s in states.items() if _is_factored(s)})
        except FisherError as error:
            raise DivergenceError(f"at the end of the stage: {error}") from None
        self.check_tensors("at the end of the stage")

    def _set_widths(self, states: Mapping[str, State]) -> None:
        if not states:
            return
        fisher = self._fisher()
        for name, state in states.items():
            for key in _gaussian(state):
                before = (-2 * self.prior[name][f"{key}{LOG_SIGMA}"]).exp()
                found = self._images * fisher[name][key]
                precision = self.settings.precision_decay * before + found
                state[f"{key}{LOG_SIGMA}"].copy_(-0.5 * precision.log())

    def _set_factors(self, states: Mapping[str, State]) -> None:
        if not states:
            return
        decay = self.settings.precision_decay
        for name, (inputs, outputs) in self._kronecker_factors(list(states)).items():
            before = kron.factors(self.prior[name])
            terms = [(decay * before[0], before[1]), (self._images * inputs, outputs)]
            log_tau = self.prior[name][kron.LOG_TAU]
            kron.set_factors(states[name], *nearest_product(terms), log_tau + math.log(decay))

    @property
    def _images(self) -> float:
        """Images of the part, N, each weighed by 1/κ."""
        return len(self.part.labels) / self.objective.kl_scale

    def _at_means(self) -> nn.Module:
        """Return the plain network of the means."""
        fresh = fresh_network(self.architecture, 0).to(self.device, self.part.images.dtype)
        return with_weights(fresh, self.network.mean())

    @torch.enable_grad()
    def _fisher(self) -> Mapping[str, State]:
        """Return the diagonal Fisher information per image of the part at the means."""
        generator = self.stream("fisher", device=self.device)
        kind = self.settings.fisher
        return diagonal_fisher(self._at_means(), self.part, kind, generator, self.likelihood)

    @torch.enable_grad()
    def _kronecker_factors(self, names: Sequence[str]) -> Mapping[str, Factors]:
        """Return the factors of the Fisher information per image of the part at the means."""
        generator = self.stream("fisher", device=self.device)
        kind, plain = self.settings.fisher, self._at_means()
        return kronecker_factors(plain, self.part, kind, generator, self.likelihood, names)

    def _penalty(self, layer: Layer, state: State, prior: State) -> Tensor:
        if _is_factored(state):
            return self.settings.penalty_scale * KRON.penalty(layer, state, prior)
        terms = [
            ((state[f"{key}_mean"] - prior[f"{key}_mean"]) / prior[f"{key}{LOG_SIGMA}"].exp())
            .square()
            .sum()
            for key in _gaussian(state)
        ]
        if not terms:
            return next(iter(state.values())).new_zeros(())
        return 0.5 * self.settings.penalty_scale * torch.stack(terms).sum()


def _is_factored(state: State) -> bool:
    """Return whether a layer's precision has Kronecker factors."""
    return kron.LOG_TAU in state


def _gaussian(state: State) -> list[str]:
    """Return the names of the weights of a layer that are Gaussian; none of a point."""
    return [key.removesuffix(LOG_SIGMA) for key in state if key.endswith(LOG_SIGMA)]


@dataclass(frozen=True)
class OnlineLaplace(ByAdam):
    """A network trained under a quadratic penalty, and a Gaussian by the curvature at its weights.

    m_t = argmin Σ NLL + κρ/2 Σ Λ_{t-1}(w - m_{t-1})², Λ_t = γΛ_{t-1} + N·F(m_t)/κ, with κ the
    `kl_scale`; q = N(m_t, 1/Λ_t). ρ = γ = 1 is Bayes' rule for a quadratic NLL (Ritter et al.
    2018), γ < 1 online EWC (Schwarz et al. 2018). Λ is diagonal for the family `ffg`, and
    Ā ⊗ Ḡ + τI of every layer for `kron`. `estimator`, `initial_sigma` and `log_sigma_rate` have no
    part.
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
        "earlier parts said is forgotten. Above 0, or a weight of which a part says nothing would "
        "have no width.",
        exclusiveMinimum=0,
        maximum=1,
    )

    constraints: ClassVar[dict[str, Any]] = {
        "families": ["ffg", "kron"],
        "predicts": "classes",
        "step_cost": 1,
        "bytes_per_weight": 200,
        # The penalty of a whole epoch is kl_scale's: what `end_stage` adds up is divided by it.
        "objective": {
            "beta": ["uniform", "geometric"],
            "complexity": ["closed_form"],
            "draws": [1],
            "likelihood": ["sum"],
            "batches": ["used"],
        },
        "weighs_prior": True,
    }

    def trained(self, family: Family, layer: Layer, state: State) -> list[str]:
        """Return the names of all but widths and factors, which follow at the end of a stage."""
        carried = {*family.scale_parameters, *kron.FACTORS}
        return [key for key in state if key not in carried]

    def begin(self, problem: Problem) -> LaplaceRun:
        """Return the run of one replicate, from fresh moments of Adam."""
        return LaplaceRun(problem, self)
