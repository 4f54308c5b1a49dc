"""What a source of images holds, read from names and heads of files: for who has no study yet."""

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from incbayes.data.archives import Limits, entries, most_bytes
from incbayes.data.image_file import Faults, ImageFault, Seen, survey
from incbayes.data.image_reading import LARGEST_FILE
from incbayes.data.image_tree import Tree, read_tree, some
from incbayes.data.raw import DataError
from incbayes.study.counting import SPLITS

LEAST_CLASSES = 2


@dataclass(frozen=True)
class Survey:
    """What was found.

    Attributes:
        classes: their names, sorted.
        counts: numbers of images by split.
        sizes: numbers of images by width and height, in pixels, as they are seen.
        modes: numbers of images by Pillow's mode, of those with 16 bits a channel behind `16-bit `.
        is_grey: whether no image has colour.
        is_plain: whether all are grey, or all RGB, of 8 bits and opaque.
        twice: files that are, byte by byte, in `train` and `test` or in two classes: the first of
            each, and the other one.
    """

    classes: list[str]
    counts: Mapping[str, int]
    sizes: Counter[tuple[int, int]]
    modes: Counter[str]
    is_grey: bool
    is_plain: bool
    twice: list[tuple[str, str]]

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of most images; of several such the smallest."""
        return min(self.sizes, key=lambda size: (-self.sizes[size], size))


def survey_source(source: Path) -> Survey:
    """Return what a source holds; the pixels are not decoded.

    Args:
        source: a folder or an archive of `train/CLASS/IMAGE` and `test/CLASS/IMAGE`.

    Raises:
        DataError: naming the source and what in it cannot be taken; its splits have other classes.
    """
    limits = Limits(LARGEST_FILE, most_bytes(source))
    tree = read_tree(source, limits)
    classes = _classes(source, tree)
    waiting = {parts for split in SPLITS for parts in tree.paths(split, classes)}
    faults, seen = Faults(source), list[Seen]()
    first: dict[bytes, tuple[str, ...]] = {}
    twice: list[tuple[str, str]] = []
    for entry in entries(source, limits):
        if entry.parts not in waiting:
            continue
        name = "/".join(entry.parts)
        try:
            content = entry.read()
            seen.append(survey(content))
        except (ImageFault, DataError) as fault:
            faults.add(name, fault)
            continue
        digest = hashlib.blake2b(content, digest_size=16).digest()
        other = first.setdefault(digest, entry.parts)
        if other[:-1] != entry.parts[:-1]:
            twice.append(("/".join(other), name))
    if faults.count:
        raise faults.error()
    is_grey = all(head.is_grey for head in seen)
    return Survey(
        classes,
        {split: tree.count(split) for split in SPLITS},
        Counter((head.width, head.height) for head in seen),
        Counter(("16-bit " if head.deep else "") + head.mode for head in seen),
        is_grey,
        all(_is_plain(head, is_grey) for head in seen),
        twice,
    )


def _is_plain(head: Seen, is_grey: bool) -> bool:
    return head.mode == ("L" if is_grey else "RGB") and not head.deep and not head.transparent


def _classes(source: Path, tree: Tree) -> list[str]:
    """Return the classes, which both splits have to hold images of."""
    train, test = (tree.classes(split) for split in SPLITS)
    for split, lacking in (("train", test - train), ("test", train - test)):
        if lacking:
            raise DataError(f"{source}: {split} lacks the classes {some(lacking)}")
    if len(train) < LEAST_CLASSES:
        raise DataError(
            f"{source}: holds the classes {some(train) or 'none'}; allowed: two or more"
        )
    for split in SPLITS:
        empty = [name for name, images in tree.images[split].items() if not images]
        if empty:
            raise DataError(f"{source}: {split}: no image in the classes {some(empty)}")
    return sorted(train)
