"""What is in a data set more than once: images pixel by pixel, rows value by value.

Knows pixels, values and labels alone: which file they came from, and whether they may be there
twice, the data set says.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from incbayes.data.raw import RawSplits

DIGEST_BYTES = 16
"""Of an image; two different images have the same digest with a chance of 2**-64 at most."""

SPLITS = ("train", "test")

Place = tuple[str, int]
"""Split and row of an image."""


@dataclass(frozen=True)
class Duplicates:
    """What is in a data set more than once.

    Attributes:
        repeats: number of images that repeat another one of the same class and split.
        across_splits: of each image that is in training and test, a place in either.
        across_classes: of each image that is in two classes or more, places in two of them.
    """

    repeats: int
    across_splits: list[tuple[Place, Place]]
    across_classes: list[tuple[Place, Place]]


def find_duplicates(raw: RawSplits) -> Duplicates:
    """Return which images are there more than once; takes 24 bytes of memory an image.

    Args:
        raw: images uint8 [N, C, H, W] and labels int64 [N] of both splits.
    """
    labels = np.concatenate([raw.train_labels, raw.test_labels])
    first_test = len(raw.train_labels)
    digests = np.concatenate([image_digests(raw.train_images), image_digests(raw.test_images)])
    repeats, across_splits, across_classes = 0, [], []
    for group in _equal(digests):
        kinds = {(int(row >= first_test), int(labels[row])) for row in group}
        repeats += len(group) - len(kinds)
        places = [_place(row, first_test) for row in group]
        if len({is_test for is_test, _ in kinds}) > 1:
            in_test = next(place for place in places if place[0] == SPLITS[1])
            across_splits.append((places[0], in_test))
        if len({label for _, label in kinds}) > 1:
            other = int(np.flatnonzero(labels[group] != labels[group[0]])[0])
            across_classes.append((places[0], places[other]))
    return Duplicates(repeats, across_splits, across_classes)


def image_digests(images: np.ndarray) -> np.ndarray:
    """Return a digest of the pixels of every image, uint64 [N, 2].

    Args:
        images: uint8 [N, C, H, W].
    """
    digests = np.empty((len(images), DIGEST_BYTES), np.uint8)
    for row, image in enumerate(images):
        digest = hashlib.blake2b(image.tobytes(), digest_size=DIGEST_BYTES).digest()
        digests[row] = np.frombuffer(digest, np.uint8)
    return digests.view(np.uint64)


def content_digests(
    images: np.ndarray, labels: np.ndarray, targets: np.ndarray | None = None
) -> np.ndarray:
    """Return a digest of every image, or of every row with what is to be predicted, uint64 [N, 2].

    Args:
        images: uint8 [N, C, H, W]; of a table float64 [N, D, 1, 1].
        labels: int64 [N], which count with a row alone: an image has them once.
        targets: float64 [N], of a table whose target is a number.
    """
    if images.dtype == np.uint8:
        return image_digests(images)
    last = labels if targets is None else targets
    rows = np.column_stack([images[:, :, 0, 0], last])
    return image_digests(rows + 0.0)  # -0.0 becomes 0.0


def equal_groups(digests: np.ndarray) -> np.ndarray:
    """Return the number of the group of equal digests that each is of, int64 [N].

    Groups are numbered by their first member, so that digests which all differ are 0, 1, 2, ….
    """
    _, first, group = np.unique(digests, axis=0, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[group.reshape(-1)]


def _equal(digests: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the rows of every digest that occurs more than once, in the order of the images."""
    order = np.lexsort(digests.T)  # keeps the order of equal ones
    same = np.all(digests[order[1:]] == digests[order[:-1]], axis=1)
    ends = np.flatnonzero(~np.append(same, False)) + 1
    starts = np.append(0, ends[:-1])
    groups = [order[a:b] for a, b in zip(starts, ends, strict=True) if b - a > 1]
    yield from sorted(groups, key=lambda group: group[0])


def _place(row: int, first_test: int) -> Place:
    return (SPLITS[1], int(row - first_test)) if row >= first_test else (SPLITS[0], int(row))
