"""Refuses to fit again what is there, where the only reason is that something behind it is gone.

Old parts and old posteriors may be deleted; Snakemake would make them again, and then all that
was made from them. Knows Snakemake's graph of jobs, by name, and imports nothing of it.
"""

import graphlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from incbayes.core.errors import UserError
from incbayes.orchestration.stream import PREPARED
from incbayes.study.continuation import POSTERIOR

OTHER_REASONS = (
    "forced",
    "updated_input",
    "incomplete_output",
    "params_changed",
    "code_changed",
    "input_changed",
    "software_stack_changed",
    "no_metadata",
    "outdated_metadata",
)
"""Why a job is run, beside output that is missing and input that another job makes."""


class LostSourceError(UserError):
    """A posterior that would be fitted again for the sake of a deleted file."""


def refuse_refits(dag: Any) -> None:
    """Check the jobs that a run would start, before it starts any.

    Raises:
        LostSourceError: naming the posterior that is there and the file that is gone.
    """
    needed = set(dag.needrun_jobs())
    graph = {job: needed & dag.dependencies[job].keys() for job in needed}
    lost: dict[Any, set[str] | None] = {}
    for job in graphlib.TopologicalSorter(graph).static_order():
        lost[job] = _lost_files(dag.reason(job), dag.dependencies[job], lost)
        kept = [path for path in job.output if _is_posterior(path)]
        gone = lost[job]
        if kept and gone:
            first, *others = sorted(gone)
            more = f" (and {len(others)} more)" if others else ""
            raise LostSourceError(
                f"{kept[0]} is there and would be fitted again, only because {first}{more} is "
                f"gone; make only what you need, `snakemake --cores all … -- FILE`, be it that "
                f"file or the next stage's {POSTERIOR}{_all_at_once(gone)}; or delete what is to "
                "be fitted again"
            )


def _lost_files(
    reason: Any, makers: Mapping[Any, set[str]], lost: Mapping[Any, set[str] | None]
) -> set[str] | None:
    """Return the missing files for which alone a job is run; None if there are other reasons.

    Args:
        reason: why Snakemake runs the job.
        makers: by the job that makes them, files that it reads.
        lost: of the jobs before it, what this returned.
    """
    if any(getattr(reason, name) for name in OTHER_REASONS):
        return None
    found = {str(path) for path in reason.missing_output}
    for maker, files in makers.items():
        if not reason.updated_input_run.isdisjoint(files):
            behind = lost.get(maker)
            if behind is None:
                return None
            found |= behind
    return found


def _all_at_once(gone: set[str]) -> str:
    """Return what else may be asked for where the files are all of parts of streams."""
    of_streams = all(
        Path(path).name in PREPARED and Path(path).parent.parent.name == "parts" for path in gone
    )
    return "; of parts that arrived, all at once: `-- prepare_parts`" if of_streams else ""


def _is_posterior(path: Any) -> bool:
    return Path(path).name == POSTERIOR and Path(path).is_file()
