"""Images of one's own: a folder, a zip or a tar archive of `split/class/image`.

Knows how the images have to lie and how a file becomes pixels; what the set holds is stated in
the study, so that it is checked before anything is read, and then against what is found.
"""

import io
import math
import warnings
from collections.abc import Iterable
from dataclasses import MISSING, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from incbayes.data.image_source import Limits, entries
from incbayes.data.raw import DataError, RawSplits
from incbayes.options import option

SPLITS = ("train", "test")
FORMATS = ("BMP", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
MODES = {1: "L", 3: "RGB"}
"""How Pillow names grey and colour pixels of one byte a channel, by the number of channels."""

BYTES_PER_VALUE = 4
"""What a file may take for each value of its image; an uncompressed one takes 1."""

METADATA = 2**20
"""Bytes that one file may take on top, for headers, colour profiles and thumbnails."""

MEAN_METADATA = 2**16
"""Bytes that files may take on top on average, those that are skipped included."""

LARGEST_SIDE = 1024
"""Pixels; the networks here are for small images."""

SHOWN = 5
"""Names of an error's list that are written out."""

Parts = tuple[str, ...]
"""A path below the source."""

Place = tuple[str, int]
"""Split and row of an image."""


@dataclass(frozen=True)
class ImageFolder:
    """Your own images: a folder, zip or tar archive of `train/CLASS/IMAGE` and `test/CLASS/IMAGE`.

    One enclosing folder is allowed, hidden files are skipped, and anything else that lies
    elsewhere is refused. Images are ordered by class, then by name, whatever the order on the
    disk, and are never scaled or converted.
    """

    source: str = option(
        MISSING,
        "The folder, or the archive (.zip, .tar, .tar.gz or .tgz): its path, relative to `data_root` "
        "or absolute.",
    )
    shape: list[int] = option(
        MISSING,
        "Channels (1 grey, 3 colour), height and width of every image, e.g. `[3, 32, 32]`.",
        minItems=3,
        minimum=1,
        maximum=LARGEST_SIDE,
    )
    classes: list[str] = option(
        MISSING,
        "Names of the folders of the classes; the number of a class is its place in this list, "
        "from 0.",
        minItems=2,
    )
    train: int = option(MISSING, "Number of images in `train`.", minimum=1)
    test: int = option(MISSING, "Number of images in `test`.", minimum=1)

    @property
    def constraints(self) -> dict[str, Any]:
        """Shape, classes and sizes of the set, as the study states them."""
        return {
            "shape": self.shape,
            "classes": self.classes,
            "train": self.train,
            "test": self.test,
        }

    def load(self, data_root: Path) -> RawSplits:
        """Return the images and labels; the source is read twice, and nothing is extracted.

        Raises:
            DataError: naming the source, and the file or folder in it that is not as stated.
        """
        source = Path(data_root) / self.source
        places = self._places(source)
        images = {
            split: np.empty((getattr(self, split), *self.shape), np.uint8) for split in SPLITS
        }
        labels = {split: np.empty(getattr(self, split), np.int64) for split in SPLITS}
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            for entry in entries(source, self._limits()):
                if entry.parts in places:
                    split, row = places.pop(entry.parts)
                    where = f"{source}: {'/'.join(entry.parts)!r}"
                    images[split][row] = self._pixels(entry.read(), where)
                    labels[split][row] = self.classes.index(entry.parts[-2])
        if places:
            raise DataError(f"{source}: {_some(map('/'.join, places))} vanished while it was read")
        return RawSplits(images["train"], labels["train"], images["test"], labels["test"])

    def _limits(self) -> Limits:
        values = BYTES_PER_VALUE * math.prod(self.shape)
        return Limits(METADATA + values, (self.train + self.test) * (MEAN_METADATA + values))

    def _places(self, source: Path) -> dict[Parts, Place]:
        """Return split and row of every image by its path, ordered by class and name.

        Raises:
            DataError: the folders, the classes or the numbers of images are not as stated.
        """
        listing = [(entry.parts, entry.is_folder) for entry in entries(source, self._limits())]
        outer = _enclosing(parts for parts, _ in listing)
        images: dict[str, list[Parts]] = {split: [] for split in SPLITS}
        classes: dict[str, set[str]] = {}
        for parts, is_folder in listing:
            inner = parts[len(outer) :]
            _check_place(source, parts, inner, is_folder)
            if inner:
                classes.setdefault(inner[0], set()).update(inner[1:2])
            if not is_folder:
                images[inner[0]].append(parts)
        for split in SPLITS:
            self._check_split(source, split, classes.get(split), images[split])
        numbers = {name: number for number, name in enumerate(self.classes)}
        return {
            parts: (split, row)
            for split in SPLITS
            for row, parts in enumerate(
                sorted(images[split], key=lambda parts: (numbers[parts[-2]], parts[-1]))
            )
        }

    def _check_split(
        self, source: Path, split: str, classes: set[str] | None, images: list[Parts]
    ) -> None:
        """Check the classes and the number of images of a split against what is stated."""
        if classes is None:
            raise DataError(f"{source}: has no folder {split}; expected train/CLASS, test/CLASS")
        where = f"{source}: {split}"
        stated, filled = set(self.classes), {parts[-2] for parts in images}
        if classes - stated:
            raise DataError(
                f"{where} holds the classes {_some(classes - stated)}, which the key classes "
                f"does not name; it names {_some(self.classes)}"
            )
        if stated - classes:
            raise DataError(f"{where} lacks the classes {_some(stated - classes)} (key classes)")
        if stated - filled:
            raise DataError(f"{where}: no image in the classes {_some(stated - filled)}")
        if len(images) != getattr(self, split):
            raise DataError(
                f"{where} holds {len(images)} images, expected {getattr(self, split)} (key {split}): "
                "an incomplete source, or another number is meant"
            )

    def _pixels(self, content: bytes, where: str) -> np.ndarray:
        """Return the pixels of an image file, uint8 [C, H, W].

        Size and mode are compared before anything is decoded: a file cannot ask for more
        memory than its stated shape takes.
        """
        channels, height, width = self.shape
        expected = f"{width}x{height} pixels, {MODES[channels]}"
        try:
            with Image.open(io.BytesIO(content), formats=FORMATS) as image:
                found = f"{image.width}x{image.height} pixels, {image.mode}"
                frames = getattr(image, "n_frames", 1)
                if found == expected and frames == 1:
                    return np.asarray(image).reshape(height, width, channels).transpose(2, 0, 1)
        except UnidentifiedImageError:
            raise DataError(f"{where} is no image; allowed: {', '.join(FORMATS)}") from None
        except Exception as error:  # whatever the decoder of a format raises
            cause = " ".join(f"{type(error).__name__}: {error}".split())
            raise DataError(f"{where} cannot be decoded ({cause})") from error
        several = f", {frames} frames" if frames > 1 else ""
        raise DataError(f"{where} has {found}{several}; expected {expected} (key shape)")


def _enclosing(paths: Iterable[Parts]) -> Parts:
    """Return the one folder that everything lies in, where that is no split; else nothing."""
    heads = {parts[:1] for parts in paths}
    return heads.pop() if len(heads) == 1 and heads.isdisjoint({(s,) for s in SPLITS}) else ()


def _check_place(source: Path, parts: Parts, inner: Parts, is_folder: bool) -> None:
    """Refuse what is neither `split/class/image` nor a folder on the way."""
    right_depth = len(inner) <= 2 if is_folder else len(inner) == 3
    if not right_depth or (inner and inner[0] not in SPLITS):
        kind = "folder" if is_folder else "file"
        raise DataError(
            f"{source}: the {kind} {'/'.join(parts)!r} has no place; expected train/CLASS/IMAGE and "
            "test/CLASS/IMAGE, in one enclosing folder or none"
        )


def _some(names: Iterable[str]) -> str:
    """Return a list of names as text, sorted, the first few written out."""
    first = sorted(names)
    more = f" and {len(first) - SHOWN} more" if len(first) > SHOWN else ""
    return ", ".join(map(repr, first[:SHOWN])) + more
