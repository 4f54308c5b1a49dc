"""scikit-learn's embedded tables: real rows that need no network.

Knows the one cut into training and test that this project uses, as there is no official one.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from incbayes.data.columns import TableColumns
from incbayes.data.origin import Origin
from incbayes.data.raw import RawSplits
from incbayes.data.table import cut_rows
from incbayes.data.table_file import Rows


@dataclass(frozen=True)
class BreastCancer:
    """Tumours embedded in scikit-learn (Wisconsin): 569 rows of 30 measures, two classes.

    scikit-learn has no official test set. The cut here has the share of each class and is the same
    for every study and seed: 114 test rows, 455 training rows, in their order.
    """

    constraints: ClassVar[dict[str, Any]] = {
        "table": True,
        "shape": [30, 1, 1],
        "classes": ["malignant", "benign"],
        "train": 455,
        "test": 114,
    }
    origin: ClassVar[Origin] = Origin(
        "Breast Cancer Wisconsin (Diagnostic)",
        "https://doi.org/10.24432/C5DW2B",
        "Street, Wolberg, Mangasarian (1993), Nuclear feature extraction for breast tumor "
        "diagnosis, Biomedical Image Processing and Biomedical Visualization, SPIE 1905",
        "https://creativecommons.org/licenses/by/4.0/",
    )

    @property
    def columns(self) -> TableColumns:
        """What its columns are."""
        from sklearn.datasets import load_breast_cancer

        names = tuple(str(name) for name in load_breast_cancer().feature_names)
        return TableColumns(names, {}, "diagnosis", tuple(self.constraints["classes"]))

    def load(self, data_root: Path) -> RawSplits:
        """Return the rows; `data_root` is not used, as the data are embedded."""
        from sklearn.datasets import load_breast_cancer

        found = load_breast_cancer()
        inputs, labels = found.data.astype(np.float64), found.target.astype(np.int64)
        return cut_rows(Rows(inputs, labels, None, _names(labels)), self.constraints["test"])


@dataclass(frozen=True)
class Diabetes:
    """Patients embedded in scikit-learn (Efron et al. 2004): 442 rows of 10 measures, a number.

    The target is a measure of the disease's progression a year later, 25 to 346. The columns are
    in their own units; `sex` is 1 or 2. The cut is the same for every study and seed: 88 test rows,
    354 training rows, in their order.
    """

    constraints: ClassVar[dict[str, Any]] = {
        "table": True,
        "number": True,
        "shape": [10, 1, 1],
        "classes": ["progression"],
        "train": 354,
        "test": 88,
    }
    origin: ClassVar[Origin] = Origin(
        "Diabetes",
        "https://www4.stat.ncsu.edu/~boos/var.select/diabetes.html",
        "Efron, Hastie, Johnstone, Tibshirani (2004), Least angle regression, Annals of Statistics "
        "32(2)",
    )

    @property
    def columns(self) -> TableColumns:
        """What its columns are."""
        from sklearn.datasets import load_diabetes

        return TableColumns(tuple(load_diabetes().feature_names), {}, "progression", None)

    def load(self, data_root: Path) -> RawSplits:
        """Return the rows; `data_root` is not used, as the data are embedded."""
        from sklearn.datasets import load_diabetes

        found = load_diabetes(scaled=False)
        inputs, targets = found.data.astype(np.float64), found.target.astype(np.float64)
        labels = np.zeros(len(targets), np.int64)
        return cut_rows(Rows(inputs, labels, targets, _names(labels)), self.constraints["test"])


def _names(rows: np.ndarray) -> tuple[str, ...]:
    return tuple(str(number) for number in range(1, len(rows) + 1))
