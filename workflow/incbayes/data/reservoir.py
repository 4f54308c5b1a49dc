"""A reservoir of images of the parts that a chain has seen; it knows indices and no images."""

from collections.abc import Sequence

import numpy as np


def reservoir(parts: Sequence[np.ndarray], size: int, generator: np.random.Generator) -> np.ndarray:
    """Return up to `size` indices of `parts`, each with the same chance.

    Algorithm R of Vitter (1985): the i-th index that arrives takes, with probability size / i, the
    place of a random one that is kept. After every part it holds only what it held before and
    indices of that part, so that a chain needs no earlier image that it does not keep.

    Args:
        parts: indices in the order in which they arrive.
        size: number of places.
        generator: draws one number for every index, in their order.
    """
    arriving = np.concatenate(parts) if parts else np.empty(0, np.int64)
    places = (generator.random(len(arriving)) * np.arange(1, len(arriving) + 1)).astype(np.int64)
    kept = arriving[:size].copy()
    for index in size + np.flatnonzero(places[size:] < size):
        kept[places[index]] = arriving[index]
    return kept
