"""Improved variational online Newton (Shen et al. 2024, arXiv 2402.17641, Algorithm 1)."""

from dataclasses import dataclass
from typing import Any, ClassVar

from incbayes.core.options import PRECISION, option
from incbayes.families.base import Family
from incbayes.inference.base import Algorithm, Problem
from incbayes.inference.ivon_run import IvonRun, IvonSettings
from incbayes.networks.layers import Layer, State


@dataclass(frozen=True)
class Ivon(Algorithm):
    """Natural-gradient steps on the variational bound, at about the cost of Adam on plain weights.

    Every step draws one set of weights, whatever the family's `estimator`; widths have no gradient
    but follow from a running estimate h of the curvature, so that `initial_sigma` and
    `log_sigma_rate` have no part. `learning_rate` is that of a Newton step, 0.1 rather than 0.001.
    """

    initial_curvature: float = option(
        0.1,
        "Curvature h of the NLL per image that every weight starts a stage with. Smaller makes the "
        "first steps larger, and less stable.",
        **PRECISION,
    )
    momentum: float = option(
        0.9, "Decay β1 of the mean gradient per step.", minimum=0, exclusiveMaximum=1
    )
    curvature_decay: float = option(
        0.99,
        "Decay β2 of the curvature per step; 1 / (1 - β2) steps renew it, which must be fewer than "
        "those of a stage.",
        minimum=0,
        exclusiveMaximum=1,
    )
    clip: float | None = option(
        0.1,
        "Largest change of a mean by one step, before the learning rate; null for any.",
        exclusiveMinimum=0,
        maximum=1e6,
    )
    merging: float = option(
        1.0,
        "Power γ of what a later stage says: it ends in p·(q/p)^γ of its prior p and its posterior "
        "q. 1 is q itself, the chain of Bayes' rule. training.csv and what is made of it are of q, "
        "before it is merged.",
        exclusiveMinimum=0,
        maximum=1,
    )

    constraints: ClassVar[dict[str, Any]] = {
        "families": ["ffg"],
        "step_cost": 1,
        "bytes_per_weight": 200,
        "objective": {
            "beta": ["uniform"],
            "complexity": ["closed_form"],
            "warmup_epochs": [0],
            "likelihood": ["sum"],
            "batches": ["used"],
        },
        "weighs_prior": True,
        "all_layers": True,
    }

    def trained(self, family: Family, layer: Layer, state: State) -> list[str]:
        """Return the names of the means: widths are carried, and follow from the curvature."""
        return [key for key in state if key not in family.scale_parameters]

    def begin(self, problem: Problem) -> IvonRun:
        """Return the run of one replicate, from the initial curvature and no momentum."""
        settings = IvonSettings(
            self.initial_curvature,
            self.momentum,
            self.curvature_decay,
            self.clip,
            self.merging,
        )
        return IvonRun(problem, settings)
