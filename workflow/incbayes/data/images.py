"""Loads the images of a task, scaled and ready to compute on, from the prepared files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from incbayes.core.seal import Seal
from incbayes.data.labels import task_labels
from incbayes.data.part import Part
from incbayes.data.pixels import PixelStatistics
from incbayes.data.prepared import (
    PreparedSplit,
    described,
    open_split,
    pixel_statistics,
    read_images_seal,
)
from incbayes.kinds import PIXELS


@dataclass(frozen=True)
class ImageSource:
    """One split of a prepared data set, memory-mapped, and how its pixels are scaled.

    Attributes:
        split: the mapped images (uint8 [N, C, H, W]) and labels (int64 [N]).
        seal: of the data set.
        checksums: what it says of the data set.
        sha256: digest of the split's file.
        pixels: `{"kind": …, options}` of the scaling.
        device: where the loaded images go.
    """

    split: PreparedSplit
    seal: Seal
    checksums: Mapping[str, Any]
    sha256: str
    pixels: Mapping[str, Any]
    device: torch.device

    @classmethod
    def open(
        cls, folder: Path, split: str, pixels: Mapping[str, Any], device: torch.device
    ) -> "ImageSource":
        """Open `{folder}/{split}.safetensors`, verifying it against `checksums.json`."""
        seal = read_images_seal(Path(folder) / "checksums.json")
        checksums = described(seal)
        sha256 = checksums[split]["sha256"]
        mapped = open_split(Path(folder) / f"{split}.safetensors", expected_sha256=sha256)
        return cls(mapped, seal, checksums, sha256, pixels, device)

    @property
    def shape(self) -> tuple[int, int, int]:
        """[C, H, W] of an image."""
        return tuple(self.checksums["shape"])

    @property
    def class_names(self) -> list[str]:
        """Names of the classes of the data set, by class number."""
        return list(self.checksums["classes"])

    @property
    def decoding(self) -> dict[str, Any]:
        """How image files became these pixels, options of `image_file.Wanted`; empty for others."""
        return dict(self.checksums.get("decoding", {}))

    def numbers(self, first: Sequence[int]) -> PixelStatistics | None:
        """Return the mean and std that the scaling takes; None where it takes none.

        Args:
            first: indices into the training split of a replicate's first images.

        Raises:
            DataError: they cannot be scaled by these.
        """

        def of_first() -> PixelStatistics:
            index = torch.as_tensor(first, dtype=torch.int64)
            return PixelStatistics(*pixel_statistics(self.split.images[index].numpy()))

        everything = PixelStatistics(self.checksums["mean"], self.checksums["std"])
        return PIXELS.build(self.pixels).numbers(everything, of_first)

    def load(
        self,
        indices: Sequence[int] | None,
        classes: Sequence[int],
        numbers: PixelStatistics | None,
    ) -> Part:
        """Return the images at `indices`, with labels as positions in `classes`.

        Args:
            indices: into the split; None for every image of these classes.
            classes: class numbers of the task, ascending.
            numbers: that the scaling takes, of the replicate.
        """
        if indices is None:
            wanted = torch.isin(self.split.labels, torch.tensor(list(classes)))
            index = wanted.nonzero()[:, 0]
        else:
            index = torch.as_tensor(indices, dtype=torch.int64)
        images = self.split.images[index]
        scaled = PIXELS.build(self.pixels).scale(images, numbers)
        labels = task_labels(self.split.labels[index], classes)
        if scaled.shape[1] > 1:
            scaled = scaled.contiguous(memory_format=torch.channels_last)
        available = int(torch.isin(self.split.labels, torch.tensor(list(classes))).sum())
        return Part(scaled.to(self.device), labels.to(self.device), available)
