"""Loads the images of a task, scaled and ready to compute on, from the prepared files."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from incbayes.core.seal import Seal
from incbayes.data.columns import TableColumns
from incbayes.data.labels import task_labels
from incbayes.data.part import Part, Unit
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
        split: the mapped images (uint8 [N, C, H, W]) and labels (int64 [N]); of a table its rows.
        seal: of the data set.
        checksums: what it says of the data set.
        sha256: digest of the split's file.
        pixels: `{"kind": …, options}` of the scaling.
        device: where the loaded images go.
        change: of stored pixels, uint8 [N, C, H, W], before they are scaled; None for none.
    """

    split: PreparedSplit
    seal: Seal
    checksums: Mapping[str, Any]
    sha256: str
    pixels: Mapping[str, Any]
    device: torch.device
    change: Callable[[torch.Tensor], torch.Tensor] | None = None

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

    def changed(self, change: Callable[[torch.Tensor], torch.Tensor]) -> "ImageSource":
        """Return the same images with their stored pixels changed as they are loaded.

        Args:
            change: of uint8 [N, C, H, W], all images of a `load` at once.
        """
        return replace(self, change=change)

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

    @property
    def table(self) -> TableColumns | None:
        """The columns of a table; None of images."""
        stated = self.checksums.get("table")
        return None if stated is None else TableColumns.of(stated)

    def numbers(self, first: Sequence[int] | PixelStatistics) -> PixelStatistics | None:
        """Return the mean and std that the scaling takes; None where it takes none.

        Of a table those of the columns and, where it is a number, of the target, which is last.

        Args:
            first: indices into the training split of a replicate's first images, or what is known
                of those of another data set.

        Raises:
            DataError: they cannot be scaled by these.
        """

        def of_first() -> PixelStatistics:
            if isinstance(first, PixelStatistics):
                return first
            index = torch.as_tensor(first, dtype=torch.int64)
            images = self.split.images[index].numpy()
            if self.table is None:
                return PixelStatistics(*pixel_statistics(images))
            targets = None if self.split.targets is None else self.split.targets[index].numpy()
            return PixelStatistics(*self.table.statistics(images, targets))

        scaling = PIXELS.build(self.pixels)
        everything = PixelStatistics(self.checksums["mean"], self.checksums["std"])
        found = scaling.numbers(everything, of_first)
        if self.table is not None:
            whose = "the rows"
            if scaling.of_first_images and isinstance(first, PixelStatistics):
                whose = "the rows of pretrain.data"
            elif scaling.of_first_images:
                whose = f"the first {len(first)} rows"
            self.table.check_varied(found.std, whose)
        return found

    def indices_of(self, classes: Sequence[int]) -> torch.Tensor:
        """Return the positions of every image of these classes, ascending, int64 [N]."""
        wanted = torch.isin(self.split.labels, torch.tensor(list(classes)))
        return wanted.nonzero()[:, 0]

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
            index = self.indices_of(classes)
        else:
            index = torch.as_tensor(indices, dtype=torch.int64)
        images = self.split.images[index]
        if self.change is not None:
            images = self.change(images)
        scaled = PIXELS.build(self.pixels).scale(images, numbers)
        labels, unit = task_labels(self.split.labels[index], classes), None
        if self.split.targets is not None and numbers is not None:
            unit = Unit(numbers.mean[-1], numbers.std[-1])
            labels = ((self.split.targets[index] - unit.mean) / unit.std).float()
        if scaled.shape[1] > 1:
            scaled = scaled.contiguous(memory_format=torch.channels_last)
        available = int(torch.isin(self.split.labels, torch.tensor(list(classes))).sum())
        return Part(scaled.to(self.device), labels.to(self.device), available, unit)
