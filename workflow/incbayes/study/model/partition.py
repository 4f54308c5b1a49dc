"""Which images an experiment has, and how they are cut into parts."""

from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from incbayes.core.fractions import images_in, some_images_in
from incbayes.study.model.base import DERIVED, UNIQUE, Fraction, OpenFraction, Section, stated

Class = Annotated[
    int,
    Meta(ge=0, le=99_999, description="Number of a class, from 0."),
    stated(definition="class"),
]
Classes = Annotated[tuple[Class, ...], Meta(min_length=1), UNIQUE]


class PartitionSettings(Section, frozen=True, kw_only=True):
    """Which images there are, and how they are cut into parts.

    Attributes:
        stratify: Whether every part gets the same share of each class; false draws the parts
            i.i.d.
        fraction: Fraction of the target task's training images that is used.
        source_fraction: Fraction of the source task's training images that is used, drawn anew for
            each replicate.
        source_classes: The classes of the source task, at least two where there is `pretrain`: a
            number of classes, drawn anew for each replicate, or a list of class numbers from 0;
            null: there is no source task.
        target_classes: The classes of the target task, a list of two or more class numbers from 0;
            null: all that are not in the source task.
        calibration: Fraction of the target task's images, of those that are used, that is held out
            of every part, never trained on: `nll_tempered` and `ece_tempered` are of predictions at
            the temperature that fits them best. Without it these two are absent.
        validation: Fraction that is held out of the parts; only a search has it.
    """

    stratify: bool = False
    fraction: Fraction = 1.0
    source_fraction: Fraction = 1.0
    source_classes: Annotated[int, Meta(ge=1, le=100_000)] | Classes | None = None
    target_classes: Classes | None = None
    calibration: Annotated[OpenFraction | UnsetType, stated(x_default="—")] = UNSET
    validation: Annotated[OpenFraction | UnsetType, DERIVED] = UNSET

    @property
    def is_of_search(self) -> bool:
        """Whether it leaves a validation cut out of the parts, for a search for settings."""
        return self.validation is not UNSET

    @property
    def held_out(self) -> float | UnsetType:
        """The fraction that is left out of the parts: for a search, or else for calibration."""
        return self.validation if self.is_of_search else self.calibration

    @property
    def is_calibrated(self) -> bool:
        """Whether temperatures are fitted, on images that are left out of the parts."""
        return self.calibration is not UNSET and not self.is_of_search

    def images_to_fit(self, images: int) -> int:
        """Return how many of so many training images of a task the parts have together."""
        kept = images_in(self.fraction, images)
        if not isinstance(self.held_out, UnsetType):
            kept -= some_images_in(self.held_out, kept)
        return max(0, kept)

    @property
    def source_size(self) -> int:
        """Number of classes of the source task; 0 for none."""
        classes = self.source_classes
        return len(classes) if isinstance(classes, tuple) else classes or 0
