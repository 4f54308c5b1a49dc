"""How the images of a source lie: `train/CLASS/IMAGE` and `test/CLASS/IMAGE`, and nothing else.

Knows paths alone; what the files hold, and which classes a study states, others say.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from incbayes.data.archives import Limits, entries
from incbayes.data.raw import DataError
from incbayes.study.counting import SPLITS, enclosing

SHOWN = 5
"""Names of an error's list that are written out."""

Parts = tuple[str, ...]
"""A path below the source."""


@dataclass
class Tree:
    """The classes of a source, and their images.

    Attributes:
        images: paths by split and class, in the order of the names; a class may have none.
    """

    images: dict[str, dict[str, list[Parts]]] = field(default_factory=dict)

    def classes(self, split: str) -> set[str]:
        """Return the names of a split's classes."""
        return set(self.images[split])

    def paths(self, split: str, classes: Iterable[str]) -> Iterator[Parts]:
        """Yield the images of a split, in the order of these classes, then by name."""
        for name in classes:
            yield from self.images[split][name]

    def count(self, split: str) -> int:
        """Return the number of images of a split."""
        return sum(map(len, self.images[split].values()))


def read_tree(source: Path, limits: Limits, splits: Sequence[str] = SPLITS) -> Tree:
    """Return how the images of a source lie; the files are not read.

    Args:
        source: a folder or an archive.
        limits: of the sizes.
        splits: that it has to have; another is passed over.

    Raises:
        DataError: naming the source; it cannot be read, holds what has no place, or lacks a split.
    """
    listing = [(entry.parts, entry.is_folder) for entry in entries(source, limits)]
    start = len(enclosing(parts for parts, _ in listing))
    found: dict[str, dict[str, list[Parts]]] = {}
    misplaced: dict[str, str] = {}
    for parts, is_folder in listing:
        inner = parts[start:]
        if not _has_place(inner, is_folder):
            misplaced["/".join(parts)] = "folder" if is_folder else "file"
            continue
        if inner:
            split = found.setdefault(inner[0], {})
            images = split.setdefault(inner[1], []) if len(inner) > 1 else []
            images += [] if is_folder else [parts]
    if misplaced:
        raise _misplaced(source, misplaced)
    for split in splits:
        if split not in found:
            wanted = ", ".join(f"{name}/CLASS" for name in splits)
            raise DataError(f"{source}: has no folder {split}; expected {wanted}")
    found = {split: found.get(split, {}) if split in splits else {} for split in SPLITS}
    for images in (images for split in found.values() for images in split.values()):
        images.sort(key=lambda parts: parts[-1])
    return Tree(found)


def files_of_part(source: Path, limits: Limits, classes: Collection[str] = ()) -> list[Parts]:
    """Return the paths of a part's files, checked to be `CLASS/IMAGE`; the files are not read.

    One enclosing folder is allowed where it has not the name of a class.

    Args:
        source: a folder or an archive.
        limits: of the sizes.
        classes: names that are known to be classes.

    Raises:
        DataError: naming the source; it cannot be read, or holds what has no place.
    """
    listing = [(entry.parts, entry.is_folder) for entry in entries(source, limits)]
    files = [parts for parts, is_folder in listing if not is_folder]
    heads = {parts[0] for parts, _ in listing if parts}
    enclosed = len(heads) == 1 and heads.isdisjoint(classes)
    depth = 3 if enclosed and all(len(parts) == 3 for parts in files) else 2
    wrong = [parts for parts in files if len(parts) != depth]
    if wrong:
        names = some("/".join(parts) for parts in wrong)
        raise DataError(f"{source}: {names}: no place for an image; expected CLASS/IMAGE")
    return files


def some(names: Iterable[str]) -> str:
    """Return a list of names as text, sorted, the first few written out."""
    first = sorted(names)
    more = f" and {len(first) - SHOWN} more" if len(first) > SHOWN else ""
    return ", ".join(map(repr, first[:SHOWN])) + more


def _has_place(inner: Parts, is_folder: bool) -> bool:
    """Return whether a path is `split/class/image` or a folder on the way."""
    right_depth = len(inner) <= 2 if is_folder else len(inner) == 3
    return right_depth and (not inner or inner[0] in SPLITS)


def _misplaced(source: Path, kinds: dict[str, str]) -> DataError:
    """Return the error that names what has no place; of a folder not what lies in it too."""
    outermost = {
        name: kind
        for name, kind in kinds.items()
        if not any(name[:end] in kinds for end, sign in enumerate(name) if sign == "/")
    }
    expected = "expected train/CLASS/IMAGE and test/CLASS/IMAGE, in one enclosing folder or none"
    if len(outermost) == 1:
        ((name, kind),) = outermost.items()
        return DataError(f"{source}: the {kind} {name!r} has no place; {expected}")
    return DataError(f"{source}: {some(outermost)} have no place; {expected}")
