"""Corrupted copies of test images: from files as published to one that scoring maps into memory.

Knows what the copies must agree with: number, shape and labels of the prepared test images. Files
are mapped and copied in pieces, never read whole.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from incbayes.core.files import atomic_write, remove_stale_partials
from incbayes.core.npy import NpyError, open_array
from incbayes.core.seal import Seal, check_parent, write_seal
from incbayes.data.prepared import ARTIFACT, described, read_images_seal, read_labels
from incbayes.data.raw import DataError

COPIES = "test.npy"
"""Prepared: uint8 [corruptions, strengths, N, H, W, C]."""

PIECE = 2048
"""Images at a time."""


@dataclass(frozen=True)
class CorruptedFiles:
    """Corrupted copies as published.

    Attributes:
        files: with the images and with the labels, by corruption.
        strengths: how often every test image is in a file.
    """

    files: Mapping[str, tuple[Path, Path]]
    strengths: int


def prepare_corrupted(
    raw: CorruptedFiles,
    test: Path,
    folder: Path,
    log: Callable[[str], None] = lambda line: None,
) -> Seal:
    """Check corrupted copies against the test images, and write them in one file and its seal.

    Args:
        raw: the files.
        test: folder of the prepared data set whose test images these are copies of.
        folder: of `test.npy` and its seal, `checksums.json`, which is written last; what they are
            of is named as it.
        log: is told what was checked, a line a corruption.

    Raises:
        DataError: a file is missing or damaged, of another shape, or not of these test images.
    """
    seal = read_images_seal(test / "checksums.json")
    facts = described(seal)
    labels = read_labels(test / "test.safetensors", facts["test"]["sha256"])
    channels, height, width = facts["shape"]
    form = (raw.strengths * len(labels), height, width, channels)
    arrays = {}
    for name, (images, theirs) in raw.files.items():
        try:
            arrays[name] = open_array(images, form, "u1")
            _check_labels(theirs, open_array(theirs, form[:1], "iu"), labels, test.name)
        except NpyError as error:
            raise DataError(
                f"{error}: {raw.strengths} of each of the {len(labels)} test images of {test.name}"
            ) from None
    remove_stale_partials(folder)
    head = {"descr": "|u1", "fortran_order": False, "shape": (len(arrays), *form)}
    # Not through a map, in which a full disk ends the process without a word.
    with atomic_write(folder / COPIES) as partial, partial.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, head)
        for name, array in arrays.items():
            for start in range(0, len(array), PIECE):
                file.write(np.ascontiguousarray(array[start : start + PIECE]).data)
            log(f"{name}: {len(array)} images, whose labels are those of the test images")
        file.flush()
    said = {
        "corruptions": list(arrays),
        "strengths": raw.strengths,
        "images": len(labels),
        "shape": facts["shape"],
    }
    path = folder / "checksums.json"
    identity = {"data": folder.absolute().name}
    return write_seal(path, ARTIFACT, identity, [folder / COPIES], {"images": seal}, said)


def _check_labels(path: Path, found: np.ndarray, labels: np.ndarray, whose: str) -> None:
    """Check that labels are those of the test images, once for every strength."""
    wrong = np.flatnonzero(found != np.tile(labels, len(found) // len(labels)))
    if len(wrong):
        first = int(wrong[0])
        raise DataError(
            f"{path}: {len(wrong)} of {len(found)} labels are not those of the test images of "
            f"{whose} in their order, at first number {first}, {found[first]} where "
            f"{labels[first % len(labels)]} is meant: these are copies of other images, or {whose} "
            "has them in another order; take the data set as its authors publish it"
        )


@dataclass(frozen=True)
class CorruptedImages:
    """Prepared corrupted copies, memory-mapped.

    Attributes:
        copies: uint8 [corruptions, strengths, N, H, W, C].
        corruptions: their names, in order.
        seal: of the file.
    """

    copies: np.ndarray
    corruptions: list[str]
    seal: Seal

    @classmethod
    def open(cls, folder: Path, test: Seal) -> "CorruptedImages":
        """Open what was prepared in a folder, verified to be copies of these test images.

        Args:
            folder: of `prepare_corrupted`.
            test: the seal of the data set.

        Raises:
            SealError: a file is damaged or edited, or of other test images.
        """
        seal = read_images_seal(folder / "checksums.json")
        check_parent(seal, "images", test)
        facts = seal.facts
        channels, height, width = facts["shape"]
        names, strengths = list(facts["corruptions"]), facts["strengths"]
        form = (len(names), strengths * facts["images"], height, width, channels)
        mapped = open_array(seal.verified(folder / COPIES), form, "u1")
        return cls(mapped.reshape(len(names), strengths, -1, *form[2:]), names, seal)

    def at(self, corruption: str, strength: int, index: np.ndarray) -> torch.Tensor:
        """Return copies of test images, uint8 [n, C, H, W].

        Args:
            corruption: its name.
            strength: from 1.
            index: positions in the test set, [n].
        """
        chosen = self.copies[self.corruptions.index(corruption), strength - 1][index]
        return torch.from_numpy(np.ascontiguousarray(chosen.transpose(0, 3, 1, 2)))
