"""Reads and decodes the images of a source, all of them before it complains of any."""

import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import MISSING
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from incbayes.core.options import option
from incbayes.data.archives import Limits, entries, most_bytes
from incbayes.data.image_file import MOST_PIXELS, Faults, ImageFault, Wanted
from incbayes.data.image_tree import Parts
from incbayes.data.raw import DataError

BYTES_PER_VALUE = 4
"""What a file may take for each value of its image; an uncompressed one takes 1."""

BYTES_PER_PIXEL = 8
"""The same for a pixel of an image that is converted or resized: four channels of 16 bits."""

METADATA = 2**20
"""Bytes that one file may take on top, for headers, colour profiles and thumbnails."""

LARGEST_FILE = METADATA + BYTES_PER_PIXEL * MOST_PIXELS
"""Bytes of a file whose image may have any size."""

MEAN_METADATA = 2**16
"""Bytes that files may take on top on average, those that are skipped included."""

LARGEST_SIDE = 1024
"""Pixels; the networks here are for small images."""

Place = TypeVar("Place")


def image_limits(source: Path, wanted: Wanted, number: int | None) -> Limits:
    """Return what a source may hold of bytes.

    Args:
        source: a folder or an archive.
        wanted: what its images have to become.
        number: of images that it may hold; None where that is not known.
    """
    pixels = math.prod(wanted.shape[1:])
    values = BYTES_PER_VALUE * math.prod(wanted.shape)
    if wanted.convert == "allow":
        values = max(values, BYTES_PER_PIXEL * pixels)
    if wanted.resize != "refuse":
        file, way_out = LARGEST_FILE, ""
    else:
        file, way_out = METADATA + values, "; images of another size need the key resize"
    if wanted.resize == "refuse" and number is not None:
        total = number * (MEAN_METADATA + values)
    else:
        total = most_bytes(source)
    return Limits(file, total, way_out)


def source_option(what: str) -> Any:
    """Return the option `source` of a data set, which is `what`."""
    return option(
        MISSING,
        f"{what}: its path, relative to `data_root` or absolute; `~`, `$NAME` and `$$` as in "
        "`data_root`.",
    )


def shape_option() -> Any:
    """Return the option `shape` of a data set."""
    return option(
        MISSING,
        "Channels (1 grey, 3 colour), height and width of every image, e.g. `[3, 32, 32]`.",
        minItems=3,
        minimum=1,
        maximum=LARGEST_SIDE,
    )


def resize_option() -> Any:
    """Return the option `resize` of a data set."""
    return option(
        "refuse",
        "How an image of another size gets height and width of `shape`: `stretch` scales both "
        "sides, `crop` cuts the largest part in the middle that has the right proportions and "
        "scales that, `pad` scales the whole image to fit and fills what is left with "
        "`background`. Scaled by Pillow's bicubic filter, antialiased, from at most "
        f"{MOST_PIXELS} pixels; one that has the size already stays as it is.",
    )


def convert_option() -> Any:
    """Return the option `convert` of a data set."""
    return option(
        "refuse",
        "What to do with an image that is not grey or RGB of 8 bits, as `shape` says. With `allow` "
        "palettes, CMYK and YCbCr become RGB; what is transparent is laid over `background`; 16 "
        "bits of grey are divided by 257 and rounded, of 16 bits of colour the upper 8 are taken "
        "(in PPM files divided by 257); grey becomes RGB by repetition, and RGB grey by "
        "0.299 R + 0.587 G + 0.114 B. Colour profiles do not count.",
    )


def background_option() -> Any:
    """Return the option `background` of a data set."""
    return option(
        255,
        "Grey value beneath what is transparent, with `convert`, and beside what is padded, with "
        "`resize`: 0 is black, 255 white.",
        minimum=0,
        maximum=255,
    )


def read_images(
    source: Path,
    limits: Limits,
    places: Mapping[Parts, Place],
    wanted: Wanted,
    keep: Callable[[Parts, Place, np.ndarray], None],
) -> Counter[str]:
    """Decode the images of a source, and return how many were turned, resized and converted.

    Args:
        source: a folder or an archive.
        limits: of the sizes.
        places: of every image, by its path.
        wanted: what the files have to become.
        keep: takes path, place and pixels, uint8 [C, H, W], of each image.

    Raises:
        DataError: naming the files that cannot be taken.
    """
    waiting, faults, done = dict(places), Faults(source), Counter[str]()
    try:
        for entry in entries(source, limits):
            if entry.parts not in waiting:
                continue
            place = waiting.pop(entry.parts)
            try:
                decoded = wanted.decode(entry.read())
            except (ImageFault, DataError) as fault:
                faults.add("/".join(entry.parts), fault)
                continue
            keep(entry.parts, place, decoded.pixels)
            done.update(decoded.done)
        for parts in waiting:
            faults.add("/".join(parts), ImageFault("vanished while the source was read"))
    except DataError as fault:  # of the archive, of which nothing more can be read
        faults.add("", fault)
    if faults.count:
        raise faults.error()
    return done
