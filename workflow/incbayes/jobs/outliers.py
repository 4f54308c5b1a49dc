"""The outlier sets of an experiment, as splits that are scored beside the test images."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from incbayes.core.seal import Seal
from incbayes.core.streams import numpy_stream
from incbayes.data.images import ImageSource
from incbayes.data.part import Part
from incbayes.data.pixels import PixelStatistics
from incbayes.data.raw import DataError
from incbayes.evaluation.score import chosen_of_number
from incbayes.kinds import OUTLIERS
from incbayes.study.outliers import PREFIX


@dataclass(frozen=True)
class Outliers:
    """The outlier sets of an experiment, those that are data sets opened.

    Attributes:
        kinds: `{"kind": …, options}` by name.
        opened: test images by the name of a set that is a data set.
        test: the test images of the experiment.
    """

    kinds: Mapping[str, Mapping[str, Any]]
    opened: Mapping[str, ImageSource]
    test: ImageSource

    @classmethod
    def open(
        cls,
        kinds: Mapping[str, Mapping[str, Any]],
        folders: Mapping[str, Path],
        test: ImageSource,
    ) -> "Outliers":
        """Open the sets that are data sets, scaled as the test images are.

        Args:
            kinds: `{"kind": …, options}` by name.
            folders: of the prepared images, by the name of a set that is a data set.
            test: the test images of the experiment.

        Raises:
            DataError: a file is damaged, or its images have another shape.
        """
        opened = {}
        for name, folder in folders.items():
            source = ImageSource.open(folder, "test", test.pixels, test.device)
            if source.shape != test.shape:
                raise DataError(
                    f"{folder}: the outliers {name} are images of {list(source.shape)}, and the "
                    f"task's of {list(test.shape)}; choose a data set of the same shape"
                )
            opened[name] = source
        return cls(kinds, opened, test)

    @property
    def seals(self) -> dict[str, Seal]:
        """The seals of the data sets, by role."""
        return {f"{PREFIX}{name}": source.seal for name, source in self.opened.items()}

    def parts(
        self,
        index: np.ndarray,
        classes: Sequence[int],
        numbers: PixelStatistics | None,
        stream: tuple[int, str, int],
    ) -> dict[str, Part]:
        """Return the images of every set by the split's name; labels say nothing.

        Args:
            index: positions of the scored test images, [N].
            classes: of the task.
            numbers: that the scaling takes, of the replicate.
            stream: seed of the study, experiment and replicate, from which chance is drawn.
        """
        seed, experiment, replicate = stream
        found = {}
        for name, kind in self.kinds.items():
            if name in self.opened:
                source = self.opened[name]
                chosen = chosen_of_number(len(source.split.labels), len(index)).numpy()
                every = range(len(source.class_names))
                part = source.load(chosen, every, numbers)
            else:
                generator = numpy_stream(seed, experiment, replicate, "outliers", name)
                built = OUTLIERS.build(kind)
                made = self.test.changed(lambda x, b=built, g=generator: b.made(x, g))
                part = made.load(index, classes, numbers)
            found[f"{PREFIX}{name}"] = Part(part.images, torch.zeros_like(part.labels))
        return found
