"""The tidy records of scores: their columns, and a digest that does not depend on the file.

Knows names and types; imports no table library, so that the job which scores can use it.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

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
"""Names and types of what a record holds, in order."""

CALIBRATION_COLUMNS = {
    **{c: t for c, t in RECORD_COLUMNS.items() if c not in ("metric", "value", "budget")},
    "bin": int,
    "lower": float,
    "upper": float,
    "count": int,
    "confidence": float,
    "accuracy": float,
}
"""Of a bin of a stage's calibration."""

EVIDENCE = "evidence.parquet"
"""Of what is said of every image, the file in the folder of a chain's last stage."""


def records_digest(records: Iterable[Mapping[str, Any]]) -> str:
    """Return the SHA-256 of records, whatever their order and the file that they are in.

    Args:
        records: one mapping of `RECORD_COLUMNS` each; floats count with all their digits.
    """
    lines = sorted(
        json.dumps([kind(record[column]) for column, kind in RECORD_COLUMNS.items()])
        for record in records
    )
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def block_name(replicates: list[int]) -> str:
    """Return the name of a block of replicates, e.g. `r0-2`."""
    return f"r{replicates[0]}-{replicates[-1]}"


def stage_name(identity: Mapping[str, Any]) -> str:
    """Return e.g. `digits/ffg/T5/r0-2/t01` of what a stage says of itself."""
    chain = f"{identity['experiment']}/{identity['method']}/T{identity['T']}"
    return f"{chain}/{block_name(identity['replicates'])}/t{identity['t']:02d}"
