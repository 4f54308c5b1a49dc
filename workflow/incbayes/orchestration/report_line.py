"""Says when a run ends where report and posteriors are, and what the report advises.

Knows the files that the report leaves, the jobs of a run and Snakemake's logger; judges nothing.
"""

import logging
from pathlib import Path
from typing import Any

from incbayes.orchestration.interruption import SNAKEMAKE_LOGGER
from incbayes.study.continuation import POSTERIOR, STAGE


def say_report(workflow: Any, report: Path, advice: Path) -> None:
    """Log advice and path of the report that a run has just made, and the path of a posterior.

    Nothing of a report that another run made. The posterior is of a last stage: what `incbayes
    predict` and `incbayes show` take.

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
    last = _last_posterior(workflow.dag)
    if last:
        logger.info(f"A posterior, for incbayes show and predict: {last}")
    logger.info(f"The report: {report}")


def _last_posterior(dag: Any) -> Path | None:
    """Return the posterior of the latest stage of the graph's chains; of equals the first by name.

    That of a stage lies in a folder tNN, those of pretraining do not.
    """
    made = {Path(str(file)) for job in dag.jobs for file in job.output}
    staged = [
        path
        for path in sorted(made)
        if path.name == POSTERIOR and STAGE.fullmatch(path.parent.name) and path.is_file()
    ]
    return max(staged, key=lambda path: int(path.parent.name[1:]), default=None)
