"""The shifts of an experiment's test images, as splits that are scored beside them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from incbayes.core.streams import numpy_stream
from incbayes.data.images import ImageSource
from incbayes.data.part import Part
from incbayes.data.pixels import PixelStatistics
from incbayes.kinds import SHIFTS
from incbayes.study.model.base import KindSpec
from incbayes.study.shifts import levels_of, shift_split


@dataclass(frozen=True)
class Shifts:
    """The shifts of an experiment.

    Attributes:
        kinds: `{"kind": …, options}` by name.
        test: the test images.
    """

    kinds: Mapping[str, Mapping[str, Any]]
    test: ImageSource

    def parts(
        self,
        index: np.ndarray,
        classes: Sequence[int],
        numbers: PixelStatistics | None,
        stream: tuple[int, str, int],
    ) -> dict[str, Part]:
        """Return the test images at every level of every shift, by the split's name.

        Args:
            index: positions of the scored test images, [N].
            classes: of the task.
            numbers: that the scaling takes, of the replicate.
            stream: seed of the study, experiment and replicate, from which chance is drawn.
        """
        seed, experiment, replicate = stream
        found = {}
        for name, kind in self.kinds.items():
            built = SHIFTS.build(kind)
            for level, value in levels_of(KindSpec.of(kind)).items():
                generator = numpy_stream(seed, experiment, replicate, "shifts", name, level)
                changed = self.test.changed(
                    lambda x, b=built, v=value, g=generator: b.changed(x, v, g)
                )
                found[shift_split(name, level)] = changed.load(index, classes, numbers)
        return found
