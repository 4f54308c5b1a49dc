"""Seals made stages, as the jobs that fit and score would have."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from incbayes.core.seal import Seal, seal_path, write_seal
from incbayes.results.collect import POSTERIOR, SCORES
from incbayes.results.records import records_digest


def seal_training(folder: Path, identity: Mapping[str, Any], run: Mapping[str, Any]) -> Seal:
    """Seal a made posterior, or an empty one, with its training, and write its run record.

    Args:
        folder: of the stage; training.csv may lie in it.
        identity: whose it is.
        run: what its run record says.
    """
    posterior = folder / "posterior.safetensors"
    posterior.touch()
    made = [path for path in (posterior, folder / "training.csv") if path.exists()]
    seal = write_seal(seal_path(posterior), POSTERIOR, identity, made)
    write_seal(folder / "run.json", "run", identity, parents={POSTERIOR: seal}, facts=run)
    return seal


def seal_scores(
    folder: Path, identity: Mapping[str, Any], posterior: Seal, records: Sequence[Mapping[str, Any]]
) -> Seal:
    """Seal made scores.

    Args:
        folder: of the stage, in which metrics.json or calibration.csv lie.
        identity: whose they are.
        posterior: the seal of what was scored.
        records: what metrics.json holds.
    """
    files = [folder / "metrics.json", folder / "calibration.csv"]
    made = [path for path in files if path.exists()]
    facts = {"records": records_digest(records)}
    path = seal_path(folder / "metrics.json")
    return write_seal(path, SCORES, identity, made, {POSTERIOR: posterior}, facts)
