"""Predicts for images with the posteriors of a stage, as its scoring does."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from tqdm import tqdm

from incbayes.core.device import prepare_device
from incbayes.core.errors import UserError
from incbayes.data.columns import TableColumns
from incbayes.data.image_file import Wanted
from incbayes.data.table_file import check_columns, read_tables, rows_of
from incbayes.inference.stage import StreamKeys
from incbayes.kinds import FAMILIES, PIXELS
from incbayes.posterior.predict import Passes, Predictor, predictions_of
from incbayes.posterior.probe import check_code
from incbayes.prediction.images import Images, given_images, read_images
from incbayes.prediction.mixture import Mixture, Uncertainty
from incbayes.prediction.numbers import NumberPredictions, of_mixtures
from incbayes.prediction.opened import Given, Replicate, check_same_classes, open_replicates

Asked: TypeAlias = str | Path | Sequence[str | Path] | np.ndarray | Tensor | pd.DataFrame
"""What may be asked about."""

VALUES_AT_ONCE = 2**26
"""Scaled pixels that are held at once, 256 MiB of them."""

LARGEST_SEED = 2**63 - 1


class AskedError(UserError, ValueError):
    """A prediction that is asked for in numbers that make no sense."""


@dataclass(frozen=True)
class How:
    """How to predict.

    Attributes:
        samples: draws S of each replicate; a posterior without a scale, `point`, has one network.
        seed: of the draws; None for the study's, by which they are those of its scoring.
        device: `auto`, `cpu` or `cuda`.
        batch_size: images at a time.
        model: `FILE.py:Class` that builds the network in place of the registered one.
        replicates: those that predict; None for all.
        progress: whether to show a bar on a terminal.
    """

    samples: int = 100
    seed: int | None = None
    device: str = "auto"
    batch_size: int = 512
    model: str | None = None
    replicates: Sequence[int] | None = None
    progress: bool = False

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            AskedError: naming the first that makes no sense.
        """
        for name, least, value in (
            ("samples", 1, self.samples),
            ("batch_size", 1, self.batch_size),
            ("seed", 0, 0 if self.seed is None else self.seed),
        ):
            if type(value) is not int or not least <= value <= LARGEST_SEED:
                raise AskedError(
                    f"{name}: found {value!r}, expected a whole number of at least {least}"
                )


@dataclass(frozen=True, eq=False)
class Predictions:
    """What was predicted for N images of K classes; float64, in nats.

    Attributes:
        names: path of each image, or its number.
        classes: names of the classes, [K].
        log_probabilities: of the mixture of all draws, [N, K].
        entropy: of the predictive, [N].
        data_uncertainty: mean entropy of a draw, [N].
        mutual_information: of label and weights, `entropy` minus `data_uncertainty`, [N].
        replicates: those that predicted.
        samples: draws of each.
        noun: what was predicted for.
    """

    names: tuple[str, ...]
    classes: tuple[str, ...]
    log_probabilities: np.ndarray
    entropy: np.ndarray
    data_uncertainty: np.ndarray
    mutual_information: np.ndarray
    replicates: tuple[int, ...]
    samples: int
    noun: str = "image"

    @property
    def probabilities(self) -> np.ndarray:
        """p(y | x), [N, K]."""
        return np.exp(self.log_probabilities)

    @property
    def predicted(self) -> list[str]:
        """The most probable class of each image; the first of those that are equally probable."""
        return [self.classes[number] for number in self.log_probabilities.argmax(1)]

    @property
    def unit(self) -> str:
        """Of the uncertainties, in words."""
        return "nats"

    def shown(self) -> list[tuple[str, list[str]]]:
        """Return heads and columns of text for reading."""
        numbers = {
            "probability": self.probabilities.max(1),
            "entropy": self.entropy,
            "of data": self.data_uncertainty,
            "of weights": self.mutual_information,
        }
        texts = [(head, [f"{value:.4f}" for value in column]) for head, column in numbers.items()]
        return [(self.noun, list(self.names)), ("class", self.predicted), *texts]

    def frame(self) -> pd.DataFrame:
        """Return one row an image: `path`, `predicted`, uncertainties in nats, `p_CLASS` each."""
        columns: dict[str, Any] = {
            "path": list(self.names),
            "predicted": self.predicted,
            "entropy": self.entropy,
            "data_uncertainty": self.data_uncertainty,
            "mutual_information": self.mutual_information,
        }
        of_classes = zip(self.classes, self.probabilities.T, strict=True)
        return pd.DataFrame(columns | {f"p_{name}": column for name, column in of_classes})


def predict(
    posterior: Given | Sequence[Given],
    images: Asked,
    **options: Any,
) -> Predictions | NumberPredictions:
    """Predict for images with a posterior: the equal mixture of draws of all its replicates.

    Pixels are scaled as in training, each replicate's by its own numbers, which the posterior
    states. Of a posterior that was fitted to a table these are its rows; where the target is a
    number, what is returned is of one.

    Args:
        posterior: one file, or several of other replicates of the same chain and stage; or what
            `read_posterior` returned.
        images: paths of image files, folders and archives; or pixels, uint8 [N, C, H, W]. Of a
            table paths of CSV and Parquet files with its features, or a data frame.
        options: attributes of `How` by name.

    Raises:
        PosteriorError: a file cannot be used, replicates are of different tasks, or the network's
            code is not that of the fit.
        DataError: in one line, every image that cannot be used.
        UserError: an option makes no sense, the device is absent, or a prediction is not finite.
    """
    how = How(**options)
    replicates = open_replicates(posterior, how.replicates, how.model)
    check_same_classes(replicates)
    for one in replicates:
        check_code(one.of, one.number, one.state)
    shape = replicates[0].of.shape
    device = prepare_device(how.device, torch.get_num_threads())
    table = replicates[0].of.table
    found = _found_images(images, replicates[0].of.decoding, how, table)
    mixing = _Mixing(replicates, how, device)
    numbers = tuple(one.number for one in replicates)
    of_number = table is not None and table.classes is None
    values = 2 * len(replicates) * mixing.samples if of_number else 1
    size = max(how.batch_size, VALUES_AT_ONCE // max(prod(shape), values))
    chunks = torch.from_numpy(found.pixels).split(size)
    total = len(chunks) * len(replicates) * mixing.samples
    if table is not None and of_number:
        with _bar(how, total=total, desc="draws") as bar:
            mixtures = [mixing.gaussians(chunk, bar) for chunk in chunks]
        return of_mixtures(mixtures, (found.names, table.target, numbers, mixing.samples))
    with _bar(how, total=total, desc="draws") as bar:
        parts = [mixing.of(chunk, bar) for chunk in chunks]
    log_probabilities, entropy, data, mutual = (
        torch.cat([getattr(part, name) for part in parts]).cpu().numpy()
        for name in ("log_probabilities", "entropy", "data", "mutual_information")
    )
    classes = replicates[0].of.classes[replicates[0].number]
    return Predictions(
        found.names,
        classes,
        log_probabilities,
        entropy,
        data,
        mutual,
        numbers,
        mixing.samples,
        "image" if table is None else "row",
    )


class _Mixing:
    """Predicts for images with all draws of all replicates.

    Attributes:
        samples: draws of each replicate.
    """

    def __init__(self, replicates: Sequence[Replicate], how: How, device: torch.device):
        first = replicates[0]
        self._replicates, self._how, self._device = replicates, how, device
        self._predictor = Predictor(
            first.of.architecture(first.number),
            first.of.family,
            Passes(device, how.batch_size),
            first.of.likelihood,
        )
        self._kind = first.of.metadata["network"]["family"]["kind"]
        number = self._predictor.number_of_draws(first.state, how.samples)
        self._drawn, self.samples = number is not None, number or 1

    def of(self, pixels: Tensor, bar: tqdm) -> Uncertainty:
        """Return what all draws say of images, uint8 [N, C, H, W]; the same draws at every call."""
        mixture = Mixture()
        for _, log_probabilities in self._all_draws(pixels, bar):
            mixture.add(log_probabilities)
        return mixture.result()

    def gaussians(self, rows: Tensor, bar: tqdm) -> Tensor:
        """Return what all draws say of a number: mean and deviation in its unit, [N, M, 2]."""
        found = []
        for one, drawn in self._all_draws(rows, bar):
            unit = one.of.unit(one.number)
            if unit is None:
                raise RuntimeError(f"{one.of.file}: a number without a unit")
            mean, sigma = drawn.unbind(-1)
            found.append(torch.stack([mean * unit.std + unit.mean, sigma * unit.std], -1))
        return torch.cat(found, 1)

    def _all_draws(self, pixels: Tensor, bar: tqdm) -> Iterator[tuple[Replicate, Tensor]]:
        for one in self._replicates:
            scaled = PIXELS.build(one.of.pixels).scale(pixels, one.of.numbers[one.number])
            if scaled.shape[1] > 1:
                scaled = scaled.contiguous(memory_format=torch.channels_last)
            name = f"{one.of.file}, replicate {one.number}"
            with predictions_of(name), FAMILIES.blamed(self._kind, "drawn from"):
                for drawn in self._draws(one, scaled.to(self._device)):
                    yield one, drawn
                    bar.update()

    def _draws(self, one: Replicate, images: Tensor) -> Iterator[Tensor]:
        if not self._drawn:
            return iter([self._predictor.mean(one.state, images)])
        generator = _stream(one, self._how.seed, self._device)
        return self._predictor.draws(one.state, images, self.samples, generator)


def _stream(one: Replicate, seed: int | None, device: torch.device) -> torch.Generator:
    """Return the draws' generator; with the study's seed that of the stage's scoring."""
    said = one.of.metadata
    seed = said["seed"] if seed is None else seed
    count = None if "part" in said else said["T"]  # a stream has no T that decides a number
    keys = StreamKeys(seed, said["experiment"], count, said["t"])
    return keys.stream(one.number)("prediction", device=device)


def _found_images(images: Asked, wanted: Wanted, how: How, table: TableColumns | None) -> Images:
    if table is not None:
        return _found_rows(images, table)
    if isinstance(images, pd.DataFrame):
        raise AskedError("a data frame was given, but the posterior is of images")
    if isinstance(images, Tensor | np.ndarray):
        return given_images(
            np.asarray(images.cpu() if isinstance(images, Tensor) else images), wanted.shape
        )
    sources = [images] if isinstance(images, str | Path) else images
    with _bar(how, desc="images", unit=" images") as bar:
        return read_images([Path(source) for source in sources], wanted, bar.update)


def _found_rows(rows: Asked, table: TableColumns) -> Images:
    """Return the rows of a table; its target is not read."""
    if isinstance(rows, Tensor | np.ndarray):
        raise AskedError(
            "an array was given, but the posterior is of a table: give CSV or Parquet files, or a "
            "data frame with its features"
        )
    if isinstance(rows, pd.DataFrame):
        check_columns("data frame", list(rows.columns), table.features)
        values = {name: rows[name].tolist() for name in table.features}
        found = rows_of(values, "data frame", table, with_target=False)
        if not len(rows):
            raise AskedError("data frame: there is no row")
    else:
        sources = [rows] if isinstance(rows, str | Path) else rows
        found = read_tables([Path(source) for source in sources], table, with_target=False)
    return Images(found.names, found.inputs[:, :, None, None])


def _bar(how: How, **described: Any) -> tqdm:
    """Return a progress bar, shown on a terminal where it is asked for."""
    return tqdm(disable=None if how.progress else True, leave=False, **described)
