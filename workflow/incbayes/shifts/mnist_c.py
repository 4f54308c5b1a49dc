"""Corrupted copies of a test set in files as those of MNIST-C."""

from dataclasses import dataclass
from typing import Any, ClassVar

from incbayes.core.options import option
from incbayes.shifts.stored import NAMES, SOURCE, StoredShift

CORRUPTIONS = """
    shot_noise impulse_noise glass_blur motion_blur shear scale rotate brightness translate stripe
    fog spatter dotted_line zigzag canny_edges
""".split()  # noqa: SIM905 (as a list: a line each)
"""Those of the benchmark; `identity`, the images as they are, lies beside them."""


@dataclass(frozen=True)
class MnistC(StoredShift):
    """Copies of the test images in files, as MNIST-C has them (Mu and Gilmer 2019).

    `NAME/test_images.npy`, uint8 [N, H, W, C], the N test images in their order at the only
    strength; `NAME/test_labels.npy`, [N], their labels.
    """

    constraints: ClassVar[dict[str, Any]] = {
        "by_value": True,
        "strengths": 1,
        "images": "{name}/test_images.npy",
        "labels": "{name}/test_labels.npy",
    }

    source: str = option("mnist_c", SOURCE)
    names: list[str] = option(CORRUPTIONS, NAMES.format(15))
    levels: list[int] = option([1], "Strengths, of which there is one.", minimum=1, maximum=1)
