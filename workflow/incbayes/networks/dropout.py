"""Dropout whose draws come from a network's noise, so that a run can be resumed or mapped."""

import functools

import torch
from torch import Tensor, nn

from incbayes.networks.noise import Noise

ELEMENTS = (nn.Dropout,)
CHANNELS = (nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)
"""Modules of torch's that drop single numbers, and whole channels."""


class NoisyDropout(nn.Module):
    """Sets numbers or channels to zero at random in training, and nothing elsewhere.

    Attributes:
        noise: where draws come from; None drops nothing.
    """

    def __init__(self, module: nn.Module):
        """Do what `module`, one of `ELEMENTS` or `CHANNELS`, does."""
        super().__init__()
        self.p: float = module.p
        self.of_channels = isinstance(module, CHANNELS)
        self.noise: Noise | None = None
        self._threshold = threshold(self.p)

    def forward(self, x: Tensor) -> Tensor:
        """Return x [N, C, …] with numbers, or channels, dropped and the others scaled up."""
        if self.noise is None or not self.training or self.p == 0:
            return x
        if self.p == 1:
            return torch.zeros_like(x)
        like = in_single(x)
        if self.of_channels:
            draws = self.noise.normal((*x.shape[:2], *(1,) * (x.dim() - 2)), like)
        else:
            draws = self.noise.normal_like(like)
        return torch.where(draws >= self._threshold, x / (1 - self.p), torch.zeros_like(x))


@functools.cache
def threshold(p: float) -> float:
    """Return below what a standard normal draw falls with probability p."""
    return torch.special.ndtri(torch.tensor(p, dtype=torch.float64)).item()


def in_single(x: Tensor) -> Tensor:
    """Return numbers in single precision or better, in which units are to be dropped.

    Draws in half precision fall below a threshold with another probability than p, and 1 / (1 - p)
    is rounded: what trained and what predicts would be scaled differently.
    """
    return x if x.dtype.itemsize >= torch.float32.itemsize else x.float()


def kept_units(draws: Tensor, p: float) -> Tensor:
    """Return what units are multiplied by: 0 with probability p, else 1 / (1 - p).

    Args:
        draws: standard normal, one a unit, in single precision or better.
        p: above 0, below 1.
    """
    return (draws >= threshold(p)).to(draws.dtype) / (1 - p)


def make_noisy(network: nn.Module) -> list[NoisyDropout]:
    """Replace, in place, the dropout modules of a network, and return what replaces them."""
    made: dict[int, NoisyDropout] = {}
    for name, module in list(network.named_modules(remove_duplicate=False)):
        if name and type(module) in (*ELEMENTS, *CHANNELS):
            noisy = made.setdefault(id(module), NoisyDropout(module))
            parent, _, child = name.rpartition(".")
            setattr(network.get_submodule(parent), child, noisy)
    return list(made.values())
