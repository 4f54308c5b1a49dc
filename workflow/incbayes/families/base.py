"""What every posterior family provides; each family is one file beside this one.

A family is a set of pure functions of a layer's `State`, a dict of named tensors. It leaves
alone what it does not know by name, which an inference algorithm may keep there. The prior of a
stage is a state of the same family: yesterday's posterior, or a Gaussian that `from_gaussian`
writes in the family's own form.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, Literal

from torch import Tensor

from incbayes.networks.layers import Layer, State
from incbayes.networks.noise import Noise


class Family(ABC):
    """A form of q(w), factorised over layers.

    Attributes:
        constraints: facts that planning reads. `bayesian`: whether q has a scale, so that it can
            be sampled and regularised to a prior. `drawn`: whether it predicts by draws all the
            same, where it has no scale. `step_cost`: a training step as a multiple of
            that of `point`, ample; a family without it is taken for costly. `step_cost_of`: by
            option and value, what it costs where that differs. `penalty`: the option that weighs a
            penalty in place of a KL; `mean_scale`: the one that weighs the means within it.
            `fitted_by`: the algorithms that alone can fit it; `one_width`: whether a Gaussian of it
            has one width for all weights of a layer. `bytes_per_weight_of`: by option, memory of a
            fit that its value is multiplied by.
        prediction: what a draw of the predictive distribution is: `sampled`, the network at a draw
            of the weights, or `linearised`, its tangent at the means.
        scale_parameters: names of the parameters that hold a logarithm of a scale; they
            learn at `log_sigma_rate` times the learning rate.
    """

    constraints: ClassVar[dict[str, Any]] = {"bayesian": True}
    prediction: Literal["sampled", "linearised"] = "sampled"
    scale_parameters: ClassVar[frozenset[str]] = frozenset()

    def refusal(self, layer: Layer) -> str | None:
        """Return why the family cannot hold a layer, for an error; None where it can."""
        return None

    @abstractmethod
    def from_gaussian(self, layer: Layer, mean: State, sigma: State) -> State:
        """Return the member of the family equal to N(mean, sigma²) over `weight` and `bias`."""

    @abstractmethod
    def start(self, layer: Layer, prior: State, weights: State, noise: Noise) -> State:
        """Return the variational parameters at which the first stage starts.

        Args:
            layer: the layer.
            prior: the state that the first stage is regularised to.
            weights: plain `weight` and `bias` to centre q on.
            noise: for families whose start is drawn.
        """

    @abstractmethod
    def forward(self, layer: Layer, q: State, x: Tensor, noise: Noise) -> Tensor:
        """Return one stochastic output [N, …] of the layer for x under w ~ q."""

    @property
    def drawn(self) -> bool:
        """Whether it predicts by draws: as the fact `drawn` says, else where it is Bayesian."""
        return bool(self.constraints.get("drawn", self.constraints.get("bayesian", True)))

    def shared(self, states: Mapping[str, State], noise: Noise) -> State:
        """Return what one draw of a network's weights has in common over layers; mostly nothing.

        Whoever draws all layers adds it to the state that each is drawn from by `sample`.

        Args:
            states: of all layers, by name.
            noise: of the draw.
        """
        return {}

    @abstractmethod
    def sample(self, layer: Layer, q: State, noise: Noise) -> State:
        """Return one draw of plain `weight` and `bias` from q.

        A family with latent variables may add them to the draw under names of their own.
        """

    def log_density(self, layer: Layer, q: State, draw: State) -> Tensor:
        """Return ln q(draw) in nats, jointly with the latent variables that the draw holds.

        Raises:
            TypeError: the family has no density.
        """
        raise TypeError(f"{type(self).__name__} has no density")

    def sample_with_log_density(self, layer: Layer, q: State, noise: Noise) -> tuple[State, Tensor]:
        """Return one draw from q and ln q of it in nats.

        A family that knows the density of its own draws better than that of any weights
        overrides this: a flow does, on the way forward.
        """
        drawn = self.sample(layer, q, noise)
        return drawn, self.log_density(layer, q, drawn)

    @abstractmethod
    def mean(self, layer: Layer, q: State) -> State:
        """Return the plain weights of the posterior-mean network."""

    @abstractmethod
    def kl(self, layer: Layer, q: State, p: State, noise: Noise) -> Tensor:
        """Return KL(q‖p) of the layer in nats, exactly or as an unbiased estimate."""

    def unweighed(self) -> "Family":
        """Return the family whose `kl` is KL(q‖p) itself; this one, where it is already."""
        option = self.constraints.get("mean_scale")
        if option is None or getattr(self, option) == 1:
            return self
        return replace(self, **{option: 1.0})  # type: ignore[type-var]  # options are its fields

    @abstractmethod
    def sigma(self, layer: Layer, q: State) -> Tensor | None:
        """Return the marginal standard deviation of every entry of `weight`, or None."""
