"""The run of IVON on one part: steps of mean and curvature, and the widths that follow.

With N images of the part, κ = kl_scale and the prior N(m0, 1/s0): λ = N/κ and, for every weight,
δ = s0/λ. The posterior is q = N(m, 1/(λ(h + δ))), where h estimates the curvature of the NLL per
image. Without δ = s0/λ per weight, the prior would be that of the whole chain and not yesterday's.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from incbayes.inference.base import EpochRecord, Problem
from incbayes.inference.minibatches import MinibatchRun
from incbayes.networks.layers import NetworkError
from incbayes.posterior.network import VariationalLayer

LOG_SIGMA = "_log_sigma"


@dataclass(frozen=True)
class IvonSettings:
    """What IVON is run with; the options of `Ivon`.

    Attributes:
        initial_curvature: h at the start of a stage.
        momentum: β1.
        curvature_decay: β2.
        clip: largest step of a mean before the learning rate, or None.
        merging: γ, the power of what a later stage says of the weights.
    """

    initial_curvature: float
    momentum: float
    curvature_decay: float
    clip: float | None
    merging: float


def next_curvature(h: Tensor, estimate: Tensor, delta: Tensor, decay: float) -> Tensor:
    """Return h after a step: β2·h + (1 - β2)·ĥ + ½(1 - β2)²(h - ĥ)²/(h + δ).

    The last term keeps h + δ above half of what it was, whatever ĥ (Lin et al. 2020).

    Args:
        h: curvature of the NLL per image.
        estimate: ĥ of this step.
        delta: δ > 0, precision of the prior per image; h + δ > 0.
        decay: β2.
    """
    correction = (0.5 * (1 - decay) ** 2) * (h - estimate).square() / (h + delta)
    return decay * h + (1 - decay) * estimate + correction


@dataclass
class _Weights:
    """One tensor of weights, and what IVON keeps of it.

    Attributes:
        layer: holds mean and log σ.
        key: `weight` or `bias`.
        prior_mean: m0.
        delta: δ = s0/λ.
        h: the curvature.
        gradient: the running mean ḡ of gradients, not yet divided by 1 - β1^k.
    """

    layer: VariationalLayer
    key: str
    prior_mean: Tensor
    delta: Tensor
    h: Tensor
    gradient: Tensor

    @property
    def mean(self) -> Tensor:
        """M, live."""
        return self.layer.state[f"{self.key}_mean"]

    @property
    def log_sigma(self) -> Tensor:
        """The logarithm of σ, live."""
        return self.layer.state[f"{self.key}{LOG_SIGMA}"]


class IvonRun(MinibatchRun):
    """IVON on the bound of one part, Algorithm 1 of Shen et al. (2024)."""

    def __init__(self, problem: Problem, settings: IvonSettings):
        """Prepare to fit the network, whose means are where the stage starts, to the part.

        Raises:
            NetworkError: a layer is no Gaussian.
        """
        super().__init__(problem)
        self.settings, self.follows = settings, problem.follows
        self.network.keep_draws()
        self.precision = len(self.part.labels) / self.objective.kl_scale
        self.weights = [
            self._weights(layer, key)
            for layer in self.network.variational_layers
            for key in layer.layer.shapes
        ]
        self._set_widths()

    def take_step(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Step along the natural gradient at a draw of the weights; return its NLL and the norm.

        Args:
            images: [B, C, H, W], scaled.
            labels: [B], int64.

        Raises:
            DivergenceError: loss or gradient are not finite; naming step and tensor.
        """
        nll, gradients, curvatures = self._estimates(images, labels)
        norm = torch.stack(torch._foreach_norm(gradients)).norm()
        if not torch.isfinite(nll + norm):
            self.report_divergence(nll, norm)
        steps = self.epoch * self.batches + self.step + 1
        unbiased = 1 - self.settings.momentum**steps
        with torch.no_grad():
            for weights, gradient, estimate in zip(
                self.weights, gradients, curvatures, strict=True
            ):
                self._update(weights, gradient, estimate, unbiased)
        self._set_widths()
        return nll, norm

    def own_tensors(self) -> Mapping[str, Tensor]:
        """Return mean gradient and curvature of every tensor of weights."""
        return {
            f"{weights.layer.layer.name}/{weights.key}/{name}": getattr(weights, name)
            for weights in self.weights
            for name in ("h", "gradient")
        }

    def end_stage(self) -> None:
        """Merge posterior and prior, p·(q/p)^γ, where the prior is the posterior of a part.

        Of Gaussians: s = (1 - γ)s0 + γs_q and m = m0 + (γs_q/s)(m_q - m0) for precisions s.
        """
        power = self.settings.merging
        if power == 1 or not self.follows:
            return
        with torch.no_grad():
            for weights in self.weights:
                of_prior = weights.delta * self.precision
                gained = power * (-2 * weights.log_sigma).exp()
                total = (1 - power) * of_prior + gained
                offset = weights.mean - weights.prior_mean
                weights.mean.copy_(weights.prior_mean + offset * (gained / total))
                weights.log_sigma.copy_(-0.5 * total.log())
        self.check_tensors("at the end of the stage")

    def epoch_record(self, nll: float, *further: float) -> EpochRecord:
        """Return ELBO, NLL, KL and σ/σ_prior, total and per layer, as variational inference does.

        The KL is that at the end of the epoch.
        """
        with torch.no_grad():
            self.layer_kl = self.network.kl(self.prior, self.noise)
        layers = {name: kl.item() for name, kl in self.layer_kl.items()}
        ratios = self.network.sigma_ratio(self.prior)
        kl = sum(layers.values())
        elbo = -nll * len(self.part.labels) - self.objective.kl_scale * kl
        record = {"elbo": elbo, "nll": nll, "kl": kl}
        record |= {f"kl/{name}": value for name, value in layers.items()}
        record["sigma_ratio"] = torch.cat(list(ratios.values())).median().item()
        return record | {f"sigma_ratio/{n}": ratio.median().item() for n, ratio in ratios.items()}

    def _weights(self, layer: VariationalLayer, key: str) -> _Weights:
        name, state = layer.layer.name, layer.state
        if f"{key}{LOG_SIGMA}" not in state:
            raise NetworkError(f"layer {name} is a point: ivon fits networks of Gaussians alone")
        prior = self.prior[name]
        mean = state[f"{key}_mean"]
        return _Weights(
            layer,
            key,
            prior[f"{key}_mean"],
            (-2 * prior[f"{key}{LOG_SIGMA}"]).exp() / self.precision,
            torch.full_like(mean, self.settings.initial_curvature, requires_grad=False),
            torch.zeros_like(mean, requires_grad=False),
        )

    def _estimates(
        self, images: Tensor, labels: Tensor
    ) -> tuple[Tensor, list[Tensor], list[Tensor]]:
        """Return summed NLL, gradients g and curvatures ĥ, averaged over draws of the weights.

        g is the gradient of the mean NLL at a draw w, ĥ = λ(h + δ)(w - m)·g.
        """
        means = [weights.mean for weights in self.weights]
        share = self.batches / len(self.part.labels)
        draws = self.objective.draws
        nll: Tensor = self.sums.new_zeros(())
        gradients = [torch.zeros_like(mean) for mean in means]
        curvatures = [torch.zeros_like(mean) for mean in means]
        for _ in range(draws):
            of_draw = self.likelihood.nll(self.outputs(images, self.noise), labels)
            found = torch.autograd.grad(of_draw * share, means)
            nll = nll + of_draw.detach() / draws
            with torch.no_grad():
                for place, (weights, gradient) in enumerate(zip(self.weights, found, strict=True)):
                    offset = weights.layer.draw[weights.key] - weights.mean
                    estimate = (weights.h + weights.delta) * offset * gradient * self.precision
                    gradients[place] += gradient / draws
                    curvatures[place] += estimate / draws
        return nll, gradients, curvatures

    def _update(
        self, weights: _Weights, gradient: Tensor, estimate: Tensor, unbiased: float
    ) -> None:
        """Take the step of one tensor: ḡ, h, then m ← m - α(ḡ/(1 - β1^k) + δ(m - m0))/(h + δ)."""
        settings = self.settings
        weights.gradient.mul_(settings.momentum).add_(gradient, alpha=1 - settings.momentum)
        weights.h.copy_(
            next_curvature(weights.h, estimate, weights.delta, settings.curvature_decay)
        )
        slope = weights.gradient / unbiased + weights.delta * (weights.mean - weights.prior_mean)
        step = slope / (weights.h + weights.delta)
        if settings.clip is not None:
            step.clamp_(-settings.clip, settings.clip)
        weights.mean.sub_(self.learning_rate() * step)

    def _set_widths(self) -> None:
        """Set σ = 1/√(λ(h + δ)) of every weight."""
        with torch.no_grad():
            for weights in self.weights:
                total = self.precision * (weights.h + weights.delta)
                weights.log_sigma.copy_(-0.5 * total.log())
