"""Random streams named by what they are for, so that none depends on how many others there are.

Knows how a list of names becomes a seed; the caller knows what the names mean.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


def stream_seed(seed: int, *names: str | int) -> int:
    """Return the seed of a named stream, in [0, 2^63).

    The first 63 bits of the SHA-256 of `[seed, *names]` as JSON, which keeps apart what plain
    concatenation would not: `("a", "bc")` and `("ab", "c")`, `1` and `"1"`.

    Args:
        seed: the study's seed.
        names: what the stream is for, from the general to the special, e.g.
            `"digits", "partition", replicate`.

    Raises:
        TypeError: a name is neither a string nor an integer.
    """
    for name in (seed, *names):
        if type(name) not in (int, str):
            raise TypeError(f"stream name {name!r} is a {type(name).__name__}: use str or int")
    digest = hashlib.sha256(json.dumps([seed, *names]).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def numpy_stream(seed: int, *names: str | int) -> np.random.Generator:
    """Return a NumPy generator (PCG64) for the stream of that name; see `stream_seed`."""
    return np.random.Generator(np.random.PCG64(stream_seed(seed, *names)))


def torch_stream(seed: int, *names: str | int, device: str = "cpu") -> torch.Generator:
    """Return a torch generator on `device` for the stream of that name; see `stream_seed`.

    On the CPU torch seeds its Mersenne twister with the low 32 bits only: among n streams two
    coincide with a probability of about n²/2^33, 1 in 10,000 for n = 1,000.
    """
    import torch

    return torch.Generator(device=device).manual_seed(stream_seed(seed, *names))
