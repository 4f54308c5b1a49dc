"""What the groups of a claim say of every image, where their chains keep it.

It knows per-image evidence and which metrics are means of it; it tests nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd

from incbayes.claims.crossed import OnOtherImages, crossed_interval
from incbayes.core.seal import Seal
from incbayes.metrics.named import metric_of
from incbayes.results.evidence import (
    LOG_PROBABILITY,
    Evidence,
    EvidenceError,
    read_evidence,
    sealed_evidence,
)
from incbayes.study.chains import Chain
from incbayes.study.model.claims import Group

ABSOLUTE, RELATIVE = 1e-6, 2.0**-LOG_PROBABILITY.bits
"""How far a mean of what is kept may lie from the record: more than its rounding."""


class Reader(Protocol):
    """Reads the evidence of a chain in one block of replicates."""

    def __call__(self) -> Evidence:
        """Return it, verified."""


@dataclass(frozen=True)
class OfImages:
    """A metric's number of every image and replicate, of which the metric is the mean.

    Attributes:
        numbers: one row a replicate, one column an image.
        images: SHA-256 of the files that hold the images.
    """

    numbers: pd.DataFrame
    images: frozenset[str]


@dataclass(frozen=True)
class ImageEvidence:
    """The per-image evidence of a study's chains.

    Attributes:
        readers: of each chain that keeps it, one a block.
    """

    readers: Mapping[Chain, Sequence[Reader]] = field(default_factory=dict)
    _read: dict[tuple[Chain, str], OfImages] = field(default_factory=dict, compare=False)

    def of(self, group: Group, metric: str) -> OfImages | None:
        """Return a metric's numbers of a group.

        None where there are none: of a stage before the last, of another split or predictor, of a
        metric that is no mean over images, and of a chain that keeps no evidence.
        """
        usual = (group.stage, group.split, group.predictor) == (group.T, "test", "predictive")
        chain = group.experiment, group.method, group.T
        of_image = metric_of(metric).of_image
        if not usual or of_image is None or chain not in self.readers:
            return None
        if (chain, metric) not in self._read:
            blocks = [read() for read in self.readers[chain]]
            columns = [
                block.frame[["replicate", "image"]].assign(value=of_image(block.frame))
                for block in blocks
            ]
            numbers = pd.concat(columns).pivot(index="replicate", columns="image", values="value")
            images = frozenset(str(block.identity["images"]) for block in blocks)
            self._read[chain, metric] = OfImages(numbers, images)
        return self._read[chain, metric]

    def check(self, group: Group, metric: str, values: pd.Series) -> None:
        """Check that a group's evidence gives the values of its records.

        Args:
            group: of a claim.
            metric: its name.
            values: of the records, by replicate.

        Raises:
            EvidenceError: it gives another one, by more than the rounding of what is kept.
        """
        found = self.of(group, metric)
        if found is None:
            return
        means, values = found.numbers.mean(axis=1).align(values, join="inner")
        sizes = found.numbers.abs().mean(axis=1)[means.index]
        far = (means - values).abs() > ABSOLUTE + RELATIVE * sizes
        if far.any():
            replicate = far.idxmax()
            raise EvidenceError(
                f"evidence of {group.experiment} {group.method} T={group.T}: its {metric} of "
                f"replicate {replicate} is not that of the records, {means[replicate]:.6g} instead "
                f"of {values[replicate]:.6g}: they are not of one run"
            )

    def interval(
        self,
        first: Group | float,
        second: Group | float,
        metric: str,
        replicates: Sequence[int],
    ) -> OnOtherImages | None:
        """Return the interval of a comparison over replicates and images.

        Args:
            first: a group, or a constant.
            second: that it is compared with, likewise; not both are constants.
            metric: its name.
            replicates: numbers of those that are compared.

        Returns:
            The interval; None where a group has no evidence of all these replicates, or they are
            not all scored on the same images.
        """
        groups = [group for group in (first, second) if isinstance(group, Group)]
        found = [self.of(group, metric) for group in groups]
        tables: list[np.ndarray] = []
        images: set[str] = set()
        places: list[tuple[int, ...]] = []
        for of_group in found:
            if of_group is None or not set(replicates) <= set(of_group.numbers.index):
                return None
            numbers = of_group.numbers.loc[list(replicates)].dropna(axis=1, how="all")
            images |= of_group.images
            places.append(tuple(numbers.columns))
            tables.append(numbers.to_numpy(dtype=float))
        alike = len(images) == 1 and len(set(places)) == 1
        if not alike or any(np.isnan(table).any() for table in tables):
            return None
        in_order = iter(tables)
        of_first, of_second = (
            next(in_order) if isinstance(group, Group) else group for group in (first, second)
        )
        differences = np.asarray(of_first - of_second)
        if min(differences.shape) < 2:
            return None
        return OnOtherImages(differences.shape[1], *crossed_interval(differences))


NO_EVIDENCE = ImageEvidence()


def of_run(files: Sequence[Path], records: Seal) -> ImageEvidence:
    """Return the evidence that jobs left, verified to be of the scores that records are of.

    Args:
        files: the evidence.parquet of last stages, `…/{experiment}/{method}/T{T}/{block}/t{t}/…`.
        records: the seal of the records.
    """
    readers: dict[Chain, list[Reader]] = {}
    for path in files:
        experiment, method, parts = path.parts[-6:-3]
        chain = experiment, method, int(parts.removeprefix("T"))
        readers.setdefault(chain, []).append(partial(sealed_evidence, path, records))
    return ImageEvidence(readers)


def of_publication(files: Mapping[str, Path]) -> ImageEvidence:
    """Return published evidence, which is verified already, by the names of its stages."""
    readers: dict[Chain, list[Reader]] = {}
    for stage, path in files.items():
        experiment, method, parts, *_ = stage.split("/")
        chain = experiment, method, int(parts.removeprefix("T"))
        readers.setdefault(chain, []).append(partial(read_evidence, path, stage))
    return ImageEvidence(readers)
