"""Gathers what the stages of a study wrote into tidy frames, and refuses what is malformed.

Knows the columns of metrics.json, training.csv and calibration.csv and the seals beside them;
knows nothing of how their numbers came about or are shown.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from incbayes.core.errors import UserError
from incbayes.core.files import atomic_write
from incbayes.core.seal import Seal, SealError, read_seal, readable, seal_path, write_seal
from incbayes.metrics.named import metric_of
from incbayes.results.arrived import counted, streamed
from incbayes.results.records import CALIBRATION_COLUMNS, EVIDENCE, RECORD_COLUMNS, stage_name
from incbayes.results.verification import check_place

RECORDS, SCORES, POSTERIOR = "records", "scores", "posterior"
"""Artifacts: the records of a study, the scores of a stage, and its posterior with its training."""


class CollectError(UserError, ValueError):
    """A file of results is malformed, or two of them contradict each other."""


STAGE_COLUMNS = {"study": str, "experiment": str, "method": str, "T": int, "t": int}
TRAINING_COLUMNS = {"replicate": int, "epoch": int, "images": int, "elbo": float, "nll": float}
TRAINING_OPTIONAL = re.compile(
    r"(kl|sigma_ratio)(/.+)?|penalty|function_kl|gradient_norm|learning_rate"
)

RECORD_KEY = [column for column in RECORD_COLUMNS if column not in ("value", "budget", "family")]
RECORD_ORDER = ["experiment", "method", "T", "t", "replicate", "split", "predictor", "metric"]
PREDICTORS = ("predictive", "mean")


@dataclass(frozen=True)
class Collected:
    """A tidy frame of a study's stages.

    Attributes:
        frame: the rows of all files.
        seals: of the files, by stage, e.g. `digits/ffg/T5/r0-2/t01`.
    """

    frame: pd.DataFrame
    seals: Mapping[str, Seal]

    def check_posteriors(self, records: Seal) -> None:
        """Check that these files and the records of a study are of the same posteriors.

        Args:
            records: the seal that `seal_records` wrote.

        Raises:
            SealError: naming the first stage that is of another posterior, or in one only.
        """
        posteriors, found = records.facts["posteriors"], posterior_digests(self.seals)
        for stage in sorted(set(posteriors) | set(found)):
            if posteriors.get(stage) != found.get(stage):
                raise SealError(
                    f"{records.path}: its records of {stage} are not of the posterior that is "
                    "there; run the same command again"
                )


def collect_records(paths: Iterable[Path]) -> Collected:
    """Return the records of all metrics.json files, in an order that depends on them alone.

    Raises:
        SealError: a file is damaged, edited, or of another stage than its place says.
        CollectError: naming the file, the record and what is wrong with it.
    """
    records: list[Mapping[str, Any]] = []
    sources: list[Path] = []
    seals = {}
    for path in map(Path, paths):
        stage, seal = stage_seal(path, SCORES)
        of_file = seal.read(path, _read_records)
        _check_identity(path, of_file, seal.identity)
        seals[stage] = seal
        records += of_file
        sources += [path] * len(of_file)
    frame = _typed(pd.DataFrame(records, columns=list(RECORD_COLUMNS)), RECORD_COLUMNS)
    _refuse_duplicates(frame, sources, RECORD_KEY)
    return Collected(ordered_records(counted(frame, streamed(seals))), seals)


def stage_seal(path: Path, artifact: str) -> tuple[str, Seal]:
    """Return the name of a stage, and the seal of one of its files, which lies in its place.

    Args:
        path: of metrics.json or calibration.csv for `scores`, training.csv for `posterior`.
        artifact: one of the two.

    Raises:
        SealError: the seal is damaged, or that of another stage.
    """
    name = {SCORES: "metrics.json", POSTERIOR: "posterior.safetensors"}[artifact]
    seal = read_seal(seal_path(path.with_name(name)), artifact)
    check_place(seal)
    return stage_name(seal.identity), seal


def posterior_digests(seals: Mapping[str, Seal]) -> dict[str, str]:
    """Return the digest of the seal of each stage's posterior, by stage."""
    return {
        stage: seal.digest if seal.artifact == POSTERIOR else seal.parents[POSTERIOR].digest
        for stage, seal in seals.items()
    }


def seal_records(path: Path, study: str, collected: Collected, files: Iterable[Path]) -> Seal:
    """Seal the records of a study.

    Args:
        path: of the seal.
        study: its id.
        collected: as `collect_records` returns them.
        files: that hold them.
    """
    facts = {
        "posteriors": posterior_digests(collected.seals),
        "records": {stage: seal.facts["records"] for stage, seal in collected.seals.items()},
        "evidence": {
            stage: seal.files[EVIDENCE]
            for stage, seal in collected.seals.items()
            if EVIDENCE in seal.files
        },
    }
    return write_seal(path, RECORDS, {"study": study}, files, collected.seals, facts)


def sealed_records(path: Path, study: str) -> tuple[pd.DataFrame, Seal]:
    """Return the records of a study and their seal, verified.

    Raises:
        SealError: they are damaged, edited, or of another study.
    """
    seal = read_seal(seal_path(path), RECORDS, {"study": study})
    return seal.read(path, read_records), seal


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
        CollectError: naming the file and what is wrong with it, e.g. two rows of the same thing.
    """

    def read(path: Path) -> pd.DataFrame:
        frame = pd.read_parquet(path, engine="pyarrow")
        _check_columns(path, frame.columns, RECORD_COLUMNS)
        return _typed(frame, RECORD_COLUMNS)

    if path.suffix == ".parquet":
        records = readable(path, read, "not records in Parquet", CollectError)
    else:
        records = _typed(_read_csv(path, RECORD_COLUMNS), RECORD_COLUMNS)
    _refuse_duplicates(records, [path] * len(records), RECORD_KEY)
    return records


def ordered_records(records: pd.DataFrame) -> pd.DataFrame:
    """Return records in an order that depends on them alone."""
    return records.sort_values(["study", *RECORD_ORDER], kind="stable", ignore_index=True)


def collect_training(paths: Iterable[Path]) -> Collected:
    """Return the rows of all training.csv files, with the stage that each is of.

    Columns that a family does not have (`kl…`, `sigma_ratio…` of `point`) are NaN in its rows.

    Args:
        paths: `…/{study}/{experiment}/{method}/T{T}/{block}/t{t}/training.csv`.

    Raises:
        SealError: a file is damaged, edited, or of another stage than its place says.
        CollectError: naming the file and what is wrong with it.
    """

    def read(path: Path, seal: Seal) -> pd.DataFrame:
        frame = seal.read(path, _read_training)
        _check_replicates(path, frame["replicate"], seal.identity)
        return pd.concat([_repeated(seal.identity, frame.index), frame], axis=1)

    key = [*STAGE_COLUMNS, "replicate", "epoch"]
    return _gathered(paths, POSTERIOR, read, {**STAGE_COLUMNS, **TRAINING_COLUMNS}, key)


def collect_calibration(paths: Iterable[Path]) -> Collected:
    """Return the bins of all calibration.csv files; an empty bin has no accuracy (NaN).

    A stage whose target is a number has no bins.

    Raises:
        SealError: a file is damaged, edited, or of another stage than its place says.
        CollectError: naming the file and what is wrong with it.
    """

    def read(path: Path, seal: Seal) -> pd.DataFrame:
        frame = seal.read(path, lambda path: _read_csv(path, CALIBRATION_COLUMNS))
        if len(frame):  # of a stage whose target is a number there are no bins
            _check_identity(path, frame.to_dict("records"), seal.identity)
        return frame

    key = ["study", *RECORD_ORDER[:-1], "bin"]
    return _gathered(paths, SCORES, read, CALIBRATION_COLUMNS, key)


def _gathered(
    paths: Iterable[Path],
    artifact: str,
    read: Callable[[Path, Seal], pd.DataFrame],
    columns: Mapping[str, type],
    key: list[str],
) -> Collected:
    """Return the rows of one file of every stage, sorted by `key`, with the seals of the stages.

    Args:
        paths: of the files.
        artifact: that they belong to, as `stage_seal` takes it.
        read: returns the rows of a file, checked against the seal of its stage.
        columns: that every row has, with their types.
        key: columns that tell the rows apart.
    """
    frames: list[pd.DataFrame] = []
    sources: list[Path] = []
    seals = {}
    for path in sorted(map(Path, paths)):
        stage, seal = stage_seal(path, artifact)
        seals[stage] = seal
        frame = read(path, seal)
        if len(frame):
            frames.append(frame)
        sources += [path] * len(frame)
    whole = _concatenated(frames, sources, columns, key)
    return Collected(counted(whole, streamed(seals)), seals)


def _read_training(path: Path) -> pd.DataFrame:
    frame = _read_csv(path, TRAINING_COLUMNS, TRAINING_OPTIONAL)
    if frame.empty:
        raise CollectError(f"{path}: no epoch in it; delete the stage and run it again")
    if not np.isfinite(frame[["elbo", "nll"]]).to_numpy().all():
        raise CollectError(f"{path}: elbo or nll is not finite; the stage diverged")
    return frame


def _check_identity(
    path: Path, rows: Sequence[Mapping[str, Any]], identity: Mapping[str, Any]
) -> None:
    """Check that rows are of the stage that their seal names, and of all of its replicates."""
    for row in rows:
        for column in (*STAGE_COLUMNS, "family"):
            if row[column] != identity[column]:
                raise CollectError(
                    f"{path}: {column} is {row[column]!r}, and its seal says {identity[column]!r}"
                )
    _check_replicates(path, [row["replicate"] for row in rows], identity)


def _check_replicates(path: Path, found: Iterable[int], identity: Mapping[str, Any]) -> None:
    held, meant = sorted(set(map(int, found))), sorted(identity["replicates"])
    if held != meant:
        raise CollectError(f"{path}: holds the replicates {held}, and its seal names {meant}")


def _read_records(path: Path) -> list[Mapping[str, Any]]:
    content = json.loads(path.read_text(encoding="utf-8"))
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
    metric = record["metric"]
    low, high = metric_of(metric).bounds
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
    files = dict.fromkeys(str(sources[int(row)]) for row in alike)
    what = ", ".join(f"{column} {first[column]}" for column in key)
    raise CollectError(f"{', '.join(files)}: two values for {what}")
