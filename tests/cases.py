"""Layers, states and tiny problems that several tests run every registered family on."""

import math
import typing

import torch
from torch import nn

from incbayes.kinds import FAMILIES
from incbayes.networks.layers import Layer, State
from incbayes.networks.noise import GeneratorNoise

BAYESIAN = [name for name in FAMILIES if FAMILIES[name].constraints["bayesian"]]

TRAINED = [name for name in FAMILIES if "fitted_by" not in FAMILIES[name].constraints]
"""Families all of whose tensors gradients can train, and of which every width is a member.

The others have tests of their own: `kron` in `test_kron`.
"""

OWN_SPREAD = frozenset({"mc_dropout"})
"""Families whose draws spread by themselves, whatever the width that they are made with."""

TRAINED_BAYESIAN = [name for name in BAYESIAN if name in TRAINED]

GAUSSIAN_OPTIONS = {"mnf": {"prior_z_sigma": 1e-8}}
"""By family: options under which `from_gaussian` gives that Gaussian itself, to rounding.

A family that is not named does so under all options. Of `mnf` it is the limit of a z that
does not vary; what holds for other widths is in `test_mnf`.
"""

SAMPLED_KL = frozenset({"planar"})
"""Families whose `kl` is an estimate from one draw even between two Gaussians."""


def _estimators(name: str) -> dict[str, dict[str, str]]:
    """Return, by name, the options that choose each estimator of a family's likelihood."""
    hint = typing.get_type_hints(FAMILIES[name]).get("estimator")
    choices = {f"{name} {choice}": {"estimator": choice} for choice in typing.get_args(hint)}
    return choices or {name: {}}


ESTIMATORS = {
    case: (name, options)
    for name in TRAINED_BAYESIAN
    for case, options in _estimators(name).items()
}
"""By name: a Bayesian family and the options that choose one of its estimators."""

LAYERS = {
    "linear": (nn.Linear(5, 3), (4, 5)),
    "linear without bias": (nn.Linear(5, 3, bias=False), (4, 5)),
    "conv": (nn.Conv2d(2, 3, 3), (2, 2, 6, 5)),
    "conv without bias": (nn.Conv2d(2, 3, 3, bias=False), (2, 2, 6, 5)),
    "conv stride padding": (nn.Conv2d(2, 4, 3, stride=2, padding=1), (2, 2, 7, 6)),
    "conv dilation": (nn.Conv2d(2, 2, (2, 3), dilation=(2, 1), padding=(0, 1)), (2, 2, 6, 5)),
    "conv groups": (nn.Conv2d(4, 6, 3, groups=2, padding=1), (2, 4, 5, 5)),
    "conv same": (nn.Conv2d(2, 2, (2, 3), padding="same", dilation=(2, 1)), (2, 2, 4, 4)),
    "conv valid": (nn.Conv2d(2, 2, 2, padding="valid"), (2, 2, 3, 3)),
    "conv reflect": (nn.Conv2d(2, 2, 3, padding=1, padding_mode="reflect"), (2, 2, 4, 4)),
    "conv circular same": (
        nn.Conv2d(2, 2, 2, padding="same", padding_mode="circular"),
        (2, 2, 3, 4),
    ),
    "conv 1d": (nn.Conv1d(2, 4, 3, stride=2, padding=1, groups=2), (2, 2, 7)),
    "conv 1d replicate": (nn.Conv1d(2, 3, 2, padding="same", padding_mode="replicate"), (2, 2, 5)),
    "volume": (nn.Conv3d(1, 2, (1, 2, 2), dilation=(1, 2, 1), padding=(0, 1, 0)), (2, 1, 2, 3, 3)),
    "volume groups same": (nn.Conv3d(2, 2, (2, 1, 3), groups=2, padding="same"), (2, 2, 2, 2, 3)),
    "transposed": (
        nn.ConvTranspose2d(4, 6, 3, stride=2, padding=1, output_padding=1, groups=2),
        (2, 4, 3, 2),
    ),
    "transposed 1d": (nn.ConvTranspose1d(2, 3, 3, stride=2, dilation=2), (2, 2, 4)),
    "transposed volume": (nn.ConvTranspose3d(2, 1, 2, bias=False), (2, 2, 2, 1, 2)),
    "linear over positions": (nn.Linear(4, 3), (2, 3, 4)),
    "embedding": (nn.Embedding(5, 3), (3, 4)),
}
"""By name: a module whose geometry is tested, and the shape of an input to it."""


HELD = [
    (estimator, geometry)
    for estimator, (family, options) in ESTIMATORS.items()
    for geometry, (module, _) in LAYERS.items()
    if FAMILIES[family](**options).refusal(Layer.of("layer", module)) is None
]
"""Estimators and the layers that the family can have with them."""


def noise(seed: int = 0) -> GeneratorNoise:
    """Return a source of draws with a fixed seed."""
    return GeneratorNoise(torch.Generator().manual_seed(seed))


def gaussian(layer: Layer, seed: int, low: float = 0.1, high: float = 0.6) -> tuple[State, State]:
    """Return mean and sigma of a random Gaussian over a layer's plain weights, float64."""
    generator = torch.Generator().manual_seed(seed)
    mean, sigma = {}, {}
    for key, shape in layer.shapes.items():
        mean[key] = torch.randn(shape, generator=generator, dtype=torch.float64)
        width = torch.rand(shape, generator=generator, dtype=torch.float64)
        sigma[key] = low + (high - low) * width
    return mean, sigma


def layer_and_input(name: str) -> tuple[Layer, torch.Tensor]:
    """Return a layer of LAYERS and a float64 input, some of it zero as in real images."""
    module, shape = LAYERS[name]
    generator = torch.Generator().manual_seed(1)
    if isinstance(module, nn.Embedding):
        # Every number once, as each has to have a gradient.
        numbers = torch.arange(math.prod(shape)) % module.num_embeddings
        return Layer.of("layer", module), numbers.view(shape)
    x = torch.randn(shape, generator=generator, dtype=torch.float64)
    return Layer.of("layer", module), x.clamp_min(0)


def gaussian_family(name: str):
    """Return the family with the options under which a Gaussian is one of its members."""
    return FAMILIES[name](**GAUSSIAN_OPTIONS.get(name, {}))


def random_member(family, layer: Layer, seed: int) -> State:
    """Return a state of `family` in which every parameter is moved off its Gaussian form."""
    state = family.from_gaussian(layer, *gaussian(layer, seed))
    generator = torch.Generator().manual_seed(seed + 1000)
    return {
        key: value + 0.1 * torch.randn(value.shape, generator=generator, dtype=value.dtype)
        for key, value in state.items()
    }
