"""What a chain's last posterior says of every image that it is scored on: evidence.parquet.

Metrics can be computed again from it, and differences between methods be judged over images as
well as over replicates. One function writes it and one reads it; whose it is stands in the file
itself, beside the seal of the stage's scores. Knows columns, types and how they are rounded; it
imports no torch, so that a ledger can be made without.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from incbayes.core.errors import UserError
from incbayes.core.files import atomic_write
from incbayes.core.seal import Seal, SealError, read_seal, readable, seal_path
from incbayes.results.records import stage_name
from incbayes.results.verification import check_place

SCORES = "scores"
KEY = b"incbayes"
FORMAT = "incbayes evidence 2"
WITHOUT_BRIER = "incbayes evidence 1"
"""The format of files that were published before the Brier score of every image was kept."""

IDENTITY = ("study", "experiment", "method", "family", "T", "t", "replicates")
"""Of what a seal says of its stage, what the file repeats."""

Of = Literal["classes", "number"]


class EvidenceError(UserError, ValueError):
    """A file of per-image evidence is malformed, or not whose it is said to be."""


@dataclass(frozen=True)
class Rounding:
    """How the numbers of a column are rounded before they are written.

    To the nearest multiple of `step`, and then to `bits` bits of mantissa: a number x is kept to
    within step/2 + 2^-(bits + 1)·|x|.

    Attributes:
        step: 0 for none.
        bits: 23 keeps a float32 as it is.
    """

    step: float = 0.0
    bits: int = 23

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """Return the rounded numbers, float32."""
        if self.step:
            values = np.round(np.asarray(values, dtype=np.float64) / self.step) * self.step
        found = np.ascontiguousarray(values, dtype=np.float32)
        if self.bits == 23:
            return found
        dropped = 23 - self.bits
        whole = found.view(np.uint32).astype(np.uint64) + (1 << (dropped - 1))
        rounded = ((whole >> dropped) << dropped).astype(np.uint32).view(np.float32)
        return np.where(np.isfinite(found), rounded, found)

    def bound(self, values: np.ndarray) -> np.ndarray:
        """Return how far rounded numbers may lie from these."""
        relative = 2.0 ** -(self.bits + 1)
        return self.step / 2 * (1 + relative) + relative * np.abs(values)


LOG_PROBABILITY = Rounding(2.0**-21, 12)
ENTROPY = Rounding(2.0**-16, 8)
BRIER = Rounding(2.0**-21, 12)
EXACT = Rounding()

WHOLE = {"replicate": pa.int16(), "image": pa.int32(), "label": pa.int32(), "predicted": pa.int32()}
"""Columns of whole numbers, with their types."""

COLUMNS: Mapping[Of, Mapping[str, Rounding | None]] = {
    "classes": {
        "replicate": None,
        "image": None,
        "label": None,
        "predicted": None,
        "log_probability": LOG_PROBABILITY,
        "log_confidence": LOG_PROBABILITY,
        "entropy": ENTROPY,
        "mutual_information": ENTROPY,
        "brier": BRIER,
    },
    "number": {
        "replicate": None,
        "image": None,
        "target": EXACT,
        "error": EXACT,
        "deviation": EXACT,
        "log_density": EXACT,
        "below": EXACT,
    },
}
"""Columns of the evidence on classes and on a number, in order; None for whole numbers.

Of classes: number of the replicate; position of the image in its file; numbers of the true and of
the predicted class in the data set; ln p(label | x) and ln p(predicted | x) of the predictive;
its entropy; and the mutual information of label and weights, the entropy minus the mean entropy
of the draws (BALD, Houlsby et al. 2011, eq. 2), all in nats; and the Brier score of the image,
from 0 to 2, NaN where it was not kept.

Of a number, in the unit of the target: what is true; the predictive mean minus that; the standard
deviation of the predictive; its log-density at the truth, in nats; and F(truth), its distribution
function there.
"""


@dataclass(frozen=True)
class Evidence:
    """What the last posteriors of a block of replicates say of every image.

    Attributes:
        identity: `IDENTITY`, and `split`, `of` (`classes` or `number`) and `images`, the SHA-256
            of the file that holds the images.
        frame: the columns of `COLUMNS`, one row an image and replicate, by replicate and image.
    """

    identity: Mapping[str, Any]
    frame: pd.DataFrame

    @property
    def of(self) -> Of:
        """What was predicted."""
        return "number" if self.identity["of"] == "number" else "classes"

    @property
    def stage(self) -> str:
        """The name of the stage, as `records.stage_name` returns it."""
        return stage_name(self.identity)


def evidence_identity(stage: Mapping[str, Any], split: str, of: Of, images: str) -> dict[str, Any]:
    """Return the identity of evidence; `stage` is what the seal of its scores says."""
    return {key: stage[key] for key in IDENTITY} | {"split": split, "of": of, "images": images}


def write_evidence(path: Path, evidence: Evidence) -> None:
    """Write evidence, rounded as `COLUMNS` says; equal evidence gives equal bytes."""
    columns = COLUMNS[evidence.of]
    arrays = {}
    for name, rounding in columns.items():
        values = evidence.frame[name].to_numpy()
        if rounding is None:
            arrays[name] = pa.array(values, WHOLE[name])
        else:
            rounded = rounding(values)
            if name == "log_confidence":  # most often that of the label, which is there already
                same = evidence.frame["predicted"] == evidence.frame["label"]
                arrays[name] = pa.array(rounded, pa.float32(), mask=same.to_numpy())
            else:
                arrays[name] = pa.array(rounded, pa.float32())
    described = json.dumps({"format": FORMAT, **evidence.identity}, sort_keys=True)
    table = pa.table(arrays).replace_schema_metadata({KEY: described.encode()})
    encodings = {name: "BYTE_STREAM_SPLIT" for name, rounding in columns.items() if rounding}
    with atomic_write(path) as partial:
        pq.write_table(
            table,
            partial,
            compression="zstd",
            compression_level=15,
            use_dictionary=[name for name in ("replicate", "label", "predicted") if name in arrays],
            column_encoding=encodings | {"image": "DELTA_BINARY_PACKED"},
            write_statistics=False,
        )


def read_evidence(path: Path, stage: str | None = None) -> Evidence:
    """Return what `write_evidence` wrote.

    Args:
        path: of the file.
        stage: whose it must be, as `records.stage_name` names it; None for whosever it is.

    Raises:
        EvidenceError: naming the file, and what is wrong with it.
    """
    found = readable(Path(path), _parsed, "no per-image evidence in Parquet", EvidenceError)
    if stage is not None and found.stage != stage:
        raise EvidenceError(f"{path}: is the evidence of {found.stage}, expected that of {stage}")
    return found


def _parsed(path: Path) -> Evidence:
    table = pq.ParquetFile(path).read()
    described = json.loads((table.schema.metadata or {}).get(KEY, b"{}"))
    format_ = described.pop("format", None)
    if format_ not in (FORMAT, WITHOUT_BRIER) or described.get("of") not in COLUMNS:
        raise EvidenceError(f"{path}: is not of the format {FORMAT!r}")
    evidence = Evidence(described, table.to_pandas())
    columns, frame = dict(COLUMNS[evidence.of]), evidence.frame
    if format_ == WITHOUT_BRIER:
        columns.pop("brier", None)
    if list(frame) != list(columns):
        raise EvidenceError(f"{path}: columns are {list(frame)}, expected {list(columns)}")
    held = sorted(frame["replicate"].unique().tolist())
    if held != sorted(described["replicates"]):
        raise EvidenceError(f"{path}: holds the replicates {held}, and names others")
    if frame.duplicated(["replicate", "image"]).any():
        raise EvidenceError(f"{path}: an image is in it twice")
    if evidence.of == "classes":
        right = frame["predicted"] == frame["label"]
        filled = frame["log_confidence"].where(~right, frame["log_probability"])
        evidence = Evidence(described, frame.assign(log_confidence=filled))
    numbers = [name for name, rounding in columns.items() if rounding]
    if not np.isfinite(evidence.frame[numbers].to_numpy()).all():
        raise EvidenceError(f"{path}: a number is not finite")
    missing = dict.fromkeys(COLUMNS[evidence.of].keys() - columns.keys(), np.nan)
    return Evidence(described, evidence.frame.assign(**missing))


def sealed_evidence(path: Path, records: Seal) -> Evidence:
    """Return the evidence of a stage, verified to be of the scores that records were made of.

    Args:
        path: of the file, in the folder of its stage.
        records: the seal that `collect.seal_records` wrote.

    Raises:
        SealError: it is damaged or edited, or of other scores than the records.
        EvidenceError: it is not the evidence of its stage.
    """
    seal = read_seal(seal_path(path.with_name("metrics.json")), SCORES)
    check_place(seal)
    stage = stage_name(seal.identity)
    found = records.parents.get(stage)
    if found is None or found.digest != seal.digest:
        raise SealError(
            f"{path}: is of other scores than the records of {records.path}; run the same command "
            "again"
        )
    return seal.read(path, lambda path: read_evidence(path, stage))


def published_name(stage: str) -> str:
    """Return the file of a stage's evidence in a published folder, by the name of the stage."""
    *chain, parts, block, _ = stage.split("/")
    return f"evidence/{'.'.join(chain)}.{parts}.{block}.parquet"
