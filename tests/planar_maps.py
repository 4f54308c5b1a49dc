"""Planar maps and vectors to try them on."""

import torch

STEPS = 5


def maps(n, steps=STEPS, seed=0, scale=1.0):
    """Return u, a, b of maps that are far from the identity and meet their bends."""
    generator = torch.Generator().manual_seed(seed)
    u, a = (torch.randn(steps, n, generator=generator, dtype=torch.float64) for _ in range(2))
    return scale * u, scale * a / n**0.5, torch.randn(steps, generator=generator).double()


def vector(n, seed=1):
    return torch.randn(n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
