"""Verifies a published folder: its records and its evidence are those that jobs scored.

Per-image evidence has a file of each chain's last stage and block, so that added replicates leave
the files of the others as they are. They are the bytes that jobs wrote, whose digests the seal of
the folder holds.
"""

from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from incbayes.core.seal import SHOWN, Seal, SealError, read_seal
from incbayes.results.collect import read_records
from incbayes.results.evidence import EvidenceError, published_name, read_evidence
from incbayes.results.records import records_digest, stage_name
from incbayes.study.blocks import block_replicates

RECORDS, SEAL, ARTIFACT = "metrics.csv", "publication.seal.json", "publication"


def verify_publication(folder: Path) -> Seal:
    """Verify a published folder, without the posteriors; return its seal.

    Its seal holds the checksum of every file, and the digests of each stage's records and of the
    evidence of a last stage that the job which scored it sealed: against these they are verified,
    stage by stage. What was published before there was evidence has none.

    Raises:
        SealError: a file is missing, damaged or edited, or the records are not those of the stages.
    """
    seal = read_seal(folder / SEAL, ARTIFACT)
    for name in seal.files:
        seal.verified(folder / name)
    found = _stage_digests(seal.read(folder / RECORDS, read_records), seal.facts["stages"])
    for stage, digests in seal.facts["stages"].items():
        if found[stage] != digests["records"]:
            raise SealError(
                f"{folder / RECORDS}: its records of {stage} are not those that were scored"
            )
    _verify_evidence(folder, seal)
    return seal


def _stage_digests(records: pd.DataFrame, stages: Mapping[str, Any]) -> dict[str, str]:
    """Return the digest of the records of each stage, which is named as `stage_name` does."""
    groups = dict(list(records.groupby(["experiment", "method", "T", "t"], sort=False)))
    found = {}
    for stage in stages:
        *chain, parts, block, t = stage.split("/")
        key = ("/".join(chain[:-1]), chain[-1], int(parts[1:]), int(t[1:]))
        rows = groups.get(key, records.iloc[:0])
        of_block = rows[rows["replicate"].isin(block_replicates(block))]
        found[stage] = records_digest(of_block.to_dict("records"))
    return found


def stage_of(run: Mapping[str, Any]) -> str:
    """Return the name of the stage that a run record is of."""
    return stage_name({**run, "replicates": list(block_replicates(run["block"]))})


def evidence_of_runs(
    evidence: Mapping[str, bytes], runs: Iterable[Mapping[str, Any]]
) -> dict[str, bytes]:
    """Return the evidence of the stages of some run records, in their order."""
    stages = (stage_of(run) for run in runs if "evidence" in run)
    return {stage: evidence[stage] for stage in stages if stage in evidence}


def evidence_files(folder: Path, seal: Seal) -> dict[str, Path]:
    """Return the files of evidence in a published folder, by the names of their stages.

    Args:
        folder: that was published.
        seal: of it.
    """
    stages = seal.facts["stages"].items()
    return {stage: folder / published_name(stage) for stage, of in stages if "evidence" in of}


def _verify_evidence(folder: Path, seal: Seal) -> None:
    """Verify that evidence is what the jobs which scored wrote, and of the stages it names.

    Args:
        folder: that was published.
        seal: of it, by which the files are verified.

    Raises:
        SealError: a file is not among those of the seal, of another job, or cannot be read.
    """
    for stage, path in evidence_files(folder, seal).items():
        found = seal.files.get(published_name(stage))
        meant = seal.facts["stages"][stage]["evidence"]
        if found != meant:
            shown = "absent" if found is None else f"{found[:SHOWN]}…"
            raise SealError(
                f"{path}: the evidence of {stage} is {shown}, and {meant[:SHOWN]}… was scored"
            )
        try:
            seal.read(path, partial(read_evidence, stage=stage))
        except EvidenceError as error:
            raise SealError(str(error)) from error
