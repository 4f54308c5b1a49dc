"""The Gaussian of SWAG (Maddox et al. 2019): a diagonal and a low rank, of the path of training."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from incbayes.core.options import option
from incbayes.families.point import Point
from incbayes.networks.layers import Layer, State
from incbayes.networks.noise import Noise

VARIANCE, DEVIATIONS = "_variance", "_deviations"
"""End the names of what is kept beside a weight: Σ_diag, and the columns of D / sqrt(k - 1)."""

COORDINATES = "coordinates"
"""Name of z₂ [rank], which one draw has in common over all layers."""


@dataclass(frozen=True)
class Swag(Point):
    """N(θ, ½(Σ_diag + D Dᵀ / (k - 1))), the moments of k snapshots of the weights of training.

    Maddox et al. (2019), section 3.2. It is a readout of a stage: the next one starts from θ, as a
    point, and collects moments of its own. The state of a layer is `weight`, the mean θ,
    `weight_variance`, Σ_diag, `weight_deviations` [rank, …], the columns of D / sqrt(k - 1), with
    zeros in place of those that are not there, and the same of its bias.
    """

    rank: int = option(
        10,
        "Columns of D: the last so many snapshots. A posterior holds rank + 2 numbers a weight.",
        minimum=2,
        maximum=100,
    )

    constraints: ClassVar[dict[str, Any]] = {
        "bayesian": False,
        "drawn": True,
        "step_cost": 1,
        "penalty": "l2",
        "fitted_by": ["swag"],
        "bytes_per_weight_of": {"rank": 24},
    }

    def from_gaussian(self, layer: Layer, mean: State, sigma: State) -> State:
        """Return N(mean, sigma²), with Σ_diag = 2·sigma² and no deviations."""
        state = dict(mean)
        for key in layer.shapes:
            state[f"{key}{VARIANCE}"] = 2 * sigma[key].square()
            state[f"{key}{DEVIATIONS}"] = sigma[key].new_zeros((self.rank, *sigma[key].shape))
        return state

    def start(self, layer: Layer, prior: State, weights: State, noise: Noise) -> State:
        """Return the prior, centred on `weights`."""
        return {**prior, **{key: weights[key] for key in layer.shapes}}

    def shared(self, states: Mapping[str, State], noise: Noise) -> State:
        """Return z₂ ~ N(0, I), [rank]: deviations of all layers belong together."""
        for state in states.values():
            for key, value in state.items():
                if key.endswith(DEVIATIONS):
                    return {COORDINATES: noise.normal((len(value),), value)}
        return {}

    def sample(self, layer: Layer, q: State, noise: Noise) -> State:
        """Return θ + sqrt(Σ_diag/2) z₁ + D z₂ / sqrt(2 (k - 1)), eq. (1).

        z₂ is that of `shared` where `q` has it, else one of this layer alone.
        """
        if not layer.shapes:
            return {}
        common = q if COORDINATES in q else self.shared({layer.name: q}, noise)
        drawn = {}
        for key in layer.shapes:
            scale = (q[f"{key}{VARIANCE}"] / 2).sqrt()
            low_rank = torch.tensordot(common[COORDINATES], q[f"{key}{DEVIATIONS}"], 1)
            drawn[key] = q[key] + scale * noise.normal_like(q[key]) + low_rank / 2**0.5
        return drawn

    def sigma(self, layer: Layer, q: State) -> Tensor | None:
        """Return the marginal standard deviation of every entry of `weight`."""
        if not layer.shapes:
            return None
        low_rank = q[f"weight{DEVIATIONS}"].square().sum(0)
        return ((q[f"weight{VARIANCE}"] + low_rank) / 2).sqrt()
