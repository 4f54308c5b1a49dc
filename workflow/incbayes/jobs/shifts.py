"""The shifts of an experiment's test images, as splits that are scored beside them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from incbayes.core.seal import Seal
from incbayes.core.streams import numpy_stream
from incbayes.data.corrupted import CorruptedImages
from incbayes.data.images import ImageSource
from incbayes.data.part import Part
from incbayes.data.pixels import PixelStatistics
from incbayes.evaluation.score import Record
from incbayes.kinds import SHIFTS
from incbayes.study.model.base import KindSpec
from incbayes.study.shifts import PREFIX, corrupted, levels_of, mean_split, shift_split


@dataclass(frozen=True)
class Shifts:
    """The shifts of an experiment, those that lie in files opened.

    Attributes:
        kinds: `{"kind": …, options}` by name.
        opened: copies of the test images by the name of a shift whose images lie in files.
        test: the test images.
    """

    kinds: Mapping[str, Mapping[str, Any]]
    opened: Mapping[str, CorruptedImages]
    test: ImageSource

    @classmethod
    def open(
        cls,
        kinds: Mapping[str, Mapping[str, Any]],
        folders: Mapping[str, Path],
        test: ImageSource,
    ) -> "Shifts":
        """Open those that lie in files, which must be copies of the test images.

        Args:
            kinds: `{"kind": …, options}` by name.
            folders: of the prepared copies, by the name of a shift whose images lie in files.
            test: the test images.

        Raises:
            SealError: a file is damaged, or of other test images.
        """
        opened = {name: CorruptedImages.open(folder, test.seal) for name, folder in folders.items()}
        return cls(kinds, opened, test)

    @property
    def seals(self) -> dict[str, Seal]:
        """The seals of the copies in files, by role."""
        return {f"{PREFIX}{name}": copies.seal for name, copies in self.opened.items()}

    def parts(
        self,
        index: np.ndarray,
        classes: Sequence[int],
        numbers: PixelStatistics | None,
        stream: tuple[int, str, int],
    ) -> dict[str, Part]:
        """Return the test images at every level of every shift that is made, by the split's name.

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
                continue
            built = SHIFTS.build(kind)
            for level, value in levels_of(KindSpec.of(kind)).items():
                generator = numpy_stream(seed, experiment, replicate, "shifts", name, level)
                changed = self.test.changed(
                    lambda x, b=built, v=value, g=generator: b.changed(x, v, g)
                )
                found[shift_split(name, level)] = changed.load(index, classes, numbers)
        return found

    def stored_parts(
        self, index: np.ndarray, classes: Sequence[int], numbers: PixelStatistics | None
    ) -> Iterator[tuple[str, Part]]:
        """Yield split and images of every corruption and level that lie in files, one at a time.

        They are too many to be held at once. Arguments as of `parts`.
        """
        for name, copies in self.opened.items():
            stated = KindSpec.of(self.kinds[name])
            for corruption in stated.options["names"]:
                for level in levels_of(stated):
                    found = copies.at(corruption, level, index)
                    part = self.test.changed(lambda _, f=found: f).load(index, classes, numbers)
                    yield shift_split(corrupted(name, corruption), level), part

    def mean_records(self, records: Iterable[Record]) -> list[Record]:
        """Return records of means over all corruptions and levels of each shift in files.

        Every corruption and level counts the same, so that a mean accuracy is one less the
        unnormalised mean corruption error (Hendrycks et al. 2020, AugMix, of CIFAR-10-C).

        Args:
            records: of one stage and replicate, those of `stored_parts` among them.
        """
        found = []
        for name in self.opened:
            start = f"{PREFIX}{corrupted(name, '')}"
            groups: dict[tuple[str, str], list[Record]] = {}
            for record in records:
                if record["split"].startswith(start):
                    groups.setdefault((record["predictor"], record["metric"]), []).append(record)
            for alike in groups.values():
                mean = float(np.mean([record["value"] for record in alike]))
                found.append({**alike[0], "split": mean_split(name), "value": mean})
        return found
