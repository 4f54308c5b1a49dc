"""How an image file becomes pixels of a stated shape, or which fault it has.

Knows what cameras, scanners and drawing programs write, and Pillow; nothing of folders, classes or
archives.
"""

import io
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError
from PIL.TiffImagePlugin import TiffImageFile

from incbayes.data.raw import DataError

FORMATS = ("BMP", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
MODES = {1: "L", 3: "RGB"}
"""How Pillow names grey and colour pixels of one byte a channel, by the number of channels."""

CHANNELS = frozenset(MODES.values())
WAY_OUT = "store it as unsigned numbers of 8 or 16 bits"
SOUND_BITS = frozenset({1, 2, 4, 8, 16, 32, 64})
"""Of a TIFF's numbers: all that Pillow reads to their full range."""

SIGNED = 2
"""The sample format of a TIFF whose numbers have a sign."""

WHITE_IS_ZERO = 0
"""The photometric interpretation of a TIFF in which 0 is white."""

GREY = frozenset({"1", "L", "LA", "I;16", "I;16B", "I;16L", "I;16N", "I"})
"""Modes without colour."""

CONVERTED = GREY - {"I"} | {"RGB", "RGBA", "RGBa", "RGBX", "P", "PA", "CMYK", "YCbCr"}
"""Modes whose pixels have one meaning as grey or RGB; `I` has one in a PNG or PPM alone."""

FILTER = Image.Resampling.BICUBIC
"""Pillow's `resize` widens it by the scale, so that a smaller image is antialiased."""

MOST_PIXELS = 2**26
"""Of an image that is resized, 8192x8192: what a file may make its reader decode."""

TURNED = range(2, 9)
"""EXIF orientations of pixels that are not stored as the camera was held."""

SIDEWAYS = range(5, 9)
"""Those by which width and height change places."""

SHOWN = 5
"""Faults of a source that are written out."""

Resize = Literal["refuse", "stretch", "crop", "pad"]
Convert = Literal["refuse", "allow"]


class ImageFault(Exception):
    """What is wrong with one file.

    Attributes:
        hints: what is expected, and what the study may say instead.
    """

    def __init__(self, what: str, *hints: str):
        super().__init__(what)
        self.hints = hints


@dataclass(frozen=True)
class Seen:
    """What the head of an image file says.

    Attributes:
        width: pixels, as they are stored.
        height: the same.
        mode: of Pillow.
        deep: whether a channel has 16 bits.
        frames: pictures in the file; of a camera's JPEG the first one counts alone.
        transparent: whether pixels may be transparent: by a channel, a palette, or one colour.
        convertible: whether `convert` has a rule for it.
        orientation: of EXIF, where it has turned width and height; else 1.
        unsound: what of its numbers Pillow would read as others; empty where there is nothing.
        inverted: whether 0 is white, in numbers of 16 bits that Pillow leaves so.
    """

    width: int
    height: int
    mode: str
    deep: bool
    frames: int
    transparent: bool
    convertible: bool
    orientation: int = 1
    unsound: str = ""
    inverted: bool = False

    def __str__(self):
        depth = " with 16 bits a channel" if self.deep and not self.mode.startswith("I") else ""
        depth += f" of {self.unsound}" if self.unsound else ""
        depth += ", with a transparent colour" if self.transparent and self.mode in CHANNELS else ""
        frames = f", {self.frames} frames" if self.frames > 1 else ""
        turned = f", turned by its EXIF orientation {self.orientation}"
        turned = turned if self.orientation in TURNED else ""
        return f"{self.width}x{self.height} pixels, {self.mode}{depth}{frames}{turned}"

    def check_numbers(self) -> None:
        """Refuse an image whose numbers would become others.

        Raises:
            ImageFault: they have 12 bits, or a sign.
        """
        if self.unsound:
            raise ImageFault(f"has {self}", WAY_OUT)

    def check_number_of_pixels(self) -> None:
        """Refuse an image that takes too much memory.

        Raises:
            ImageFault: it has more than `MOST_PIXELS`.
        """
        if self.width * self.height > MOST_PIXELS:
            found = f"has {self.width}x{self.height} pixels"
            raise ImageFault(found, f"allowed: {MOST_PIXELS} pixels an image")

    @property
    def is_grey(self) -> bool:
        """Whether the image has no colour, whatever its depth."""
        return self.mode in GREY


@dataclass(frozen=True, eq=False)
class Decoded:
    """An image of the wanted shape, and what was done to it.

    Attributes:
        pixels: uint8 [C, H, W].
        done: some of `turned`, `resized` and `converted`.
    """

    pixels: np.ndarray
    done: tuple[str, ...]


@dataclass(frozen=True)
class Wanted:
    """What image files have to become.

    Attributes:
        shape: channels (1 or 3), height, width.
        resize: what is done with an image of another size, in pixels.
        convert: what is done with one that is not grey or RGB as stated.
        background: grey value, 0 to 255, beneath what is transparent and beside what is padded.
    """

    shape: tuple[int, int, int]
    resize: Resize = "refuse"
    convert: Convert = "refuse"
    background: int = 255

    def decode(self, content: bytes) -> Decoded:
        """Return the image that a file holds, turned by its EXIF orientation.

        What the file says of itself is compared before anything is decoded: it cannot ask for
        more memory than the stated shape takes, or `MOST_PIXELS` where it is resized.

        Raises:
            ImageFault: it is no image, is damaged, or is not what it has to be.
        """
        with _opened(content) as image:
            seen = look(image)
            self._check(image.size in (self._size, self._size[::-1]), seen)
            orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
            ImageOps.exif_transpose(image, in_place=True)
            if orientation in TURNED:
                width, height = image.size
                seen = replace(seen, width=width, height=height, orientation=orientation)
            self._check(image.size == self._size, seen)
            right = image if self._is_plain(seen) else self._converted(image, seen)
            fitted = right if right.size == self._size else self._resized(right)
            pixels = np.asarray(fitted).reshape(*self.shape[1:], self.shape[0])
        done = {
            "turned": orientation in TURNED,
            "resized": fitted is not right,
            "converted": right is not image,
        }
        return Decoded(pixels.transpose(2, 0, 1), tuple(what for what in done if done[what]))

    @property
    def _size(self) -> tuple[int, int]:
        return self.shape[2], self.shape[1]

    @property
    def _mode(self) -> str:
        return MODES[self.shape[0]]

    def _is_plain(self, seen: Seen) -> bool:
        """Return whether the pixels are taken as they are."""
        return seen.mode == self._mode and not seen.deep and not seen.transparent

    def _check(self, fits: bool, seen: Seen) -> None:
        """Refuse an image of another size or mode, by what its head says."""
        seen.check_numbers()
        fits = fits or self.resize != "refuse"
        has_rule = self._is_plain(seen) or (seen.convertible and self.convert == "allow")
        if not fits or not has_rule or seen.frames > 1:
            raise ImageFault(f"has {seen}", *self._hints(seen, not fits))
        seen.check_number_of_pixels()

    def _hints(self, seen: Seen, is_of_another_size: bool) -> list[str]:
        """Return what is expected, and which keys take what was found."""
        size = f"{self.shape[2]}x{self.shape[1]} pixels, " if self.resize == "refuse" else ""
        hints = [f"expected {size}{self._mode} (key shape)"]
        if is_of_another_size:
            hints.append("set the key resize to stretch, crop or pad to bring images to this size")
        if not self._is_plain(seen) and seen.convertible and self.convert == "refuse":
            hints.append("set the key convert to allow to convert them")
        return hints

    def _converted(self, image: Image.Image, seen: Seen) -> Image.Image:
        """Return an image of the stated mode, made as the option `convert` says."""
        if seen.mode.startswith("I"):
            values = np.asarray(image).astype(np.uint32)
            values = (65535 - values if seen.inverted else values) + 128
            values //= 257
            image = Image.fromarray(values.astype(np.uint8))
        elif seen.transparent:
            canvas = Image.new("RGBA", image.size, (*(self.background,) * 3, 255))
            canvas.alpha_composite(image.convert("RGBA"))
            image = canvas.convert("RGB")
        elif not seen.is_grey:
            image = image.convert("RGB")
        return image.convert(self._mode)

    def _resized(self, image: Image.Image) -> Image.Image:
        """Return an image of the stated size."""
        if self.resize == "stretch":
            return image.resize(self._size, FILTER)
        if self.resize == "crop":
            return ImageOps.fit(image, self._size, FILTER)
        scale = min(self._size[0] / image.width, self._size[1] / image.height)
        width, height = max(1, round(image.width * scale)), max(1, round(image.height * scale))
        padded = Image.new(self._mode, self._size, (self.background,) * self.shape[0])
        corner = (self._size[0] - width) // 2, (self._size[1] - height) // 2
        padded.paste(image.resize((width, height), FILTER), corner)
        return padded


class Faults:
    """The files of a source that cannot be taken: how many, and the first few by name in words."""

    def __init__(self, source: object) -> None:
        self.count = 0
        self._source = source
        self._shown: list[tuple[str, str]] = []
        self._rest: list[str] = []
        self._hints: dict[str, None] = {}

    def add(self, name: str, fault: Exception) -> None:
        """Add a file.

        Args:
            name: of the file, as it is shown; empty for the rest of an archive.
            fault: what is wrong with it; of a `DataError` the name of the source is left out.
        """
        self.count += 1
        text = str(fault).removeprefix(f"{self._source}: ")
        if name:
            self._shown.append((name, text if repr(name) in text else f"{name!r} {text}"))
            self._shown.sort()
            del self._shown[SHOWN:]
        else:
            self._rest.append(text)
        self._hints |= dict.fromkeys(getattr(fault, "hints", ()))

    def error(self) -> DataError:
        """Return the error that names them, in one line."""
        several = f"{self.count} files cannot be taken: " if self.count > 1 else ""
        shown = [text for _, text in self._shown] + self._rest
        more = [f"and {self.count - len(shown)} more"] if self.count > len(shown) else []
        text = "; ".join([*shown, *more, *self._hints])
        return DataError(f"{self._source}: {several}{text}")


def remarks(done: Counter[str]) -> list[tuple[str, int]]:
    """Return what the log of a preparation says was done to images, with the numbers.

    Args:
        done: numbers of images by what was done, as in `Decoded.done`.
    """
    return [
        ("turned as the EXIF orientation says", done["turned"]),
        ("brought to the stated size (key resize)", done["resized"]),
        ("converted to the stated channels and 8 bits (key convert)", done["converted"]),
    ]


def look(image: Image.Image) -> Seen:
    """Return what the head of an open file says; nothing is decoded."""
    deep = _is_deep(image)
    transparent = image.has_transparency_data
    has_rule = image.mode in CONVERTED or (image.mode == "I" and deep)
    return Seen(
        width=image.width,
        height=image.height,
        mode=image.mode,
        deep=deep,
        frames=1 if image.format == "MPO" else getattr(image, "n_frames", 1),
        transparent=transparent,
        convertible=has_rule and not (transparent and image.mode.startswith("I")),
        unsound=_unsound(image) if has_rule else "",
        inverted=deep
        and image.mode.startswith("I")
        and _tag(image, ExifTags.Base.PhotometricInterpretation) == [WHITE_IS_ZERO],
    )


def survey(content: bytes) -> Seen:
    """Return what the head of an image file says, with the size that is seen when it is turned.

    Raises:
        ImageFault: it is no image, its head is damaged, `convert` has no rule for it, it has
            several frames or too many pixels.
    """
    with _opened(content) as image:
        seen = look(image)
        seen.check_numbers()
        if seen.frames > 1 or not seen.convertible:
            raise ImageFault(f"has {seen}", "expected one frame, grey or colour")
        seen.check_number_of_pixels()
        if image.format == "PNG" and "exif" not in image.info:  # Pillow would decode it to look
            return seen
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
        if orientation in SIDEWAYS:
            return replace(seen, width=seen.height, height=seen.width, orientation=orientation)
        return seen


def _unsound(image: Image.Image) -> str:
    """Return which numbers of a TIFF Pillow reads as others: those of 12 bits, those with a sign.

    It keeps 12 bits as they are in numbers of 16, and takes a sign for the highest bit.
    """
    odd = [str(bits) for bits in _tag(image, ExifTags.Base.BitsPerSample) if bits not in SOUND_BITS]
    if odd:
        return f"{odd[0]} bits a number"
    return "numbers with a sign" if SIGNED in _tag(image, ExifTags.Base.SampleFormat) else ""


def _tag(image: Image.Image, tag: int) -> list[int]:
    """Return the values of a tag of a TIFF; none of what is no TIFF."""
    found = image.tag_v2.get(tag, ()) if isinstance(image, TiffImageFile) else ()
    return list(found) if isinstance(found, tuple) else [found]


def _is_deep(image: Image.Image) -> bool:
    """Return whether a file that is not decoded yet stores 16 bits a channel."""
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format in ("PNG", "PPM")):
        return True
    arguments = [tile[3] for tile in image.tile]
    if image.format == "PPM":
        return any(isinstance(given, tuple) and given[-1] > 255 for given in arguments)
    return any(";16" in str(given) for given in arguments)


@contextmanager
def _opened(content: bytes) -> Iterator[Image.Image]:
    """Open an image, and say of any error what is wrong with the file."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(content), formats=FORMATS) as image:
                yield image
    except ImageFault:
        raise
    except UnidentifiedImageError:
        raise ImageFault("is no image", f"allowed: {', '.join(FORMATS)}") from None
    except Exception as error:  # whatever the decoder of a format raises
        cause = " ".join(f"{type(error).__name__}: {error}".split())
        raise ImageFault(f"cannot be decoded ({cause})") from error
