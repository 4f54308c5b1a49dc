"""Loads the images of a task, scaled and ready to compute on, from the prepared files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from incbayes.data import PIXELS
from incbayes.data.labels import task_labels
from incbayes.data.prepared import PreparedSplit, load_checksums, open_split
from incbayes.inference.optimisation import Part


@dataclass(frozen=True)
class ImageSource:
    """One split of a prepared data set, memory-mapped, and how its pixels are scaled.

    Attributes:
        split: the mapped images (uint8 [N, C, H, W]) and labels (int64 [N]).
        checksums: what `checksums.json` says of the data set.
        sha256: digest of the split's file.
        pixels: `{"kind": …, options}` of the scaling.
        device: where the loaded images go.
    """

    split: PreparedSplit
    checksums: Mapping[str, Any]
    sha256: str
    pixels: Mapping[str, Any]
    device: torch.device

    @classmethod
    def open(
        cls, folder: Path, split: str, pixels: Mapping[str, Any], device: torch.device
    ) -> "ImageSource":
        """Open `{folder}/{split}.safetensors`, verifying it against `checksums.json`."""
        checksums = load_checksums(Path(folder) / "checksums.json")
        sha256 = checksums[split]["sha256"]
        mapped = open_split(Path(folder) / f"{split}.safetensors", expected_sha256=sha256)
        return cls(mapped, checksums, sha256, pixels, device)

    @property
    def shape(self) -> tuple[int, int, int]:
        """[C, H, W] of an image."""
        return tuple(self.checksums["shape"])

    def load(self, indices: Sequence[int] | None, classes: Sequence[int]) -> Part:
        """Return the images at `indices`, with labels as positions in `classes`.

        Args:
            indices: into the split; None for every image of these classes.
            classes: class numbers of the task, ascending.
        """
        if indices is None:
            wanted = torch.isin(self.split.labels, torch.tensor(list(classes)))
            index = wanted.nonzero()[:, 0]
        else:
            index = torch.as_tensor(indices, dtype=torch.int64)
        images = self.split.images[index]
        scaling = PIXELS.build(self.pixels)
        scaled = scaling.scale(images, self.checksums["mean"], self.checksums["std"])
        labels = task_labels(self.split.labels[index], classes)
        if scaled.shape[1] > 1:
            scaled = scaled.contiguous(memory_format=torch.channels_last)
        available = int(torch.isin(self.split.labels, torch.tensor(list(classes))).sum())
        return Part(scaled.to(self.device), labels.to(self.device), available)
