"""The columns of a table: what each feature becomes, and by which numbers they are standardised.

Knows values and names; which file they come from, and which rows are whose, others say.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from incbayes.data.raw import DataError
from incbayes.study.tables import encoded_columns

Missing = Literal["refuse", "mean"]


@dataclass(frozen=True)
class TableColumns:
    """The columns of a table.

    Attributes:
        features: names of those that a network sees, in its order.
        categories: of those of them that hold categories, which there are.
        target: name of what is predicted.
        classes: names of its classes; None where it is a number.
        missing: what is done where a feature has no value.
    """

    features: tuple[str, ...]
    categories: Mapping[str, tuple[str, ...]]
    target: str
    classes: tuple[str, ...] | None
    missing: Missing = "refuse"

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> "TableColumns":
        """Return the columns that `facts` describes."""
        categories = {name: tuple(values) for name, values in facts["categories"].items()}
        classes = facts["classes"]
        return cls(
            tuple(facts["features"]),
            categories,
            facts["target"],
            None if classes is None else tuple(classes),
            facts["missing"],
        )

    @property
    def facts(self) -> dict[str, Any]:
        """The same as JSON values, by the names of the attributes."""
        return {
            "features": list(self.features),
            "categories": {name: list(values) for name, values in self.categories.items()},
            "target": self.target,
            "classes": None if self.classes is None else list(self.classes),
            "missing": self.missing,
        }

    @property
    def names(self) -> list[str]:
        """Of what a network sees, e.g. `age`, `colour=red`, in order."""
        encoded = encoded_columns(self.features, self.categories)
        return [name if category is None else f"{name}={category}" for name, category in encoded]

    @property
    def is_indicator(self) -> np.ndarray:
        """Which of what a network sees is 1 or 0 for a category, bool [D]."""
        encoded = encoded_columns(self.features, self.categories)
        return np.array([category is not None for _, category in encoded], dtype=bool)

    def statistics(
        self, inputs: np.ndarray, targets: np.ndarray | None, may_lack: bool = False
    ) -> tuple[list[float], list[float]]:
        """Return mean and (population) standard deviation of every column, and of the target.

        Missing values count in neither. An indicator has 0 and 1, and so stays as it is.

        Args:
            inputs: float64 [N, D, 1, 1] or [N, D], NaN where a value is missing.
            targets: float64 [N]; None of classes, which have none.
            may_lack: whether a column may have no value, as in a later part of a stream; its mean
                and deviation are 0 then.

        Returns:
            Two lists [D], [D + 1] with the target last where it is a number.

        Raises:
            DataError: a column has no value, naming it.
        """
        values = inputs.reshape(len(inputs), -1)
        if targets is not None:
            values = np.column_stack([values, targets])
        indicator = np.append(self.is_indicator, [False] * (targets is not None))
        names = [*self.names, self.target]
        means, deviations = [], []
        for column, is_indicator, name in zip(values.T, indicator, names, strict=False):
            if is_indicator:
                means.append(0.0)
                deviations.append(1.0)
                continue
            known = column[~np.isnan(column)]
            if not len(known) and may_lack:
                known = np.zeros(1)
            if not len(known):
                raise DataError(f"column {name!r}: none of {len(column)} rows has a value")
            constant = known.min() == known.max()  # whose mean is rounded
            means.append(float(known[0] if constant else known.mean()))
            deviations.append(0.0 if constant else float(known.std()))
        return means, deviations

    def check_varied(self, deviations: Sequence[float], whose: str) -> None:
        """Check that no column, and no target, is constant: it cannot be standardised.

        Args:
            deviations: as of `statistics`.
            whose: rows they are of, in words.

        Raises:
            DataError: naming the columns that are.
        """
        names = [*self.names, self.target]
        constant = [name for name, value in zip(names, deviations, strict=False) if value <= 0]
        if constant:
            raise DataError(
                f"pixels: columns: {', '.join(map(repr, constant))} is the same in all of {whose}, "
                "and what is constant cannot be standardised; leave it out of features, or use "
                "statistics: all, where it varies there"
            )
