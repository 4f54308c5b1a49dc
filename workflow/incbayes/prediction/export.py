"""Writes the posterior-mean network in formats that other programs read without this library."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import save
from torch import Tensor, nn

from incbayes.core.errors import UserError
from incbayes.core.files import atomic_write
from incbayes.kinds import PIXELS
from incbayes.likelihoods.base import Likelihood
from incbayes.posterior.build import mean_network
from incbayes.posterior.file import METADATA_KEY
from incbayes.posterior.members import is_ensemble
from incbayes.posterior.probe import check_code
from incbayes.prediction.opened import Given, Replicate, open_replicates

FORMATS = ("safetensors", "torch-export")
EXTRA_FILE = f"{METADATA_KEY}.json"
"""Where an exported program holds its description: a name for torch's `extra_files`."""


class ExportError(UserError, ValueError):
    """An export that is asked for in a way there is not."""


@dataclass(frozen=True)
class Form:
    """In which form to export, and of whom.

    Attributes:
        format: `safetensors` or `torch-export`.
        replicate: its number; needed where the posterior has several.
        model: `FILE.py:Class` that builds the network in place of the registered one.
    """

    format: Literal["safetensors", "torch-export"] = "safetensors"
    replicate: int | None = None
    model: str | None = None


def export(
    posterior: Given, what: Literal["mean"], path: str | Path, **options: Any
) -> dict[str, Any]:
    """Write the network of one replicate at the mean of its posterior, for programs without this.

    `safetensors` is the state_dict of the network, float32. `torch-export` is an `ExportedProgram`
    that takes stored pixels, uint8 [N, C, H, W] for whatever N, scales them as in training, and
    returns log-probabilities, float64 [N, K], in nats. Both hold the description that this
    returns: the one in its metadata under `incbayes`, the other in the extra file `incbayes.json`.

    Args:
        posterior: its file, or what `read_posterior` returned.
        what: `mean`.
        path: the file, which appears whole or not at all.
        options: attributes of `Form` by name.

    Returns:
        The description: classes by output, or the number and its formula, input shape, scaling, and
        which posterior it is of.

    Raises:
        ExportError: there is no such export, or it is not said which replicate is meant.
        PosteriorError: the file cannot be used, or the network's code is not that of the fit.
    """
    form = Form(**options)
    if what != "mean" or form.format not in FORMATS:
        raise ExportError(
            f"export of {what!r} as {form.format!r}: allowed: 'mean' as {list(FORMATS)}"
        )
    chosen = None if form.replicate is None else [form.replicate]
    found = open_replicates(posterior, chosen, form.model)
    if len(found) > 1:
        numbers = ", ".join(str(one.number) for one in found)
        raise ExportError(f"{found[0].of.file}: name one of its replicates, {numbers}")
    (one,) = found
    if one.of.table is not None and form.format == "torch-export":
        raise ExportError(
            f"{one.of.file}: was fitted to a table, whose network is exported as 'safetensors' "
            "alone: its columns are encoded and scaled before it"
        )
    if is_ensemble(one.state):
        raise ExportError(
            f"{one.of.file}: holds an ensemble, which has no network of its mean; `incbayes "
            "predict` predicts with all its members"
        )
    check_code(one.of, one.number, one.state)
    network = mean_network(one.of.architecture(one.number), one.of.family, one.state)
    about = _about(one, form.format)
    text = json.dumps(about, sort_keys=True)
    with atomic_write(path) as partial:
        if form.format == "safetensors":
            state = {key: value.contiguous() for key, value in network.state_dict().items()}
            partial.write_bytes(save(state, {METADATA_KEY: text}))
        else:
            with open(partial, "wb") as file:  # torch minds the ending of a path
                torch.export.save(_program(one, network), file, extra_files={EXTRA_FILE: text})
    return about


class Scaled(nn.Module):
    """A network behind the scaling of its pixels and in front of its likelihood."""

    def __init__(self, network: nn.Module, one: Replicate):
        """Take the scaling and the likelihood of a replicate."""
        super().__init__()
        self.network = network
        self.scaling = PIXELS.build(one.of.pixels)
        self.numbers = one.of.numbers[one.number]
        self.likelihood: Likelihood = one.of.likelihood

    def forward(self, images: Tensor) -> Tensor:
        """Return ln p(y | x), float64 [N, K], of pixels uint8 [N, C, H, W]."""
        scaled = self.scaling.scale(images, self.numbers)
        return self.likelihood.log_probabilities(self.network(scaled))


def _program(one: Replicate, network: nn.Module) -> torch.export.ExportedProgram:
    """Return the network as a program for any number of images."""
    example = torch.zeros(2, *one.of.shape, dtype=torch.uint8)
    dynamic = ({0: torch.export.Dim("images", min=1)},)
    scaled = Scaled(network, one).eval().requires_grad_(False)
    with one.of.architecture(one.number).blamed("exported"):
        return torch.export.export(scaled, (example,), dynamic_shapes=dynamic)


def _about(one: Replicate, format: str) -> dict[str, Any]:
    """Return the description: what goes in, what comes out, and what it is the mean of."""
    said, table, unit = one.of.metadata, one.of.table, one.of.unit(one.number)
    classes = one.of.classes[one.number]
    predicted: dict[str, Any] = {"classes": list(classes)}
    if unit is not None:
        predicted = {"target": {"name": classes[0], "mean": unit.mean, "std": unit.std}}
    return {
        "artifact": "posterior mean",
        **predicted,
        "family": said["network"]["family"],
        "input": _input(one, format),
        "likelihood": said["network"]["likelihood"],
        **({} if table is None else {"table": table.facts}),
        "model": dict(one.of.model),
        "output": _output(one, format),
        "posterior_sha256": one.of.sha256,
        "replicate": one.number,
        **{key: said[key] for key in ("study", "experiment", "method", "T", "t")},
    }


def _input(one: Replicate, format: str) -> dict[str, Any]:
    """Return what goes in: its shape, and how it is scaled, by numbers of the inputs alone."""
    numbers, table = one.of.numbers[one.number], one.of.table
    scaling: dict[str, Any] = dict(one.of.pixels)
    if numbers is not None:
        # Those of a target that is a number come last.
        count = len(numbers.mean) if table is None else len(table.names)
        scaling |= {"mean": list(numbers.mean[:count]), "std": list(numbers.std[:count])}
    scaling["of stored pixels x" if table is None else "of columns x"] = PIXELS.build(
        one.of.pixels
    ).formula
    return {
        "pixels": "stored, uint8" if format == "torch-export" else "scaled, float32",
        **({} if table is None else {"columns": list(table.names)}),
        "scaling": scaling,
        "shape": ["N", *one.of.shape],
    }


def _output(one: Replicate, format: str) -> str:
    if format == "torch-export":
        return "ln p(y | x), float64 [N, K], in nats"
    outputs = one.of.architecture(one.number).outputs
    inputs = "pixels" if one.of.table is None else "columns"
    return f"of scaled {inputs}, [N, {outputs}]: {one.of.likelihood.meaning()}"
