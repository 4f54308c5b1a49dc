"""Made data sets, before they are prepared."""

import numpy as np

from incbayes.data.raw import RawSplits

CONSTRAINTS = {"shape": [2, 3, 3], "classes": ["a", "b"], "train": 4, "test": 2}


def raw_splits(**changes):
    """Return splits as CONSTRAINTS declares them, with some arrays replaced."""
    arrays = {
        "train_images": np.zeros((4, 2, 3, 3), np.uint8),
        "train_labels": np.array([0, 1, 0, 1]),
        "test_images": np.zeros((2, 2, 3, 3), np.uint8),
        "test_labels": np.array([0, 0]),
    }
    return RawSplits(**{**arrays, **changes})
