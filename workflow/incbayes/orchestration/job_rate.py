"""Lets Snakemake start jobs as soon as there is room for them.

Snakemake limits how many jobs are started in a time span, by default 100 a second. To that end its
scheduler looks again after every span while jobs wait for room, once more for every job that has
finished: after some hundred jobs it does nothing else, on a processor that jobs are to have.
"""

from typing import Any

DEFAULT = (100, 1)
"""Jobs and seconds of Snakemake's limit where `--max-jobs-per-timespan` is not given."""


def lift_default_rate(workflow: Any) -> None:
    """Take Snakemake's default limit from its scheduler; one that a person gave stays.

    To be called when a run starts, which is when there is a scheduler.

    Args:
        workflow: the `workflow` that every Snakefile sees.
    """
    limit = workflow.scheduling_settings.max_jobs_per_timespan
    if limit and (limit.max_jobs, limit.timespan) == DEFAULT:
        workflow.scheduler.job_rate_limiter = None
