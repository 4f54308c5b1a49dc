"""Gathers what the stages of a study wrote into tidy frames, and refuses what is malformed.

Knows the columns of metrics.json, training.csv and calibration.csv and where those files
lie; knows nothing of how their numbers came about or are shown.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from incbayes.errors import UserError
from incbayes.files import atomic_write
from incbayes.metrics import BOUNDS


class CollectError(UserError, ValueError):
    """A file of results is malformed, or two of them contradict each other."""


STAGE_COLUMNS = {"study": str, "experiment": str, "method": str, "T": int, "t": int}
RECORD_COLUMNS = {
    "study": str,
    "experiment": str,
    "method": str,
    "family": str,
    "T": int,
    "t": int,
    "replicate": int,
    "split": str,
    "predictor": str,
    "metric": str,
    "value": float,
    "budget": str,
}
CALIBRATION_COLUMNS = {
    **{c: t for c, t in RECORD_COLUMNS.items() if c not in ("metric", "value", "budget")},
    "bin": int,
    "lower": float,
    "upper": float,
    "count": int,
    "confidence": float,
    "accuracy": float,
}
TRAINING_COLUMNS = {"replicate": int, "epoch": int, "images": int, "elbo": float, "nll": float}
TRAINING_OPTIONAL = re.compile(r"(kl|sigma_ratio)(/.+)?|gradient_norm|learning_rate")

RECORD_KEY = [column for column in RECORD_COLUMNS if column not in ("value", "budget", "family")]
RECORD_ORDER = ["experiment", "method", "T", "t", "replicate", "split", "predictor", "metric"]
PREDICTORS = ("predictive", "mean")


def collect_records(paths: Iterable[Path]) -> pd.DataFrame:
    """Return the records of all metrics.json files, in an order that depends on them alone.

    Raises:
        CollectError: naming the file, the record and what is wrong with it.
    """
    records: list[Mapping[str, Any]] = []
    sources: list[Path] = []
    for path in map(Path, paths):
        of_file = _read_records(path)
        records += of_file
        sources += [path] * len(of_file)
    frame = _typed(pd.DataFrame(records, columns=list(RECORD_COLUMNS)), RECORD_COLUMNS)
    _refuse_duplicates(frame, sources, RECORD_KEY)
    return ordered_records(frame)


def write_records(records: pd.DataFrame, path: Path) -> None:
    """Write `records` as Parquet or as CSV, by the suffix; equal records give equal bytes."""
    with atomic_write(path) as partial:
        if path.suffix == ".parquet":
            records.to_parquet(partial, index=False, engine="pyarrow", compression="zstd")
        else:
            records.to_csv(partial, index=False, lineterminator="\n")


def read_records(path: Path) -> pd.DataFrame:
    """Return the records that `write_records` wrote.

    Raises:
        CollectError: naming the file and what is wrong with it.
    """
    if path.suffix != ".parquet":
        return _typed(_read_csv(path, RECORD_COLUMNS), RECORD_COLUMNS)
    frame = pd.read_parquet(path, engine="pyarrow")
    _check_columns(path, frame.columns, RECORD_COLUMNS)
    return _typed(frame, RECORD_COLUMNS)


def ordered_records(records: pd.DataFrame) -> pd.DataFrame:
    """Return records in an order that depends on them alone."""
    return records.sort_values(["study", *RECORD_ORDER], kind="stable", ignore_index=True)


def collect_training(paths: Iterable[Path]) -> pd.DataFrame:
    """Return the rows of all training.csv files, with the stage that their path names.

    Columns that a family does not have (`kl…`, `sigma_ratio…` of `point`) are NaN in its rows.

    Args:
        paths: `…/{study}/{experiment}/{method}/T{T}/{block}/t{t}/training.csv`.

    Raises:
        CollectError: naming the file and what is wrong with it.
    """
    frames: list[pd.DataFrame] = []
    sources: list[Path] = []
    for path in sorted(map(Path, paths)):
        frame = _read_csv(path, TRAINING_COLUMNS, TRAINING_OPTIONAL)
        if frame.empty:
            raise CollectError(f"{path}: no epoch in it; delete the stage and run it again")
        if not np.isfinite(frame[["elbo", "nll"]]).to_numpy().all():
            raise CollectError(f"{path}: elbo or nll is not finite; the stage diverged")
        frames.append(pd.concat([_repeated(stage_of(path), frame.index), frame], axis=1))
        sources += [path] * len(frame)
    key = [*STAGE_COLUMNS, "replicate", "epoch"]
    return _concatenated(frames, sources, {**STAGE_COLUMNS, **TRAINING_COLUMNS}, key)


def collect_calibration(paths: Iterable[Path]) -> pd.DataFrame:
    """Return the bins of all calibration.csv files; an empty bin has no accuracy (NaN).

    Raises:
        CollectError: naming the file and what is wrong with it.
    """
    ordered = sorted(map(Path, paths))
    frames = [_read_csv(path, CALIBRATION_COLUMNS) for path in ordered]
    sources = [path for path, frame in zip(ordered, frames, strict=True) for _ in frame.index]
    key = ["study", *RECORD_ORDER[:-1], "bin"]
    return _concatenated(frames, sources, CALIBRATION_COLUMNS, key)


def stage_of(path: Path) -> dict[str, Any]:
    """Return study, experiment, method, T, block and t of a file in a stage's folder.

    Raises:
        CollectError: the path is not that of a stage.
    """
    parts = Path(path).parts[-7:-1]
    names = "/".join(parts)
    match = re.fullmatch(
        r"(?P<study>[^/]+)/(?P<experiment>[^/]+)/(?P<method>[^/]+)"
        r"/T(?P<T>\d+)/(?P<block>[^/]+)/t(?P<t>\d+)",
        names,
    )
    if not match:
        raise CollectError(
            f"{path}: expected …/{{study}}/{{experiment}}/{{method}}/T{{T}}/{{block}}/t{{t}}/"
            f"{Path(path).name}"
        )
    stage: dict[str, Any] = match.groupdict()
    return {**stage, "T": int(stage["T"]), "t": int(stage["t"])}


def _read_records(path: Path) -> list[Mapping[str, Any]]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CollectError(f"{path}: cannot be read as JSON: {error}") from error
    if not isinstance(content, list):
        raise CollectError(f"{path}: expected a list of records, found {type(content).__name__}")
    for index, record in enumerate(content):
        problem = _problem(record)
        if problem:
            raise CollectError(f"{path}: record {index}: {problem}")
    return content


def _problem(record: Any) -> str | None:
    """Return what is wrong with a record, or None."""
    if not isinstance(record, dict):
        return f"expected a mapping, found {type(record).__name__}"
    if set(record) != set(RECORD_COLUMNS):
        missing = sorted(set(RECORD_COLUMNS) - set(record))
        unknown = sorted(set(record) - set(RECORD_COLUMNS))
        return f"missing keys {missing}, unknown keys {unknown}"
    for column, kind in RECORD_COLUMNS.items():
        value = record[column]
        allowed = (int, float) if kind is float else kind
        if isinstance(value, bool) or not isinstance(value, allowed):
            return f"{column} is {value!r}, expected {kind.__name__}"
    if not np.isfinite(record["value"]):
        return f"value of {record['metric']} is {record['value']}, expected a finite number"
    low, high = BOUNDS.get(record["metric"], (-np.inf, np.inf))
    if not low <= record["value"] <= high:
        return f"value of {record['metric']} is {record['value']}, expected {low:g} to {high:g}"
    if not 1 <= record["t"] <= record["T"]:
        return f"t is {record['t']}, expected 1 to T = {record['T']}"
    if record["predictor"] not in PREDICTORS:
        return f"predictor is {record['predictor']!r}, expected one of {', '.join(PREDICTORS)}"
    return None


def _read_csv(
    path: Path, columns: Mapping[str, type], optional: re.Pattern[str] | None = None
) -> pd.DataFrame:
    """Read a CSV with the given columns and types, and others only if `optional` matches."""
    text = {column: str for column, kind in columns.items() if kind is str}
    try:
        frame = pd.read_csv(
            path,
            dtype=text,
            keep_default_na=False,
            na_values=["", "nan", "NaN"],
        )
    except (OSError, ValueError) as error:
        raise CollectError(f"{path}: cannot be read as CSV: {error}") from error
    known = [c for c in frame if c in columns or (optional and optional.fullmatch(c))]
    _check_columns(path, frame.columns, columns, known)
    for column in known:
        kind = columns.get(column, float)
        if kind is str:
            continue
        try:
            frame[column] = pd.to_numeric(frame[column])
            if kind is int:
                if (frame[column] % 1 != 0).any():
                    raise ValueError("expected whole numbers")
                frame[column] = frame[column].astype("int64")
        except (ValueError, TypeError) as error:
            raise CollectError(f"{path}: column {column}: {error}") from error
    return frame


def _check_columns(
    path: Path,
    found: Sequence[str],
    columns: Mapping[str, type],
    known: Sequence[str] | None = None,
) -> None:
    missing = [column for column in columns if column not in found]
    allowed = set(columns if known is None else known)
    unknown = [column for column in found if column not in allowed]
    if missing or unknown:
        raise CollectError(f"{path}: missing columns {missing}, unknown columns {unknown}")


def _repeated(stage: Mapping[str, Any], index: pd.Index) -> pd.DataFrame:
    return pd.DataFrame({column: stage[column] for column in STAGE_COLUMNS}, index=index)


def _typed(frame: pd.DataFrame, columns: Mapping[str, type]) -> pd.DataFrame:
    kinds = {str: object, int: "int64", float: "float64"}
    return frame.astype({column: kinds[kind] for column, kind in columns.items()})


def _concatenated(
    frames: Sequence[pd.DataFrame],
    sources: Sequence[Path],
    columns: Mapping[str, type],
    key: list[str],
) -> pd.DataFrame:
    """Return all rows sorted by `key`, which must not repeat; without frames, no rows."""
    if not frames:
        return _typed(pd.DataFrame(columns=list(columns)), columns)
    whole = _typed(pd.concat(frames, ignore_index=True), columns)
    _refuse_duplicates(whole, sources, key)
    return whole.sort_values(key, kind="stable", ignore_index=True)


def _refuse_duplicates(frame: pd.DataFrame, sources: Sequence[Path], key: list[str]) -> None:
    """Raise when two rows say something of the same thing: their mean would be of neither."""
    duplicated = frame.duplicated(key, keep=False).to_numpy()
    if not duplicated.any():
        return
    first = frame.loc[duplicated.argmax(), key]
    alike = np.flatnonzero((frame[key] == first).all(axis=1))
    files = dict.fromkeys(str(sources[row]) for row in alike)
    what = ", ".join(f"{column} {first[column]}" for column in key)
    raise CollectError(f"{', '.join(files)}: two values for {what}")
