"""What a first-stage prior provides: a Gaussian over plain weights, and where to start.

A prior knows layers and what pretraining left behind; it does not know families, which
write the Gaussian in their own form.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch

from incbayes.families.base import Family
from incbayes.layers import Layer, State
from incbayes.noise import Noise
from incbayes.variational import NetworkState


@dataclass(frozen=True)
class Source:
    """What the source task left for one replicate.

    Attributes:
        state: by layer name, the plain weights w* of an ordinarily trained network, or the
            variational parameters of q_A where the prior transfers a whole posterior.
        fisher: diagonal Fisher information per image, F, in the shapes of `weights`; empty
            unless the prior asked for one.
        images: number N of images that w* was fitted to.
        variance: σ² chosen from a grid, where the prior asked for one.
    """

    state: Mapping[str, State] = field(default_factory=dict)
    fisher: Mapping[str, State] = field(default_factory=dict)
    images: int = 0
    variance: float | None = None


@dataclass(frozen=True)
class LayerGaussian:
    """N(mean, sigma²) over the plain weights of a layer, and the weights to start at."""

    mean: State
    sigma: State
    start: State


@dataclass(frozen=True)
class Start:
    """Where a stage starts (`state`) and what it is regularised to (`prior`)."""

    state: NetworkState
    prior: NetworkState


class Prior(ABC):
    """A first-stage prior.

    Attributes:
        constraints: `needs_source`: whether it is made from a source task; `source`: what of
            it, `weights` (an ordinarily trained network) or `posterior` (the method itself,
            fitted to the source task).
        fisher: kind of Fisher information that it needs, or None.
        variances: variances to choose from on validation data, or None.
    """

    constraints: ClassVar[dict[str, Any]] = {"needs_source": False}
    fisher: str | None = None
    variances: list[float] | None = None

    @abstractmethod
    def hidden(self, layer: Layer, fresh: State, source: Source) -> LayerGaussian:
        """Return the Gaussian of a layer that is not the output layer.

        Args:
            layer: the layer.
            fresh: freshly initialised plain weights.
            source: what pretraining left.
        """

    def output(self, layer: Layer, fresh: State, source: Source) -> LayerGaussian:
        """Return the Gaussian of the output layer: the default, started at fresh weights.

        The target task has other classes than the source, so that nothing of the source's
        output layer carries over (Kochurov et al. 2018, Appendix A).
        """
        return default_gaussian(layer, fresh)

    def start(
        self,
        family: Family,
        layers: list[Layer],
        fresh: Mapping[str, State],
        source: Source,
        noise: Noise,
    ) -> Start:
        """Return the prior of stage 1 in the form of `family`, and where q starts.

        Args:
            family: the posterior's.
            layers: of the network; the last is the output layer.
            fresh: freshly initialised plain weights by layer name.
            source: what pretraining left.
            noise: for families whose start is drawn.
        """
        start = Start({}, {})
        for layer in layers:
            of_layer = self.output if layer is layers[-1] else self.hidden
            gaussian = of_layer(layer, fresh[layer.name], source)
            prior = family.from_gaussian(layer, gaussian.mean, gaussian.sigma)
            start.prior[layer.name] = prior
            start.state[layer.name] = family.start(layer, prior, gaussian.start, noise)
        return start


def default_sigma(layer: Layer) -> float:
    """Return sqrt(2 / fan_in), the width of He et al. (2015) that keeps activations in scale."""
    return (2.0 / layer.fan_in) ** 0.5


def default_gaussian(layer: Layer, fresh: State, sigma: float | None = None) -> LayerGaussian:
    """Return N(0, sigma²), by default sigma = `default_sigma`, started at fresh weights."""
    width = default_sigma(layer) if sigma is None else sigma
    return LayerGaussian(
        mean={key: torch.zeros_like(value) for key, value in fresh.items()},
        sigma={key: torch.full_like(value, width) for key, value in fresh.items()},
        start=dict(fresh),
    )
