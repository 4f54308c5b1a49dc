"""The settings of training, and what follows from them alone: rates and stopping."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from msgspec.structs import asdict

from incbayes.study.model.fitting import TrainingSettings


@dataclass(frozen=True)
class Plateau:
    """Stop when the bound per image has not risen by `min_delta` nats for `patience` epochs."""

    patience: int
    min_delta: float

    def reached(self, elbo_per_image: Sequence[float]) -> bool:
        """Return whether the series of epochs so far ends in a plateau."""
        best, since = -math.inf, 0
        for value in elbo_per_image:
            if value > best + self.min_delta:
                best, since = value, 0
            else:
                since += 1
        return since >= self.patience


@dataclass(frozen=True)
class Training:
    """How a stage is optimised; every value comes from the study.

    Attributes:
        epochs: passes over the part; a cap where `plateau` may stop earlier.
        batch_size: largest minibatch; a part is cut into equal ones (±1).
        learning_rate: of Adam, at the start of the schedule.
        log_sigma_rate: factor of the learning rate for parameters that hold log-widths.
        schedule: `cosine` falls to 0 over `epochs`, `constant` stays.
        plateau: early stop, or None.
        precision: `bf16` computes products under autocast, parameters stay float32.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    log_sigma_rate: float
    schedule: Literal["cosine", "constant"]
    plateau: Plateau | None
    precision: Literal["fp32", "bf16"]

    @classmethod
    def of(cls, settings: TrainingSettings) -> "Training":
        """Return the settings from the resolved `training` section of a study."""
        stated = asdict(settings)
        if settings.plateau is not None:
            stated["plateau"] = Plateau(**asdict(settings.plateau))
        return cls(**stated)

    def batches(self, images: int) -> int:
        """Return the number of minibatches that an epoch over `images` images is cut into."""
        return math.ceil(images / self.batch_size)

    def rate(self, step: int, steps: int) -> float:
        """Return the factor of the learning rate at `step` of `steps` (from 0)."""
        if self.schedule == "constant":
            return 1.0
        return 0.5 * (1.0 + math.cos(math.pi * step / steps))
