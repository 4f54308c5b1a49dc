"""Says when a run ends where its report is, and what the report advises.

Knows the files that the report leaves and Snakemake's logger; judges nothing.
"""

import logging
from pathlib import Path
from typing import Any

from incbayes.orchestration.interruption import SNAKEMAKE_LOGGER


def say_report(workflow: Any, report: Path, advice: Path) -> None:
    """Log path and advice of the report that a run has just made; nothing of another run.

    Args:
        workflow: the `workflow` that every Snakefile sees.
        report: its path.
        advice: path of its advice, a line each.
    """
    logger = logging.getLogger(SNAKEMAKE_LOGGER)
    made = {
        str(file)
        for job in workflow.dag.needrun_jobs(exclude_finished=False)
        for file in job.output
    }
    if str(report) not in made:
        return
    lines = advice.read_text(encoding="utf-8").splitlines() if advice.is_file() else []
    if lines:
        logger.warning("\n".join(["Look at this before you believe the numbers:", *lines]))
    logger.info(f"The report: {report}")
