"""The tidy frames that figures are drawn from, verified to be of the same posteriors."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pandas import DataFrame

from incbayes.core.seal import Seal
from incbayes.results.collect import collect_calibration, collect_training, sealed_records


@dataclass(frozen=True)
class Frames:
    """The tidy frames that figures draw from, as `incbayes.results.collect` returns them.

    Attributes:
        records: one row per value of a metric.
        training: one row per stage, replicate and epoch.
        calibration: one row per stage, replicate, predictor and bin.
    """

    records: DataFrame
    training: DataFrame
    calibration: DataFrame


def read_frames(
    study: str, records: Path, training: Iterable[str], calibration: Iterable[str]
) -> tuple[Frames, Seal]:
    """Return the frames of a study, and the seal of its records.

    Args:
        study: its id.
        records: metrics.parquet.
        training: the training.csv of every stage.
        calibration: the calibration.csv of every stage.

    Raises:
        SealError: a file is damaged or edited, or of other posteriors than the records.
    """
    frame, seal = sealed_records(records, study)
    trained = collect_training(map(Path, training))
    calibrated = collect_calibration(map(Path, calibration))
    for collected in (trained, calibrated):
        collected.check_posteriors(seal)
    return Frames(frame, trained.frame, calibrated.frame), seal
