"""How the expected likelihood of a layer is sampled: every pre-activation, or the weights."""

from typing import Literal

from incbayes.networks.layers import Layer

Estimator = Literal["local", "weight", "mixed"]


def draws_weights(estimator: Estimator, layer: Layer) -> bool:
    """Return whether `layer` takes one draw of its weights for the whole minibatch.

    `mixed` does so in convolutions: they have few weights at many positions, so that a draw of
    pre-activations costs them most and one of weights least.
    """
    return estimator == "weight" or (estimator == "mixed" and layer.is_convolution)
