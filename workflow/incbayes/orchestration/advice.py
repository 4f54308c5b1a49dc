"""Shows the advice of a report when the run that made it ends.

Knows the file that the report leaves, a line each, and Snakemake's logger; judges nothing.
"""

import logging
from pathlib import Path
from typing import Any

from incbayes.orchestration.interruption import SNAKEMAKE_LOGGER


def say_advice(workflow: Any, path: Path) -> None:
    """Log the advice of the report that a run of Snakemake has just made; nothing of another run.

    Args:
        workflow: the `workflow` that every Snakefile sees.
        path: of the advice.
    """
    logger = logging.getLogger(SNAKEMAKE_LOGGER)
    made = {
        str(file)
        for job in workflow.dag.needrun_jobs(exclude_finished=False)
        for file in job.output
    }
    if str(path) not in made or not path.is_file():
        return
    lines = path.read_text(encoding="utf-8").splitlines()
    if lines:
        logger.warning("\n".join(["Look at this before you believe the numbers:", *lines]))
