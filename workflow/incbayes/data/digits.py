"""scikit-learn's embedded handwritten digits: real images that need no network.

Knows the one cut into training and test that this project uses, as there is no official one.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from incbayes.core.streams import numpy_stream
from incbayes.data.origin import Origin
from incbayes.data.partition import class_balanced_order
from incbayes.data.raw import RawSplits

CUT_SEED = 1998
"""Fixes which images are test images (the year in which the digits were published)."""


@dataclass(frozen=True)
class Digits:
    """Handwritten digits embedded in scikit-learn: 1,797 grey images of 8×8 pixels.

    scikit-learn has no official test set. The cut here is stratified and the same for every
    study and seed: 360 test images, 1,437 training images, fixed by `CUT_SEED`; each class has
    its share among the test images to within one. The images keep their order.

    Pixels v are 0..16; they become round(255·v/16), half rounded up, so that 0 → 0, 8 → 128
    and 16 → 255. Different values stay different.
    """

    constraints: ClassVar[dict[str, Any]] = {
        "shape": [1, 8, 8],
        "classes": [str(digit) for digit in range(10)],
        "train": 1437,
        "test": 360,
    }

    origin: ClassVar[Origin] = Origin(
        "Optical Recognition of Handwritten Digits",
        "https://doi.org/10.24432/C50P49",
        "Alpaydin, Kaynak (1998), Cascading classifiers, Kybernetika 34(4)",
        "https://creativecommons.org/licenses/by/4.0/",
    )

    def load(self, data_root: Path) -> RawSplits:
        """Return the images and labels; `data_root` is not used, as the data are embedded."""
        from sklearn.datasets import load_digits

        digits = load_digits()
        images = scale_to_bytes(digits.images.astype(np.int64))[:, None]
        labels = digits.target.astype(np.int64)
        shuffled = numpy_stream(CUT_SEED, "digits", "test").permutation(len(labels))
        order = shuffled[class_balanced_order(labels[shuffled])]
        is_test = np.zeros(len(labels), dtype=bool)
        is_test[order[: self.constraints["test"]]] = True
        return RawSplits(images[~is_test], labels[~is_test], images[is_test], labels[is_test])


def scale_to_bytes(values: np.ndarray) -> np.ndarray:
    """Return round(255·v/16), half rounded up, as uint8, for integers 0..16 of any shape."""
    return ((values * 255 + 8) // 16).astype(np.uint8)
