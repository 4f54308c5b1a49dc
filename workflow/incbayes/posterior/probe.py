"""Whether a network's code computes what it did when a posterior was fitted.

Shapes of tensors do not tell a ReLU from a sigmoid. So a stage writes what the network at the mean
of each posterior makes of fixed inputs, and whoever predicts compares.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard

import torch
from torch import Tensor

from incbayes.families.base import Family
from incbayes.posterior.build import Architecture, mean_network
from incbayes.posterior.described import Described
from incbayes.posterior.file import PosteriorError, shown
from incbayes.posterior.network import NetworkState
from incbayes.study.messages import is_finite

KEY = "probe"
"""Of a posterior's metadata: `dtype`, and `outputs` by replicate, a list of those of each input."""

INPUTS, MOST_OUTPUTS, DIGITS = 2, 100, 6

TOLERANCE = 1e-3
"""Of the largest output: processors and versions of torch differ by some 1e-6 in float32."""

TYPES = {"float64": torch.float64, "float32": torch.float32}
"""In which the outputs are computed: the first in which the network can be."""


@dataclass(frozen=True)
class MeanOf:
    """The network at the mean of a posterior, as the code is now.

    Attributes:
        architecture: of the network.
        family: of the posterior.
        state: the posterior; of an ensemble its first member counts.
    """

    architecture: Architecture
    family: Family
    state: NetworkState

    def outputs(self, dtype: str) -> list[list[float]]:
        """Return what it makes of the fixed inputs in a number format, rounded."""
        network = mean_network(self.architecture, self.family, self.state, TYPES[dtype])
        inputs = _inputs(tuple(self.architecture.shape), TYPES[dtype])
        with torch.inference_mode():
            made = network(inputs)[:, :MOST_OUTPUTS].double()
        return [[float(f"{value:.{DIGITS}g}") for value in row] for row in made.tolist()]


def probes_of(means: Mapping[int, MeanOf]) -> dict[str, Any]:
    """Return what networks make of fixed inputs, `{"probe": …}`; nothing if they cannot.

    A network whose outputs differ from pass to pass, or are not finite, has no probe, nor has one
    whose code fails: a fit is not lost for it.

    Args:
        means: the networks, by replicate.
    """
    for name in TYPES:
        try:
            found, again = (
                {str(replicate): mean.outputs(name) for replicate, mean in means.items()}
                for _ in range(2)
            )
        except Exception:  # noqa: BLE001, S112  # of any kind: the code is whoever's
            continue
        same = all(_difference(outputs, found[key]) is None for key, outputs in again.items())
        if same and all(math.isfinite(v) for rows in found.values() for row in rows for v in row):
            return {KEY: {"dtype": name, "outputs": found}}
    return {}


def check_probe(file: str, metadata: Mapping[str, Any], replicate: int, mean: MeanOf) -> None:
    """Check that the code of a network computes what a file says of it.

    A file of an earlier release says nothing, and passes.

    Args:
        file: how errors name it.
        metadata: of the file.
        replicate: number of the replicate.
        mean: its network.

    Raises:
        PosteriorError: naming the file, and an output that differs.
        KindError: the network's code fails.
    """
    probe = metadata.get(KEY)
    if probe is None:
        return
    stated, dtype = None, ""
    if isinstance(probe, dict):
        stated, dtype = probe.get("outputs"), str(probe.get("dtype"))
    rows = stated.get(str(replicate)) if isinstance(stated, dict) else None
    if not _is_whole(rows, min(mean.architecture.outputs, MOST_OUTPUTS)) or dtype not in TYPES:
        raise PosteriorError(f"{file}: probe is {shown(probe)}, expected outputs by replicate")
    with mean.architecture.blamed("run on a fixed input"):
        found = mean.outputs(dtype)
    difference = _difference(found, rows)
    if difference is not None:
        what, value, expected = difference
        raise PosteriorError(
            f"{file}: the code of the model {mean.architecture.model['kind']} does not compute "
            f"what the file was fitted with: {what} of a fixed input is {value:.6g}, expected "
            f"{expected:.6g}; use the code of the fit"
        )


def check_code(of: Described, replicate: int, state: NetworkState) -> None:
    """Check that the code of the network of an opened file computes what it did at the fit.

    Raises: as `check_probe`.
    """
    mean = MeanOf(of.architecture(replicate), of.family, state)
    check_probe(of.file, of.metadata, replicate, mean)


def _inputs(shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    """Return fixed inputs of a shape, [2, …], between -1.5 and 1.5."""
    count = INPUTS * math.prod(shape)
    values = 1.5 * torch.sin(1.7 * torch.arange(1, count + 1, dtype=torch.float64).sqrt())
    return values.view(INPUTS, *shape).to(dtype)


def _difference(
    found: list[list[float]], expected: list[list[float]]
) -> tuple[str, float, float] | None:
    """Return the first output that differs, with both values; None where none does."""
    largest = max(abs(value) for row in expected for value in row)
    for row, meant in zip(found, expected, strict=True):
        for number, (one, other) in enumerate(zip(row, meant, strict=True), 1):
            if not abs(one - other) <= TOLERANCE * largest + 1e-6:
                return f"output {number}", one, other
    return None


def _is_whole(rows: Any, outputs: int) -> TypeGuard[list[list[float]]]:
    """Return whether outputs are so many finite numbers of each input."""
    return (
        isinstance(rows, list)
        and len(rows) == INPUTS
        and all(isinstance(row, list) and len(row) == outputs for row in rows)
        and all(is_finite(value) for row in rows for value in row)
    )
