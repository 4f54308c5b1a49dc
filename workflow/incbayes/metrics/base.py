"""What a metric is: a number of a prediction, and the facts by which it is judged and written.

One file and one line in `kinds` make a metric. Its module imports torch and NumPy in the function
that computes, as the facts are asked for while a study is planned.
"""

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

Predicted = Literal["classes", "number"]
"""What a likelihood predicts."""

Of = Literal["classes", "number", "uncertainty", "outliers", "stages"]
"""What a metric is computed of."""

DECIMALS = 12
"""Decimals by which confidences and uncertainties are compared: e^ln(p) misses p by some bits."""

if TYPE_CHECKING:  # so that planning a study does not pay for importing torch
    import numpy as np
    import pandas as pd
    from torch import Tensor


@dataclass(frozen=True)
class Metric:
    """A number of predictions, called with them, and its facts.

    Attributes:
        value: returns the number of a prediction, of what is true, and of the number of bins of a
            calibration error. Of classes: log-probabilities ln p(y | x), float64 [N, K], and
            labels, int64 [N]. Of a number: a mixture of S Gaussians, mean and standard deviation,
            float64 [N, S, 2], and the numbers, float64 [N]. Of an uncertainty, in nats: the entropy
            of the predictive and the mutual information of label and weights, float64 [N, 2], and
            whether an image is an outlier, int64 [N]. Of stages: the values of `by_stage` after
            stages 1 to t of one chain, float64 NumPy [t]; what is true is None, and there are no
            bins.
        title: in running text, e.g. `accuracy`.
        heading: of a column of written values, e.g. `Accuracy (%)`.
        better: which value is the better one; `nominal`: the nearest to `nominal`.
        bounds: the least and the largest that it can be; an end may be infinite.
        unit: of a written value, in full.
        difference_unit: of a written difference.
        factor: from a record's value to the written one.
        decimals: of a written value.
        figure: that shows it, and with it a claim on it; None where none does.
        of: what it is computed of; `uncertainty` and `outliers` are of classes too, the former of
            the held-out images or of an outlier set, the latter of both together. What is of
            `stages` no job scores: `results.over_stages` makes it of records.
        by_stage: name of the metric of one stage that it is made of, where it is of `stages`.
        tempered: whether it is of predictions at a fitted temperature, which only experiments with
            `partition.calibration` have.
        nominal: what it should be, where neither more nor less is better.
        of_image: returns of the rows of per-image evidence the numbers [N] whose mean it is; None
            where it is no mean over images.
        tabled: whether the report's tables have a column of it; records and claims always do.
        several_draws: whether it is of what the draws of the weights, or the members of an
            ensemble, differ in, which one network does not have.
        everywhere: whether it is computed of the parts and of shifted images too, and not of the
            held-out images as they are alone.
    """

    value: "Callable[[Any, Any, int], float]"
    title: str
    heading: str
    better: Literal["greater", "less", "nominal"]
    bounds: tuple[float, float] = (-math.inf, math.inf)
    unit: str = ""
    difference_unit: str = ""
    factor: float = 1.0
    decimals: int = 4
    figure: str | None = None
    of: Of = "classes"
    by_stage: str = ""
    tempered: bool = False
    nominal: float = math.nan
    of_image: "Callable[[pd.DataFrame], np.ndarray] | None" = None
    tabled: bool = True
    several_draws: bool = False
    everywhere: bool = True

    def __call__(self, prediction: "Tensor", truth: "Tensor", bins: int) -> float:
        """Return the number of a prediction and of what is true, in the form that `value` takes."""
        return self.value(prediction, truth, bins)

    def at_fitted_temperature(self, title: str, heading: str) -> "Metric":
        """Return the same number of predictions at a temperature fitted on other images.

        That is temperature scaling (Guo et al. 2017); `evaluation.temperature` has the form. To be
        too sure of oneself throughout costs nothing then, so that what is left is which images a
        method is unsure of. Both numbers belong beside each other.
        """
        changes = {"figure": None, "tempered": True, "of_image": None}
        return dataclasses.replace(self, title=title, heading=heading, **changes)

    @property
    def predicts(self) -> Predicted:
        """What a likelihood must predict for it to make sense."""
        return "number" if self.of == "number" else "classes"

    @property
    def meaning(self) -> str:
        """What it is, in a sentence: the first line of what `value` says of itself."""
        words = (self.value.__doc__ or self.title).strip().splitlines()[0].removeprefix("Return ")
        scaled = " Of predictions at a temperature fitted on other images." if self.tempered else ""
        return words[0].upper() + words[1:] + scaled

    @property
    def superlative(self) -> str:
        """What the best of several has, in words, e.g. `highest accuracy`."""
        if self.better == "nominal":
            return f"{self.title} nearest to {self.nominal:g}"
        return f"{'highest' if self.better == 'greater' else 'lowest'} {self.title}"

    def best(self, values: Sequence[float]) -> int:
        """Return the position of the best value, the first of equals."""
        if self.better == "nominal":
            chosen = min(values, key=lambda value: abs(value - self.nominal))
        else:
            chosen = max(values) if self.better == "greater" else min(values)
        return values.index(chosen)


def unregistered(name: str) -> Metric:
    """Return how a metric is written that records have and this release does not: as it is."""

    def value(*_: object) -> float:
        raise NotImplementedError(f"metric {name}: not computed by this release")

    return Metric(value, title=name, heading=name, better="greater")
