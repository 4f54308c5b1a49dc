"""Images of one's own: a folder, a zip or a tar archive of `split/class/image`.

Knows what a study states of them, and checks it against what is found.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from incbayes.core.options import option
from incbayes.data.archives import Limits
from incbayes.data.duplicates import SPLITS, Duplicates, Place, find_duplicates
from incbayes.data.image_file import (
    Convert,
    Resize,
    Wanted,
    remarks,
)
from incbayes.data.image_reading import (
    background_option,
    convert_option,
    image_limits,
    read_images,
    resize_option,
    shape_option,
    source_option,
)
from incbayes.data.image_tree import Parts, Tree, read_tree, some
from incbayes.data.raw import DataError, RawSplits
from incbayes.study.datasets import AUTO
from incbayes.study.user_paths import expanded

MOST_IMAGES = 10_000_000
"""Of a split; all of them are held in memory."""


@dataclass(frozen=True)
class ImageFolder:
    """Your own images: a folder, zip or tar archive of `train/CLASS/IMAGE` and `test/CLASS/IMAGE`.

    One enclosing folder is allowed, hidden files are skipped, and anything else that lies
    elsewhere is refused. Images are ordered by class, then by name, whatever the order on the
    disk. One whose EXIF orientation is not 1 is turned as the camera was held before its size
    counts. None is scaled or converted unless the study says so.
    """

    source: str = source_option("The folder, or the archive (.zip, .tar, .tar.gz or .tgz)")
    shape: list[int] = shape_option()
    classes: list[str] = option(
        MISSING,
        "Names of the folders of the classes; the number of a class is its place in this list, "
        "from 0.",
        minItems=2,
    )
    train: Literal["auto"] | int = option(
        AUTO,
        "Number of images in `train`. With `auto` they are counted: while a study is planned in a "
        "folder or a zip archive, else when they are prepared. A number is checked against what "
        "is found.",
        minimum=1,
        maximum=MOST_IMAGES,
    )
    test: Literal["auto"] | int = option(
        AUTO,
        "Number of images in `test`, as for `train`. 0: the folder is not read, and need not be "
        "there; for `pretrain.data` alone, of which nothing is scored.",
        minimum=0,
        maximum=MOST_IMAGES,
    )
    resize: Resize = resize_option()
    convert: Convert = convert_option()
    background: int = background_option()
    duplicates: Literal["refuse", "allow"] = option(
        "refuse",
        "What to do where one image, pixel by pixel as it is taken, is in `train` and `test` or in "
        "two classes. One that is twice in the same class and split is taken twice. The log of the "
        "preparation says how many there are.",
    )

    @property
    def constraints(self) -> dict[str, Any]:
        """Shape, classes and, where they are stated, sizes of the set."""
        stated = {split: getattr(self, split) for split in SPLITS if getattr(self, split) != AUTO}
        return {"shape": self.shape, "classes": self.classes} | stated

    def load(self, data_root: Path) -> RawSplits:
        """Return the images and labels; the source is read twice, and nothing is extracted.

        Raises:
            DataError: naming the source, and the files or folders in it that are not as stated, or
                the two files that hold one image.
        """
        source = Path(data_root) / expanded(self.source, ("source",))
        tree = read_tree(source, self._limits(source), self._splits)
        places = self._places(source, tree)
        names = {place: "/".join(parts) for parts, place in places.items()}
        raw, done = self._read(source, tree, places)
        duplicates = find_duplicates(raw)
        self._check_duplicates(source, duplicates, names)
        return replace(raw, remarks=_remarks(done, duplicates))

    def _read(
        self, source: Path, tree: Tree, places: dict[Parts, Place]
    ) -> tuple[RawSplits, Counter[str]]:
        """Return the images, and how many of them were turned, resized and converted.

        Raises:
            DataError: naming the files that cannot be taken.
        """
        counts = {split: tree.count(split) for split in SPLITS}
        images = {split: np.empty((n, *self.shape), np.uint8) for split, n in counts.items()}
        labels = {split: np.empty(n, np.int64) for split, n in counts.items()}
        numbers = {name: number for number, name in enumerate(self.classes)}

        def keep(parts: Parts, place: Place, pixels: np.ndarray) -> None:
            split, row = place
            images[split][row], labels[split][row] = pixels, numbers[parts[-2]]

        done = read_images(source, self._limits(source), places, self._wanted, keep)
        raw = RawSplits(images["train"], labels["train"], images["test"], labels["test"])
        return raw, done

    def _check_duplicates(
        self, source: Path, found: Duplicates, names: Mapping[Place, str]
    ) -> None:
        """Refuse one image in two places, unless the study allows it.

        Raises:
            DataError: naming two files that hold the same image.
        """
        if self.duplicates == "allow":
            return
        for pairs, what in (
            (found.across_splits, "a test on images that were trained on says too much"),
            (found.across_classes, "no image can be of two classes"),
        ):
            if pairs:
                first, second = (names[place] for place in pairs[0])
                more = f" (and {len(pairs) - 1} more such images)" if len(pairs) > 1 else ""
                raise DataError(
                    f"{source}: {first!r} and {second!r} hold the same image, pixel by pixel"
                    f"{more}; {what}: remove one of them, or set the key duplicates to allow"
                )

    @property
    def _splits(self) -> tuple[str, ...]:
        return SPLITS[:1] if self.test == 0 else SPLITS

    @property
    def _wanted(self) -> Wanted:
        return Wanted(tuple(self.shape), self.resize, self.convert, self.background)

    def _limits(self, source: Path) -> Limits:
        """Return what the source may hold of bytes, by what is stated of its images."""
        counted = AUTO in (self.train, self.test)
        return image_limits(source, self._wanted, None if counted else self.train + self.test)

    def _places(self, source: Path, tree: Tree) -> dict[Parts, Place]:
        """Return split and row of every image by its path, ordered by class and name.

        Raises:
            DataError: the classes or the numbers of images are not as stated.
        """
        for split in self._splits:
            self._check_split(source, split, tree)
        return {
            parts: (split, row)
            for split in self._splits
            for row, parts in enumerate(tree.paths(split, self.classes))
        }

    def _check_split(self, source: Path, split: str, tree: Tree) -> None:
        """Check the classes and the number of images of a split against what is stated."""
        where = f"{source}: {split}"
        stated, classes = set(self.classes), tree.classes(split)
        if classes - stated:
            raise DataError(
                f"{where} holds the classes {some(classes - stated)}, which the key classes "
                f"does not name; it names {some(self.classes)}"
            )
        if stated - classes:
            raise DataError(f"{where} lacks the classes {some(stated - classes)} (key classes)")
        empty = {name for name in stated if not tree.images[split][name]}
        if empty:
            raise DataError(f"{where}: no image in the classes {some(empty)}")
        found, expected = tree.count(split), getattr(self, split)
        if found > MOST_IMAGES:
            raise DataError(f"{where} holds {found} images; allowed: {MOST_IMAGES}")
        if expected not in (AUTO, found):
            raise DataError(
                f"{where} holds {found} images, expected {expected} (key "
                f"{split}): an incomplete source, or another number is meant"
            )


def _remarks(done: Counter[str], found: Duplicates) -> tuple[str, ...]:
    """Return what the log is to say of the images of a source."""
    counts = (
        *remarks(done),
        ("that repeat another one of the same class and split", found.repeats),
        ("in train and in test", len(found.across_splits)),
        ("in two classes or more", len(found.across_classes)),
    )
    return tuple(f"images {what}: {count}" for what, count in counts)
