"""What a stage is fitted with, as the study says it; needs no torch."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from incbayes.core.json_digest import digest
from incbayes.study.model.base import KindSpec, read, to_plain
from incbayes.study.model.fitting import (
    AugmentationSettings,
    BayesianLayers,
    NormalisationForm,
    ObjectiveSettings,
    TrainingSettings,
)

IMPLIED: dict[str, Any] = {
    "inference": KindSpec("vi"),
    "likelihood": KindSpec("categorical"),
    "bayesian": "all",
    "normalisation": "point",
    "augmentation": None,
}
"""What a posterior was found with where its settings do not say, as they once did not."""


@dataclass(frozen=True)
class StageSettings:
    """The settings of a method in an experiment, resolved, its model and its likelihood."""

    family: KindSpec
    prior: KindSpec
    training: TrainingSettings
    objective: ObjectiveSettings
    model: KindSpec
    inference: KindSpec = field(default_factory=lambda: IMPLIED["inference"])
    likelihood: KindSpec = field(default_factory=lambda: IMPLIED["likelihood"])
    bayesian: BayesianLayers = "all"
    normalisation: NormalisationForm = "point"
    augmentation: AugmentationSettings | None = None

    @classmethod
    def of(cls, sections: Mapping[str, Any]) -> "StageSettings":
        """Return the settings that JSON values by section, `model` among them, stand for."""
        return read(cls, sections)

    def config(self, pixels: KindSpec, seed: int) -> str:
        """Return the digest of all that decides a chain's numbers, beside its data and its code.

        Args:
            pixels: the scaling.
            seed: of the study.
        """
        configured = {"settings": self.identity(), "pixels": to_plain(pixels), "seed": seed}
        return digest(configured)

    def identity(self) -> dict[str, Any]:
        """Return what a posterior is known by: all settings but those of `IMPLIED`, as JSON."""
        kept = {key: value for key, value in vars(self).items() if IMPLIED.get(key) != value}
        return to_plain(kept)
