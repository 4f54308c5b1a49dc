"""Your own images that arrive in parts: each part a folder or an archive of `class/image`.

Knows how a part and the test images have to lie, and what makes a part one that no stage should
see. Which parts there are, and in what order, `study.streams` says.
"""

from collections import Counter
from dataclasses import MISSING, dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from incbayes.core.options import option
from incbayes.data.archives import Limits
from incbayes.data.arriving import (
    duplicates_option,
    held_out,
    held_out_option,
    largest_part_option,
    part_of,
    root_of,
    without_option,
)
from incbayes.data.duplicates import equal_groups, image_digests
from incbayes.data.image_file import Convert, Resize, Wanted, remarks
from incbayes.data.image_folder import MOST_IMAGES
from incbayes.data.image_reading import (
    background_option,
    convert_option,
    image_limits,
    read_images,
    resize_option,
    shape_option,
    source_option,
)
from incbayes.data.image_tree import Parts, files_of_part, some
from incbayes.data.raw import DataError, RawSplits
from incbayes.study.streams import TEST


@dataclass(frozen=True)
class ImageStream:
    """Your own images that arrive in parts: `SOURCE/parts/NAME/CLASS/IMAGE`, a part a NAME.

    A part may be an archive, `NAME.zip` or `NAME.tar` with `CLASS/IMAGE` in it. Parts count in the
    order of their names, or in that of the list `SOURCE/parts.yaml`. T is how many have arrived.
    What is scored are the images of `SOURCE/test/CLASS/IMAGE`, or a share of every part. A part may
    lack classes. Once a stage was fitted to a part, its files may be deleted.
    """

    constraints: ClassVar[dict[str, Any]] = {"arrives": True}

    source: str = source_option("The folder")
    shape: list[int] = shape_option()
    classes: list[str] = option(
        MISSING,
        "Names of the classes of the whole stream, those included that are yet to come; the number "
        "of a class is its place in this list, from 0.",
        minItems=2,
    )
    held_out: float = held_out_option("images")
    largest_part: int = largest_part_option("Images", MOST_IMAGES)
    resize: Resize = resize_option()
    convert: Convert = convert_option()
    background: int = background_option()
    duplicates: Literal["refuse", "allow"] = duplicates_option()
    without: list[str] = without_option()

    def load_part(self, data_root: Path, name: str) -> RawSplits:
        """Return the images of a part to fit, and those to score: none where a test set is.

        Images are in an order of their content, so that equal parts give equal bytes, whatever
        their files are called.

        Raises:
            DataError: naming the part, and the file or folder in it that is not as stated.
        """
        source = part_of(root_of(self.source, data_root), name)
        images, labels, digests, done = self._read(source)
        groups = equal_groups(digests)
        scored = held_out(source, groups, self.held_out, "image")
        repeats = len(groups) - len(np.unique(groups))
        remarks = (*_remarks(done), f"images that repeat another one of the part: {repeats}")
        return RawSplits(images[~scored], labels[~scored], images[scored], labels[scored], remarks)

    def load_test(self, data_root: Path) -> RawSplits:
        """Return the images of the folder `test`, and none to fit.

        Raises:
            DataError: naming the file or folder in it that is not as stated.
        """
        images, labels, _, done = self._read(root_of(self.source, data_root) / TEST)
        return RawSplits(images[:0], labels[:0], images, labels, _remarks(done))

    def _read(self, source: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray, Counter[str]]:
        """Return images uint8 [N, C, H, W], labels int64 [N], digests, and what was done to them.

        They are ordered by class and content.
        """
        places = self._places(source)
        images = np.empty((len(places), *self.shape), np.uint8)
        labels = np.empty(len(places), np.int64)
        numbers = {name: number for number, name in enumerate(self.classes)}

        def keep(parts: Parts, row: int, pixels: np.ndarray) -> None:
            images[row], labels[row] = pixels, numbers[parts[-2]]

        rows = {parts: row for row, parts in enumerate(places)}
        done = read_images(source, self._limits(source), rows, self._wanted, keep)
        digests = image_digests(images)
        order = np.lexsort((*digests.T, labels))
        images, labels, digests = images[order], labels[order], digests[order]
        self._check_repeats(source, digests, labels)
        return images, labels, digests, done

    def _places(self, source: Path) -> list[Parts]:
        """Return the paths of a part's images, `CLASS/IMAGE` of the stated classes."""
        files = files_of_part(source, self._limits(source), self.classes)
        unknown = {parts[-2] for parts in files} - set(self.classes)
        if unknown:
            raise DataError(
                f"{source}: holds the classes {some(unknown)}, which the key classes does not "
                f"name; it names {some(self.classes)}"
            )
        if not files:
            raise DataError(f"{source}: holds no image; expected CLASS/IMAGE")
        if len(files) > self.largest_part:
            raise DataError(
                f"{source}: holds {len(files)} images, more than the key largest_part allows, "
                f"{self.largest_part}"
            )
        return files

    @property
    def _wanted(self) -> Wanted:
        return Wanted(tuple(self.shape), self.resize, self.convert, self.background)

    def _limits(self, source: Path) -> Limits:
        return image_limits(source, self._wanted, self.largest_part)

    def _check_repeats(self, source: Path, digests: np.ndarray, labels: np.ndarray) -> None:
        """Refuse one image in two classes: no image can be of both."""
        order = np.lexsort(digests.T)
        same = np.all(digests[order[1:]] == digests[order[:-1]], axis=1)
        differ = labels[order[1:]] != labels[order[:-1]]
        if (same & differ).any():
            place = int(np.flatnonzero(same & differ)[0])
            pair = [self.classes[labels[order[row]]] for row in (place, place + 1)]
            raise DataError(
                f"{source}: one image is in two classes, {some(pair)}, pixel by pixel; no image "
                "can be of both: remove one of them"
            )


def _remarks(done: Counter[str]) -> tuple[str, ...]:
    return tuple(f"images {what}: {count}" for what, count in remarks(done))
