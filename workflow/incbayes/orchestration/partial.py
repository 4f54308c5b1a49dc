"""A report on the chains of a study that are done, where others failed or were not run yet.

Knows where the scores of a chain and the logs of its jobs lie; reads no result. A chain over a
stream is done once the stages of all parts that have arrived are scored.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace

from incbayes.orchestration.stream import Stream
from incbayes.orchestration.stream_plan import STREAM
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
        name: as `only` names it; of a stream without T, which grows.
        cause: the last error in the logs of its jobs, in one line.
    """

    name: str
    cause: str


def done_chains(study: Study, results: Path, streams: Mapping[str, Stream]) -> list[Chain]:
    """Return the chosen chains of a study in normal form of which every stage is scored.

    Args:
        study: in normal form.
        results: the folder of its results.
        streams: its experiments over streams, as they stand now.
    """
    return [chain for chain in chosen_chains(study) if _is_done(study, chain, results, streams)]


def unfinished_chains(
    study: Study, results: Path, streams: Mapping[str, Stream]
) -> list[Unfinished]:
    """Return the chosen chains of a study in normal form that are not done, with the cause."""
    done = set(done_chains(study, results, streams))
    return [
        Unfinished(_name(chain, streams), _cause(study, chain, results / "logs", streams))
        for chain in chosen_chains(study)
        if chain not in done
    ]


def of_done_chains(study: Study, results: Path, streams: Mapping[str, Stream]) -> Study:
    """Return a study in normal form whose `only` names the chains that are done.

    Raises:
        StudyError: none is.
    """
    done = done_chains(study, results, streams)
    if not done:
        raise StudyError(
            ("partial",), f"no chain has all of its scores in {results}; run the study first"
        )
    only = fewest_names(study, done)
    return replace(study, only=None if only is None else tuple(only))


def _blocks(study: Study, chain: Chain) -> list[str]:
    described, size = study.experiments[chain[0]], study.replicates_per_block
    return blocks(described.replicates, size, study.first_replicate)


def _name(chain: Chain, streams: Mapping[str, Stream]) -> str:
    return ".".join(chain[:2]) if chain[0] in streams else chain_name(chain)


def _folder(chain: Chain, streams: Mapping[str, Stream]) -> str:
    """Return what a path of a chain has where T would be."""
    return STREAM if chain[0] in streams else f"T{chain[2]}"


def _is_done(study: Study, chain: Chain, results: Path, streams: Mapping[str, Stream]) -> bool:
    experiment, method, T = chain
    count = len(streams[experiment].parts) if experiment in streams else T
    folder = results / experiment / method / _folder(chain, streams)
    return all(
        (folder / block / f"t{t:02d}/metrics.seal.json").is_file()
        for block in _blocks(study, chain)
        for t in range(1, count + 1)
    )


def _cause(study: Study, chain: Chain, logs: Path, streams: Mapping[str, Stream]) -> str:
    """Return the error that the jobs which a chain consists of, or starts from, ended in."""
    experiment, method, _ = chain
    place = _folder(chain, streams)
    patterns = [
        pattern
        for block in _blocks(study, chain)
        for pattern in (
            f"partition/{experiment}/{place}/{block}.log",
            f"pretrain/{experiment}/{block}.log",
            f"fisher/{experiment}/{block}.*.log",
            f"fit_source/{experiment}/{method}.{block}.log",
            f"choose_variance/{experiment}/{method}.{place}.{block}.log",
            f"fit/{experiment}/{method}/{place}/{block}/*.log",
            f"evaluate/{experiment}/{method}.{place}.{block}.log",
            f"evaluate/{experiment}/{method}.{place}.{block}.t*.log",
        )
    ]
    found = [log for pattern in patterns for log in _sorted(logs, pattern)]
    if experiment in streams:
        prepared = streams[experiment].prepared
        found = [*_sorted(prepared.parent / "logs" / prepared.name, "*.log"), *found]
    errors = [error for log in found for error in _of(log)]
    return errors[-1] if errors else NOT_RUN


def _sorted(logs: Path, pattern: str) -> Sequence[Path]:
    return sorted(logs.glob(pattern))


def _of(log: Path) -> list[str]:
    """Return the errors that a log tells of; none where it cannot be read."""
    try:
        return ERROR.findall(log.read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return []
