"""What a data set delivers before preparation, and the error of everything that reads data.

Knows neither where the images come from nor what becomes of them.
"""

from dataclasses import dataclass

import numpy as np

from incbayes.core.errors import UserError


class DataError(UserError, ValueError):
    """Data that are missing, damaged or not what was declared; the message is one line."""


@dataclass(frozen=True, eq=False)
class RawSplits:
    """The images and labels of a data set, as its authors cut it into training and test.

    Attributes:
        train_images: uint8 [N, C, H, W].
        train_labels: int64 [N], class numbers from 0.
        test_images: uint8 [M, C, H, W].
        test_labels: int64 [M].
        remarks: what the log of the preparation is to say of them, a line each.
        train_targets: float64 [N], of a table whose target is a number; None of all else, where
            the labels say what is predicted. Of a table the images are float64 [N, D, 1, 1], a
            channel a column, NaN where a value is missing.
        test_targets: float64 [M].
    """

    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    remarks: tuple[str, ...] = ()
    train_targets: np.ndarray | None = None
    test_targets: np.ndarray | None = None
