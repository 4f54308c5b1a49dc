"""What a first-stage prior provides: a Gaussian over plain weights, and where to start.

A prior knows layers and what pretraining left behind; it does not know families, which
write the Gaussian in their own form.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import torch

from incbayes.core.options import option
from incbayes.families.base import Family
from incbayes.networks.layers import Layer, State, without_output
from incbayes.networks.noise import Noise
from incbayes.posterior.network import NetworkState


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
            fitted to the source task). `distribution`: false for a mere place to start at, for
            families without a scale. `fisher`: the option that names the Fisher information of
            those weights that it needs. `variances`: the option with the grid that one is chosen
            from on validation images. What is absent it does not need.
        fisher: kind of Fisher information that it needs, or None.
        variances: variances to choose from on validation data, or None.
    """

    constraints: ClassVar[dict[str, Any]] = {"needs_source": False}
    fisher: str | None = None
    variances: list[float] | None = None

    @abstractmethod
    def gaussian(
        self, layer: Layer, layers: list[Layer], fresh: State, source: Source
    ) -> LayerGaussian:
        """Return the Gaussian of a layer.

        Args:
            layer: the layer.
            layers: of the network; the last is the output layer.
            fresh: freshly initialised plain weights of the layer.
            source: what pretraining left.
        """

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
            weights = plain(layer, fresh[layer.name])
            gaussian = self.gaussian(layer, layers, weights, source)
            prior = family.from_gaussian(layer, gaussian.mean, gaussian.sigma)
            begun = family.start(layer, prior, gaussian.start, noise)
            running = self.running(layer, layers, fresh, source)
            start.prior[layer.name] = {**prior, **running}
            start.state[layer.name] = {**begun, **running}
        return start

    def running(
        self, layer: Layer, layers: list[Layer], fresh: Mapping[str, State], source: Source
    ) -> State:
        """Return the running statistics that a layer starts with; none of most layers.

        Args: as of `start`, for one layer.
        """
        return {key: fresh[layer.name][key] for key in layer.buffers}


@dataclass(frozen=True)
class FromSource(Prior):
    """A prior that is made from a source task, of other classes than the target's.

    Nothing of the source's output layer carries over, as its outputs stand for other classes
    (Kochurov et al. 2018, Appendix A; Wohlert et al. 2017, eq. 13).
    """

    transfer: Literal["all_but_output", "convolutions"] = option(
        "all_but_output",
        "Which layers carry over from the source task: all but the output layer, or the "
        "convolutions alone, all fully connected layers then starting afresh (see "
        "docs/families.md).",
    )

    constraints: ClassVar[dict[str, Any]] = {"needs_source": True}

    def carried(self, layers: list[Layer]) -> list[Layer]:
        """Return those of a network's layers that carry over from the source task.

        Args:
            layers: of the network; the last is the output layer.
        """
        if self.transfer == "convolutions":
            return [layer for layer in without_output(layers) if layer.is_convolution]
        return without_output(layers)

    def gaussian(
        self, layer: Layer, layers: list[Layer], fresh: State, source: Source
    ) -> LayerGaussian:
        """Return the Gaussian of a layer, according to whether it carries over."""
        if layer in self.carried(layers):
            return self.carried_over(layer, fresh, source)
        return self.afresh(layer, fresh)

    def running(
        self, layer: Layer, layers: list[Layer], fresh: Mapping[str, State], source: Source
    ) -> State:
        """Return the running statistics of the source task where the layer carries over."""
        carries = layer in self.carried(layers)
        return super().running(layer, layers, source.state if carries else fresh, source)

    @abstractmethod
    def carried_over(self, layer: Layer, fresh: State, source: Source) -> LayerGaussian:
        """Return the Gaussian of a layer that carries over.

        Args:
            layer: the layer.
            fresh: freshly initialised plain weights.
            source: what pretraining left.
        """

    def afresh(self, layer: Layer, fresh: State) -> LayerGaussian:
        """Return the Gaussian of a layer that does not: the default, at fresh weights."""
        return default_gaussian(layer, fresh)


def plain(layer: Layer, state: State) -> State:
    """Return of a layer's state the plain weights alone."""
    return {key: state[key] for key in layer.shapes}


def default_sigma(layer: Layer) -> float:
    """Return sqrt(2 / fan_in), the scale of He et al. (2015) that keeps activations in range."""
    return (2.0 / layer.fan_in) ** 0.5


def default_gaussian(layer: Layer, fresh: State, sigma: float | None = None) -> LayerGaussian:
    """Return N(0, sigma²), by default sigma = `default_sigma`, started at fresh weights.

    Scales and shifts of a normalisation are centred where they start, at 1 and 0.
    """
    is_scale = layer.kind == "normalisation"
    scale = default_sigma(layer) if sigma is None else sigma
    return LayerGaussian(
        mean={k: v if is_scale else torch.zeros_like(v) for k, v in fresh.items()},
        sigma={key: torch.full_like(value, scale) for key, value in fresh.items()},
        start=dict(fresh),
    )
