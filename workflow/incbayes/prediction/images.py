"""Images to predict for: from files, folders and archives, decoded as those of a data set are."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from incbayes.data.archives import READERS, Limits, entries
from incbayes.data.image_file import MODES, ImageFault, Wanted
from incbayes.data.image_reading import image_limits
from incbayes.data.raw import DataError

UNLIMITED = Limits(2**62, 2**62)
"""Of a folder, whose sizes are known before anything is read."""

OnImage = Callable[[], object]
"""Hears of every image that was read."""


@dataclass(frozen=True, eq=False)
class Images:
    """Images as they are stored.

    Attributes:
        names: path of each; one in an archive lies below the path of that.
        pixels: uint8 [N, C, H, W].
    """

    names: tuple[str, ...]
    pixels: np.ndarray


def given_images(pixels: np.ndarray, shape: Sequence[int]) -> Images:
    """Return images that are in memory, named by their number.

    Args:
        pixels: uint8 [N, C, H, W].
        shape: [C, H, W] that they must have.

    Raises:
        DataError: they are of another type or shape, or there is none.
    """
    expected = f"uint8 [N, {', '.join(map(str, shape))}]"
    if pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[1:] != tuple(shape):
        found = f"{pixels.dtype} {list(pixels.shape)}"
        raise DataError(f"images are {found}, expected {expected}: pixels of 0 to 255, unscaled")
    if len(pixels) == 0:
        raise DataError("images: there is none")
    return Images(tuple(map(str, range(len(pixels)))), np.ascontiguousarray(pixels))


def read_images(
    sources: Sequence[Path], wanted: Wanted, on_image: OnImage = lambda: None
) -> Images:
    """Return the images of all sources, each source's sorted by path; nothing is unpacked.

    Args:
        sources: image files, folders with whatever depth, and archives (.zip, .tar, .tar.gz,
            .tgz). Hidden files are skipped; all others have to be images.
        wanted: what every image has to become, as it was in training.
        on_image: hears of every image that was read.

    Raises:
        DataError: in one line, every file that is no image of this shape, and every source that
            cannot be read.
    """
    shape = wanted.shape
    if shape[0] not in MODES:
        raise DataError(
            f"images of {shape[0]} channels are in no image file; pass them as an array"
        )
    found: list[tuple[str, np.ndarray]] = []
    bad: list[str] = []
    for source in sources:
        of_source: dict[tuple[str, ...], np.ndarray] = {}
        try:
            for parts, read in _files(source, image_limits(source, wanted, None)):
                where = f"{source}: {'/'.join(parts)!r}" if parts else str(source)
                try:
                    of_source[parts] = wanted.decode(read()).pixels
                    on_image()
                except ImageFault as fault:
                    hint = f"; expected {shape[2]}x{shape[1]} pixels, {MODES[shape[0]]}"
                    bad.append(f"{where} {fault}{hint}")
                except DataError as error:
                    bad.append(str(error))
        except DataError as error:
            bad.append(str(error))
        found += [
            (_text("/".join((str(source), *parts))), of_source[parts])
            for parts in sorted(of_source)
        ]
    if bad:
        raise DataError(
            f"{len(bad)} of {len(found) + len(bad)} images cannot be used: {'; '.join(bad)}"
        )
    if not found:
        raise DataError(f"{', '.join(map(str, sources))}: no image is in there")
    return Images(tuple(name for name, _ in found), np.stack([pixels for _, pixels in found]))


def _text(path: str) -> str:
    """Return a path as text that every file can hold; bytes that are no UTF-8 are written out."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _files(source: Path, limits: Limits) -> Iterator[tuple[tuple[str, ...], Callable[[], bytes]]]:
    """Yield path and content of every file of a source, to be read before the next is asked for."""
    if source.is_file() and not source.name.lower().endswith(tuple(READERS)):
        yield (), partial(_content, source, str(source), limits)
        return
    is_folder = source.is_dir()
    for entry in entries(source, UNLIMITED if is_folder else limits):
        if entry.is_folder:
            continue
        if is_folder:
            path = source.joinpath(*entry.parts)
            where = f"{source}: {'/'.join(entry.parts)!r}"
            yield entry.parts, partial(_content, path, where, limits)
        else:
            yield entry.parts, entry.read


def _content(path: Path, where: str, limits: Limits) -> bytes:
    """Return the bytes of a file that is small enough for an image of the shape."""
    try:
        size = path.stat().st_size
        if size > limits.file:
            raise DataError(
                f"{where} has {size} bytes; an image of this shape takes {limits.file} at most"
            )
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{where} cannot be read ({error.strerror or error})") from error
