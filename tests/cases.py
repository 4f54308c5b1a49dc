"""Layers, states and tiny problems that several tests run every registered family on."""

import torch
from torch import nn

from incbayes.families import FAMILIES
from incbayes.layers import Layer, State
from incbayes.noise import GeneratorNoise

BAYESIAN = [name for name in FAMILIES if FAMILIES[name].constraints["bayesian"]]

LAYERS = {
    "linear": (nn.Linear(5, 3), (4, 5)),
    "linear without bias": (nn.Linear(5, 3, bias=False), (4, 5)),
    "conv": (nn.Conv2d(2, 3, 3), (2, 2, 6, 5)),
    "conv without bias": (nn.Conv2d(2, 3, 3, bias=False), (2, 2, 6, 5)),
    "conv stride padding": (nn.Conv2d(2, 4, 3, stride=2, padding=1), (2, 2, 7, 6)),
    "conv dilation": (nn.Conv2d(2, 2, (2, 3), dilation=(2, 1), padding=(0, 1)), (2, 2, 6, 5)),
    "conv groups": (nn.Conv2d(4, 6, 3, groups=2, padding=1), (2, 4, 5, 5)),
}
"""By name: a module whose geometry is tested, and the shape of an input to it."""


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
    x = torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return Layer.of("layer", module), x.clamp_min(0)


def random_member(family, layer: Layer, seed: int) -> State:
    """Return a state of `family` in which every parameter is moved off its Gaussian form."""
    state = family.from_gaussian(layer, *gaussian(layer, seed))
    generator = torch.Generator().manual_seed(seed + 1000)
    return {
        key: value + 0.1 * torch.randn(value.shape, generator=generator, dtype=value.dtype)
        for key, value in state.items()
    }
