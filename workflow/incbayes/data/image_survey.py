"""What a source of images holds, read from names and heads of files: for who has no study yet."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from incbayes.core.registry import nearest
from incbayes.data.archives import Limits, entries, most_bytes
from incbayes.data.image_file import Faults, ImageFault, Seen, survey
from incbayes.data.image_reading import LARGEST_FILE
from incbayes.data.image_tree import Parts, Tree, files_of_part, read_tree, some
from incbayes.data.raw import DataError
from incbayes.study.counting import SPLITS
from incbayes.study.streams import TEST

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
        parts: that have arrived, of a stream; else 0.
    """

    classes: list[str]
    counts: Mapping[str, int]
    sizes: Counter[tuple[int, int]]
    modes: Counter[str]
    is_grey: bool
    is_plain: bool
    twice: list[tuple[str, str]]
    parts: int = 0

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
    first: dict[bytes, Parts] = {}
    twice: list[tuple[str, str]] = []
    seen = []
    for parts, head, digest in _heads(source, limits, waiting):
        seen.append(head)
        other = first.setdefault(digest, parts)
        if other[:-1] != parts[:-1]:
            twice.append(("/".join(other), "/".join(parts)))
    return _found(classes, {split: tree.count(split) for split in SPLITS}, seen, twice)


def survey_stream(source: Path, arrived: Sequence[Path]) -> Survey:
    """Return what a stream holds; the pixels are not decoded.

    Args:
        source: a folder; the images of `test/CLASS/IMAGE` in it, if there are any, are scored.
        arrived: its parts, each a folder or an archive of `CLASS/IMAGE`.

    Raises:
        DataError: naming the part and what in it cannot be taken; there is but one class.
    """
    counts, classes, seen = dict.fromkeys(SPLITS, 0), set[str](), list[Seen]()
    test = [source / TEST] if (source / TEST).is_dir() else []
    for split, folders in zip(SPLITS, (arrived, test), strict=True):
        for folder in folders:
            limits = Limits(LARGEST_FILE, most_bytes(folder))
            files = files_of_part(folder, limits)
            counts[split] += len(files)
            classes |= {parts[-2] for parts in files}
            seen += [head for _, head, _ in _heads(folder, limits, set(files))]
    if len(classes) < LEAST_CLASSES:
        raise DataError(
            f"{source}: holds the classes {some(classes) or 'none'}; allowed: two or more"
        )
    return replace(_found(sorted(classes), counts, seen, []), parts=len(arrived))


def _heads(
    source: Path, limits: Limits, waiting: set[Parts]
) -> Iterator[tuple[Parts, Seen, bytes]]:
    """Yield of each image its path, what its head says, and a digest of its bytes.

    Raises:
        DataError: naming those that cannot be taken, once all were looked at.
    """
    faults = Faults(source)
    for entry in entries(source, limits):
        if entry.parts not in waiting:
            continue
        try:
            content = entry.read()
            head = survey(content)
        except (ImageFault, DataError) as fault:
            faults.add("/".join(entry.parts), fault)
            continue
        yield entry.parts, head, hashlib.blake2b(content, digest_size=16).digest()
    if faults.count:
        raise faults.error()


def _found(
    classes: list[str], counts: dict[str, int], seen: list[Seen], twice: list[tuple[str, str]]
) -> Survey:
    is_grey = all(head.is_grey for head in seen)
    return Survey(
        classes,
        counts,
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
    held = {split: tree.classes(split) for split in SPLITS}
    for split in SPLITS:
        empty = [name for name, images in tree.images[split].items() if not images]
        if empty:
            raise DataError(f"{source}: {split}: no image in the classes {some(empty)}")
    for split, other in (SPLITS, SPLITS[::-1]):
        lacking = held[other] - held[split]
        if lacking:
            meant = nearest(min(lacking), held[split]) if len(lacking) == 1 else ""
            raise DataError(
                f"{source}: {other} has the classes {some(lacking)}, which {split} lacks{meant}"
            )
    classes = sorted(held[SPLITS[0]])
    if len(classes) < LEAST_CLASSES:
        raise DataError(
            f"{source}: holds the classes {some(classes) or 'none'}; allowed: two or more"
        )
    return classes
