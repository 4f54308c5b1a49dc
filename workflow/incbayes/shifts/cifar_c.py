"""Corrupted copies of a test set in files as those of CIFAR-10-C."""

from dataclasses import dataclass
from typing import Any, ClassVar

from incbayes.core.options import option
from incbayes.shifts.stored import NAMES, SOURCE, StoredShift

CORRUPTIONS = """
    gaussian_noise shot_noise impulse_noise defocus_blur glass_blur motion_blur zoom_blur snow frost
    fog brightness contrast elastic_transform pixelate jpeg_compression
""".split()  # noqa: SIM905 (as a list: a line each)
"""Those that the mean of the benchmark is over; four more lie beside them, for validation."""


@dataclass(frozen=True)
class CifarC(StoredShift):
    """Copies of the test images in files, as CIFAR-10-C has them (Hendrycks and Dietterich 2019).

    `NAME.npy`, uint8 [5·N, H, W, C], the N test images in their order at strength 1, then at 2, up
    to 5; `labels.npy`, [5·N], their labels likewise.
    """

    constraints: ClassVar[dict[str, Any]] = {
        "by_value": True,
        "strengths": 5,
        "images": "{name}.npy",
        "labels": "labels.npy",
    }

    source: str = option("CIFAR-10-C", SOURCE)
    names: list[str] = option(CORRUPTIONS, NAMES.format(15))
    levels: list[int] = option([1, 2, 3, 4, 5], "Strengths.", minimum=1, maximum=5)
