"""What of a stream was prepared, as digests: they stay when a part is deleted.

A digest says whether an image is the same as another, pixel by pixel, or a row, value by value;
neither can be made of it again, though who has the image can tell that it was there. Knows no
chain: which parts count together, `jobs.repeats` says.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load, save

from incbayes.core.files import atomic_write
from incbayes.core.seal import read_seal, seal_path, write_seal
from incbayes.data.duplicates import content_digests
from incbayes.data.prepared import SPLITS, open_split, read_images_seal
from incbayes.data.raw import RawSplits
from incbayes.study.streams import PARTS, TEST

ARTIFACT = "digests"


@dataclass(frozen=True, eq=False)
class Seen:
    """What a part holds, or the folder `test`.

    Attributes:
        digests: uint64 [D, 2], each once, whether it is fitted to or scored.
        noun: of what they are, such as image.
    """

    digests: np.ndarray
    noun: str

    def common(self, other: "Seen") -> int:
        """Return how many of the digests are those of another one, too."""
        maybe = np.isin(self.digests[:, 0], other.digests[:, 0])
        if not maybe.any():
            return 0
        others = set(map(tuple, other.digests.tolist()))
        return sum(tuple(digest) in others for digest in self.digests[maybe].tolist())


def write_seen(raw: RawSplits, folder: Path, facts: Mapping[str, Any]) -> None:
    """Write the digests of what is prepared into a folder, and their seal, beside all folders.

    Args:
        raw: what is prepared.
        folder: of a part or of the test images, of a stream.
        facts: of the prepared files.
    """
    digests = np.concatenate(
        [
            content_digests(raw.train_images, raw.train_labels, raw.train_targets),
            content_digests(raw.test_images, raw.test_labels, raw.test_targets),
        ]
    )
    path = seen_path(folder)
    with atomic_write(path) as partial:
        partial.write_bytes(save({"digests": np.unique(digests, axis=0)}))
    named = {"noun": "row" if "table" in facts else "image"}
    write_seal(seal_path(path), ARTIFACT, {"data": folder.name}, [path], facts=named)


def read_seen(folder: Path) -> Seen | None:
    """Return what a prepared part holds, or held; None where neither it nor its digests are there.

    What an earlier version prepared has no file of digests; they are made of its images.

    Raises:
        SealError: the file of digests is damaged or edited.
        DataError: there is none, and the prepared files are damaged.
    """
    path = seen_path(folder)
    if path.is_file() and seal_path(path).is_file():
        seal = read_seal(seal_path(path), ARTIFACT, {"data": folder.name})
        digests = seal.read(path, lambda path: load(path.read_bytes())["digests"])
        return Seen(digests, seal.facts["noun"])
    if not (folder / "checksums.json").is_file():
        return None
    seal, found = read_images_seal(folder / "checksums.json"), []
    for split in SPLITS:
        name = f"{split}.safetensors"
        stored = open_split(folder / name, expected_sha256=seal.files[name])
        targets = None if stored.targets is None else stored.targets.numpy()
        found.append(content_digests(stored.images.numpy(), stored.labels.numpy(), targets))
    noun = "row" if "table" in seal.facts else "image"
    return Seen(np.unique(np.concatenate(found), axis=0), noun)


def seen_path(folder: Path) -> Path:
    """Return the file of digests of a prepared folder: where it stays when that is deleted."""
    if folder.parent.name == PARTS:
        return folder.parent.parent / "digests" / PARTS / f"{folder.name}.safetensors"
    return folder.parent / "digests" / f"{folder.name}.safetensors"


def folder_of_test(part: Path) -> Path:
    """Return the folder of the prepared test images of the stream that a prepared part is of."""
    return part.parent.parent / TEST
