"""A family for some layers of a network, and points for the others.

Whatever the family, normalisation is apart: its scales and shifts are points, or single Gaussians.
"""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import Tensor

from incbayes.families.base import Family
from incbayes.families.ffg import FullyFactorisedGaussian
from incbayes.families.point import Point
from incbayes.networks.layers import Layer, NetworkError, State
from incbayes.networks.noise import Noise

ALL, LAST_LAYER = "all", "last_layer"
SHARED = ("initial_sigma", "mean_scale")
"""Options of a family that hold for scales and shifts of normalisation, too."""


class Mixed(Family):
    """One family over the layers that are chosen; every other layer is a point without a penalty.

    Normalisation that is variational is a Gaussian per scale and shift, as `ffg`, in any family.
    """

    def __init__(
        self, family: Family, bayesian: str | Sequence[str] = ALL, normalisation: str = "point"
    ):
        """Take what is over which layers.

        Args:
            family: of the chosen layers.
            bayesian: `all`, `last_layer`, or patterns of layers' names, as of a shell.
            normalisation: `point` or `variational`.
        """
        self.family, self.bayesian, self.normalisation = family, bayesian, normalisation
        # Facts of this instance: those of the family.
        self.constraints: Mapping[str, Any] = family.constraints  # type: ignore[misc]
        self.scale_parameters = (  # type: ignore[misc]
            family.scale_parameters | FullyFactorisedGaussian.scale_parameters
        )
        self.prediction = family.prediction
        self._point = Point()
        # What the family has of these it has for all that is Gaussian.
        given = {key: getattr(family, key) for key in SHARED if hasattr(family, key)}
        gaussian = FullyFactorisedGaussian("weight", **given)
        self._gaussian = gaussian if normalisation != "point" else None

    def of(self, layer: Layer) -> Family:
        """Return the family of a layer."""
        if not self._is_chosen(layer):
            return self._point
        if layer.kind != "normalisation":
            return self.family
        return self._gaussian if self._gaussian is not None and layer.shapes else self._point

    def check(self, layers: Sequence[Layer]) -> None:
        """Check that every pattern is that of a layer.

        Raises:
            NetworkError: it is of none, with the names that there are.
        """
        patterns = [] if isinstance(self.bayesian, str) else self.bayesian
        names = [layer.name for layer in layers if layer.kind != "normalisation"]
        for pattern in patterns:
            if not any(fnmatchcase(name, pattern) for name in names):
                raise NetworkError(f"bayesian: no layer is {pattern!r}; layers: {', '.join(names)}")

    def _is_chosen(self, layer: Layer) -> bool:
        if self.bayesian == ALL:
            return True
        if self.bayesian == LAST_LAYER:
            return layer.is_output
        return any(fnmatchcase(layer.name, pattern) for pattern in self.bayesian)

    def refusal(self, layer: Layer) -> str | None:
        """Return why the layer's family cannot hold it, or None."""
        return self.of(layer).refusal(layer)

    def from_gaussian(self, layer: Layer, mean: State, sigma: State) -> State:
        """Return the Gaussian in the form of the layer's family."""
        return self.of(layer).from_gaussian(layer, mean, sigma)

    def start(self, layer: Layer, prior: State, weights: State, noise: Noise) -> State:
        """Return where the layer's family starts."""
        return self.of(layer).start(layer, prior, weights, noise)

    def forward(self, layer: Layer, q: State, x: Tensor, noise: Noise) -> Tensor:
        """Return one stochastic output of the layer."""
        return self.of(layer).forward(layer, q, x, noise)

    def shared(self, states: Mapping[str, State], noise: Noise) -> State:
        """Return what the family's draws have in common over layers."""
        return self.family.shared(states, noise)

    def sample(self, layer: Layer, q: State, noise: Noise) -> State:
        """Return one draw from the layer's family."""
        return self.of(layer).sample(layer, q, noise)

    def log_density(self, layer: Layer, q: State, draw: State) -> Tensor:
        """Return ln q(draw) in nats; 0 of a point, which has no density and no penalty."""
        family = self.of(layer)
        return _zero(q) if family is self._point else family.log_density(layer, q, draw)

    def sample_with_log_density(self, layer: Layer, q: State, noise: Noise) -> tuple[State, Tensor]:
        """Return one draw, and ln q of it in nats, as `log_density` has it."""
        family = self.of(layer)
        if family is self._point:
            return family.sample(layer, q, noise), _zero(q)
        return family.sample_with_log_density(layer, q, noise)

    def mean(self, layer: Layer, q: State) -> State:
        """Return the plain weights of the posterior mean."""
        return self.of(layer).mean(layer, q)

    def kl(self, layer: Layer, q: State, p: State, noise: Noise) -> Tensor:
        """Return KL(q‖p) of the layer in nats; 0 of a point."""
        return self.of(layer).kl(layer, q, p, noise)

    def unweighed(self) -> Family:
        """Return the same of the family whose `kl` is KL(q‖p) itself."""
        family = self.family.unweighed()
        return self if family is self.family else Mixed(family, self.bayesian, self.normalisation)

    def sigma(self, layer: Layer, q: State) -> Tensor | None:
        """Return the standard deviation of every entry of `weight`; None of a point."""
        return self.of(layer).sigma(layer, q)


def mixed(family: Family, bayesian: str | Sequence[str], normalisation: str) -> Family:
    """Return the family of a method; one without a width is over all layers by itself."""
    if not family.constraints.get("bayesian", True):
        return family
    return Mixed(family, bayesian, normalisation)


def _zero(q: State) -> Tensor:
    like = next(iter(q.values()))
    return torch.zeros((), dtype=like.dtype, device=like.device)
