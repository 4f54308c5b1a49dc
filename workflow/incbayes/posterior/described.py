"""What a posterior file says of the network it is of, checked before anything is built from it.

A file names kinds; whose code they are the library's registry says, or the caller, never the file.
Whatever a forged one states ends in one line, and takes no memory that the file itself does not.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args

import torch
from torch import Tensor

from incbayes.data.columns import TableColumns
from incbayes.data.image_file import MODES, Convert, Resize, Wanted
from incbayes.data.image_reading import LARGEST_SIDE
from incbayes.data.part import Unit
from incbayes.data.pixels import PixelStatistics
from incbayes.families.base import Family
from incbayes.families.mixed import ALL, LAST_LAYER, mixed
from incbayes.kinds import FAMILIES, LIKELIHOODS, MODELS
from incbayes.likelihoods.base import Likelihood
from incbayes.networks.layers import Layer, State, layers_of
from incbayes.posterior.build import Architecture, fresh_network, layers_without_weights
from incbayes.posterior.described_table import described_columns
from incbayes.posterior.file import Posterior, PosteriorError, shown
from incbayes.posterior.members import members_of
from incbayes.posterior.network import NetworkState
from incbayes.study.messages import is_finite
from incbayes.study.schema import check, fill, kind_constraints, kind_schema
from incbayes.study.yaml import StudyError

LONGEST = 10_000
"""Characters of a kind with its options, as JSON."""

MOST_CLASSES = 100_000

MOST_VALUES = max(MODES) * LARGEST_SIDE**2
"""Of one input: those of the largest image; a network of the caller's own is tried on a few."""

STANDARDISED = ("standard", "columns")
"""Scalings that always take a mean and a standard deviation."""

NAMES = ("study", "experiment", "method")
MOST = {"T": 10_000, "t": 10_000, "seed": 2**63 - 1}
"""Whole numbers that a posterior states, and the largest that each may be."""


@dataclass(frozen=True)
class Described:
    """What a posterior's metadata say of how it predicts.

    Attributes:
        file: how errors name it.
        sha256: digest of the whole file.
        metadata: all of them.
        model: `{"kind": …, options}`.
        shape: [C, H, W] of an image.
        family: with its options.
        likelihood: of the labels, or of the number that is predicted.
        pixels: `{"kind": …, options}` of the scaling.
        numbers: that it takes, by replicate; None where it takes none.
        classes: names in the order of the outputs, by replicate.
        decoding: how image files become images of the shape, as in training.
        table: the columns of a table; None of images.
        own: class that builds the network in place of the registered one.
    """

    file: str
    sha256: str
    metadata: Mapping[str, Any]
    model: Mapping[str, Any]
    shape: tuple[int, ...]
    family: Family
    likelihood: Likelihood
    pixels: Mapping[str, Any]
    numbers: Mapping[int, PixelStatistics | None]
    classes: Mapping[int, tuple[str, ...]]
    decoding: Wanted
    table: TableColumns | None
    own: type | None

    def architecture(self, replicate: int) -> Architecture:
        """Return the network of a replicate."""
        outputs = self.likelihood.outputs(len(self.classes[replicate]))
        return Architecture(self.model, self.shape, outputs, self.own)

    def unit(self, replicate: int) -> Unit | None:
        """Return by what the target was standardised, where it is a number; None of classes."""
        numbers = self.numbers[replicate]
        if self.table is None or self.table.classes is not None or numbers is None:
            return None
        return Unit(numbers.mean[-1], numbers.std[-1])


def described(file: str, posterior: Posterior, own: type | None = None) -> Described:
    """Return what a posterior says of how it predicts, all of it checked.

    Args:
        file: how errors name it.
        posterior: as read.
        own: class that builds the network in place of the registered one; the caller's own.

    Raises:
        PosteriorError: naming the file and the key that is missing, unknown or out of its limits,
            or the layer whose tensors are not those of the network.
        KindError: the network's code fails.
    """
    metadata = posterior.metadata
    if metadata.get("artifact") != "posterior":
        raise PosteriorError(
            f"{file}: artifact is {shown(metadata.get('artifact'))}, expected 'posterior'"
        )
    network = metadata.get("network")
    if not isinstance(network, dict):
        raise PosteriorError(f"{file}: network is {shown(network)}, expected a mapping")
    table = described_columns(file, metadata.get("table"), network.get("shape"))
    shape = _shape(file, network.get("shape")) if table is None else (len(table.names), 1, 1)
    number = table is not None and table.classes is None
    model = _own_spec(file, network.get("model")) if own else _spec(file, "model", network)
    specs = {key: _spec(file, key, network) for key in ("family", "likelihood")}
    likelihood = _likelihood(file, specs["likelihood"], number)
    pixels, numbers = _pixels(file, metadata, shape[0] + number, list(posterior.states))
    _check_scaling(file, pixels["kind"], table is not None)
    classes = _classes(file, metadata.get("class_names"), list(posterior.states), 2 - number)
    _check_identity(file, metadata)
    found = Described(
        file,
        posterior.sha256,
        metadata,
        model,
        shape,
        mixed(FAMILIES.build(specs["family"]), *_layers_of_family(file, network)),
        likelihood,
        pixels,
        numbers,
        classes,
        _decoding(file, metadata.get("decoding", {}), shape),
        table,
        own,
    )
    for replicate, state in posterior.states.items():
        _check_state(found, replicate, state)
    return found


def _layers_of_family(file: str, network: Mapping[str, Any]) -> tuple[str | list[str], str]:
    """Return over which layers the family is, and what normalisation is; as usual if not said."""
    bayesian, normalisation = network.get("bayesian", ALL), network.get("normalisation", "point")
    listed = isinstance(bayesian, list) and all(isinstance(name, str) for name in bayesian)
    if not listed and bayesian not in (ALL, LAST_LAYER):
        raise PosteriorError(
            f"{file}: bayesian is {shown(bayesian)}, expected {ALL}, {LAST_LAYER} or names"
        )
    if normalisation not in ("point", "variational"):
        raise PosteriorError(
            f"{file}: normalisation is {shown(normalisation)}, expected point or variational"
        )
    return bayesian, normalisation


def _spec(file: str, key: str, section: Mapping[str, Any]) -> dict[str, Any]:
    """Return a registered kind with its options, within their limits; imports nothing."""
    value = section.get(key)
    text = json.dumps(value)
    if not isinstance(value, dict) or len(text) > LONGEST:
        raise PosteriorError(
            f"{file}: {key} is {shown(value)}, expected a kind with its options, "
            f"{LONGEST} characters at most"
        )
    node = kind_schema(key)
    try:
        check(value, node)
    except StudyError as error:
        known = f"{file}: {key}: {error}"
        kind = value.get("kind")
        if key == "model" and isinstance(kind, str) and kind not in MODELS:
            raise PosteriorError(f"{known}; or name its code: --model FILE.py:Class") from None
        raise PosteriorError(known) from None
    filled: dict[str, Any] = fill(value, node)
    return filled


def _own_spec(file: str, value: Any) -> dict[str, Any]:
    """Return the model as the file has it; its options are the affair of the caller's class."""
    named = isinstance(value, dict) and isinstance(value.get("kind"), str)
    if not named or len(json.dumps(value)) > LONGEST:
        raise PosteriorError(f"{file}: model is {shown(value)}, expected a kind with its options")
    spec: dict[str, Any] = value
    return spec


def _shape(file: str, value: Any) -> tuple[int, ...]:
    whole = isinstance(value, list) and len(value) == 3 and all(type(side) is int for side in value)
    sides = whole and all(1 <= side <= LARGEST_SIDE for side in value)
    if not sides or math.prod(value) > MOST_VALUES:
        raise PosteriorError(
            f"{file}: shape is {shown(value)}, expected [C, H, W], each 1 to {LARGEST_SIDE}, "
            f"{MOST_VALUES} values at most"
        )
    return tuple(value)


def _pixels(
    file: str, metadata: Mapping[str, Any], channels: int, replicates: list[int]
) -> tuple[dict[str, Any], dict[int, PixelStatistics | None]]:
    """Return the scaling, and the numbers that it takes of each replicate's images."""
    stated = metadata.get("pixels")
    if not isinstance(stated, dict):
        raise PosteriorError(f"{file}: pixels is {shown(stated)}, expected a kind")
    options = {key: value for key, value in stated.items() if key not in ("mean", "std")}
    pixels = _spec(file, "pixels", {"pixels": options})
    if "mean" not in stated and "std" not in stated and pixels["kind"] not in STANDARDISED:
        return pixels, dict.fromkeys(replicates)
    numbers: dict[int, PixelStatistics | None] = {}
    for replicate in replicates:
        found = []
        for key, least in (("mean", -math.inf), ("std", 0.0)):
            of_all = stated.get(key)
            values: Any = of_all.get(str(replicate)) if isinstance(of_all, dict) else None
            if not _are_numbers(values, channels, least):
                raise PosteriorError(
                    f"{file}: {key} of replicate {replicate} is {shown(values)}, expected "
                    f"{channels} finite numbers" + (" greater than 0" if key == "std" else "")
                )
            found.append(values)
        numbers[replicate] = PixelStatistics(*found)
    return pixels, numbers


def _decoding(file: str, value: Any, shape: tuple[int, ...]) -> Wanted:
    """Return how files become images of a shape; as they are, where the metadata do not say."""
    allowed = {"resize": get_args(Resize), "convert": get_args(Convert), "background": range(256)}
    whole = isinstance(value, dict) and value.keys() <= allowed.keys()
    for key, given in value.items() if whole else ():
        whole = whole and not isinstance(given, bool | float) and given in allowed[key]
    if not whole:
        raise PosteriorError(
            f"{file}: decoding is {shown(value)}, expected options of an image_folder: "
            f"{', '.join(allowed)}"
        )
    return Wanted(shape, **value)  # type: ignore[arg-type]  # of images, [C, H, W]


def _are_numbers(values: Any, count: int, least: float) -> bool:
    return (
        isinstance(values, list)
        and len(values) == count
        and all(is_finite(v) and v > least for v in values)
    )


def _likelihood(file: str, spec: Mapping[str, Any], number: bool) -> Likelihood:
    """Return the likelihood, checked to be of what the target is: a number, or classes."""
    likelihood: Likelihood = LIKELIHOODS.build(spec)
    if (likelihood.constraints.get("predicts", "classes") == "number") != number:
        target = "a number" if number else "one of classes"
        raise PosteriorError(
            f"{file}: likelihood is {shown(spec['kind'])}, but the target is {target}"
        )
    return likelihood


def _check_scaling(file: str, kind: str, of_table: bool) -> None:
    """Check that columns are scaled as columns, and pixels as pixels."""
    if (kind_constraints("pixels", kind).get("of") == "columns") != of_table:
        what = "a table" if of_table else "images"
        raise PosteriorError(f"{file}: pixels is {shown(kind)}, but it was fitted to {what}")


def _classes(
    file: str, value: Any, replicates: list[int], least: int
) -> dict[int, tuple[str, ...]]:
    found = {}
    for replicate in replicates:
        names: Any = value.get(str(replicate)) if isinstance(value, dict) else None
        whole = isinstance(names, list) and all(isinstance(name, str) for name in names)
        most = MOST_CLASSES if least > 1 else 1
        if not whole or not least <= len(set(names)) == len(names) <= most:
            expected = "2 or more different names" if least > 1 else "the target's name"
            raise PosteriorError(
                f"{file}: class_names of replicate {replicate} is {shown(names)}, expected "
                f"{expected}"
            )
        found[replicate] = tuple(names)
    return found


def _check_identity(file: str, metadata: Mapping[str, Any]) -> None:
    for key in NAMES:
        if not isinstance(metadata.get(key), str):
            raise PosteriorError(f"{file}: {key} is {shown(metadata.get(key))}, expected text")
    for key, most in MOST.items():
        value = metadata.get(key)
        if type(value) is not int or not 0 <= value <= most:
            raise PosteriorError(
                f"{file}: {key} is {shown(value)}, expected a whole number of at most {most}"
            )


def _check_state(of: Described, replicate: int, state: NetworkState) -> None:
    """Check that the tensors of a replicate are those of the network, before that is built."""
    architecture = of.architecture(replicate)
    if of.own is None:
        layers = layers_without_weights(architecture)
    else:
        layers = layers_of(fresh_network(architecture, 0))
    if [layer.name for layer in layers] != list(state):
        raise PosteriorError(
            f"{of.file}: holds the layers {shown(list(state))}, but its model has "
            f"{shown([layer.name for layer in layers])}"
        )
    for member in members_of(state):
        for layer in layers:
            _check_layer(of, layer, member[layer.name])


def _check_layer(of: Described, layer: Layer, state: State) -> None:
    """Check that a layer's state has the tensors of its family, whatever else it has."""
    kind = of.metadata["network"]["family"]["kind"]
    with torch.device("meta"), FAMILIES.blamed(kind, f"written for layer {layer.name}"):
        plain = {key: torch.ones(shape) for key, shape in layer.shapes.items()}
        expected = of.family.from_gaussian(layer, plain, plain)
        width = layer.weight_shape[:1] or tuple(_first(state).shape)
        expected |= {key: torch.ones(width) for key in layer.buffers}
    for key, tensor in expected.items():
        found = _form(state[key]) if key in state else f"absent, it holds {shown(sorted(state))}"
        if found != _form(tensor):
            raise PosteriorError(
                f"{of.file}: layer {layer.name}: {key} is {found}, expected {_form(tensor)} "
                f"for the family {kind}"
            )


def _first(state: State) -> Tensor:
    return next(iter(state.values()), torch.zeros(0))


def _form(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {list(tensor.shape)}"
