"""A report on the chains of a study that are done, where others failed or were not run yet.

Knows where the scores of a chain and the logs of its jobs lie; reads no result.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace

from incbayes.study.blocks import blocks
from incbayes.study.chains import Chain, chain_name, chosen_chains, fewest_names
from incbayes.study.model import Study
from incbayes.study.yaml import StudyError

OFFER = "a report on what is done: the same command with --config partial=true"
NOT_RUN = "not run yet, or not to its end"
ERROR = re.compile(r"^\d\d:\d\d:\d\d error: (.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Unfinished:
    """A chain without scores of all its stages.

    Attributes:
        name: as `only` names it.
        cause: the last error in the logs of its jobs, in one line.
    """

    name: str
    cause: str


def done_chains(study: Study, results: Path) -> list[Chain]:
    """Return the chosen chains of a study in normal form of which every stage is scored.

    Args:
        study: in normal form.
        results: the folder of its results.
    """
    return [chain for chain in chosen_chains(study) if _is_done(study, chain, results)]


def unfinished_chains(study: Study, results: Path) -> list[Unfinished]:
    """Return the chosen chains of a study in normal form that are not done, with the cause."""
    done = set(done_chains(study, results))
    return [
        Unfinished(chain_name(chain), _cause(study, chain, results / "logs"))
        for chain in chosen_chains(study)
        if chain not in done
    ]


def of_done_chains(study: Study, results: Path) -> Study:
    """Return a study in normal form whose `only` names the chains that are done.

    Raises:
        StudyError: none is.
    """
    done = done_chains(study, results)
    if not done:
        raise StudyError(
            ("partial",), f"no chain has all of its scores in {results}; run the study first"
        )
    only = fewest_names(study, done)
    return replace(study, only=None if only is None else tuple(only))


def _blocks(study: Study, chain: Chain) -> list[str]:
    described, size = study.experiments[chain[0]], study.replicates_per_block
    return blocks(described.replicates, size, study.first_replicate)


def _is_done(study: Study, chain: Chain, results: Path) -> bool:
    experiment, method, T = chain
    return all(
        (results / experiment / method / f"T{T}" / block / f"t{t:02d}/metrics.seal.json").is_file()
        for block in _blocks(study, chain)
        for t in range(1, T + 1)
    )


def _cause(study: Study, chain: Chain, logs: Path) -> str:
    """Return the error that the jobs which a chain consists of, or starts from, ended in."""
    experiment, method, T = chain
    patterns = [
        pattern
        for block in _blocks(study, chain)
        for pattern in (
            f"partition/{experiment}/T{T}/{block}.log",
            f"pretrain/{experiment}/{block}.log",
            f"fisher/{experiment}/{block}.*.log",
            f"fit_source/{experiment}/{method}.{block}.log",
            f"choose_variance/{experiment}/{method}.T{T}.{block}.log",
            f"fit/{experiment}/{method}/T{T}/{block}/*.log",
            f"evaluate/{experiment}/{method}.T{T}.{block}.log",
        )
    ]
    errors = [error for pattern in patterns for log in _sorted(logs, pattern) for error in _of(log)]
    return errors[-1] if errors else NOT_RUN


def _sorted(logs: Path, pattern: str) -> Sequence[Path]:
    return sorted(logs.glob(pattern))


def _of(log: Path) -> list[str]:
    """Return the errors that a log tells of; none where it cannot be read."""
    try:
        return ERROR.findall(log.read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return []
