"""What a metric is: a number of a prediction, and the facts by which it is judged and written.

One file and one line in `kinds` make a metric. Its module imports torch and NumPy in the function
that computes, as the facts are asked for while a study is planned.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:  # so that planning a study does not pay for importing torch
    from torch import Tensor


@dataclass(frozen=True)
class Metric:
    """A number of predictions, called with them, and its facts.

    Attributes:
        value: returns the number of log-probabilities ln p(y | x), float64 [N, K], labels, int64
            [N], and the number of bins of a calibration error.
        title: in running text, e.g. `accuracy`.
        heading: of a column of written values, e.g. `Accuracy (%)`.
        better: which value is the better one.
        bounds: the least and the largest that it can be; an end may be infinite.
        unit: of a written value, in full.
        difference_unit: of a written difference.
        factor: from a record's value to the written one.
        decimals: of a written value.
        figure: that shows it, and with it a claim on it; None where none does.
    """

    value: "Callable[[Tensor, Tensor, int], float]"
    title: str
    heading: str
    better: Literal["greater", "less"]
    bounds: tuple[float, float] = (-math.inf, math.inf)
    unit: str = ""
    difference_unit: str = ""
    factor: float = 1.0
    decimals: int = 4
    figure: str | None = None

    def __call__(self, log_probabilities: "Tensor", labels: "Tensor", bins: int) -> float:
        """Return the number of log-probabilities, float64 [N, K], and labels, int64 [N]."""
        return self.value(log_probabilities, labels, bins)

    @property
    def superlative(self) -> str:
        """What the best of several has, in words, e.g. `highest accuracy`."""
        return f"{'highest' if self.better == 'greater' else 'lowest'} {self.title}"

    def best(self, values: Sequence[float]) -> int:
        """Return the position of the best value, the first of equals."""
        chosen = max(values) if self.better == "greater" else min(values)
        return values.index(chosen)


def unregistered(name: str) -> Metric:
    """Return how a metric is written that records have and this release does not: as it is."""

    def value(*_: object) -> float:
        raise NotImplementedError(f"metric {name}: not computed by this release")

    return Metric(value, title=name, heading=name, better="greater")
