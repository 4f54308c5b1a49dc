"""Says at the end of a run that failed why each job failed, and not only where that is logged.

Knows the records that Snakemake logs, by its public interface of loggers, what the Slurm executor
writes into them, and the form of a job's log.
"""

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from snakemake_interface_logger_plugins.common import LogEvent

from incbayes.orchestration.interruption import SHOWN, SNAKEMAKE_LOGGER

STAMP = re.compile(r"^\d\d:\d\d:\d\d ")
STATUS = re.compile(r"SLURM status is: '([^']+)'")
ADVICE = "For further error details"
"""How the executors of clusters end whatever they say."""

SAID_BY_SLURM = re.compile(r"slurmstepd(?:-\S+)?: error: (.*)")
KILLS = [re.compile(r"memory|oom", re.IGNORECASE), re.compile(r"CANCELLED")]
"""What a kill reads like in Slurm's own log, the most telling first."""

ERROR_LINES = 3
"""Lines of an error of Snakemake's that say what it is; those after them, where in its code."""

STOPPED = "stopped by "
"""How the log of a job ends that was told to stop; by whom, the cluster says."""

SILENT = "ended without a word, as after a kill; there may be more in the logs of the cluster"
UNSAID = "ended before it wrote to its log, and why is not known; there may be more above"

EXIT_STATUS = re.compile(r"returned non-zero exit status (\d+)")
BY_SIGNAL = re.compile(r"died with <Signals\.")
"""How Python words the end of a command, in what Snakemake logs of a job that failed here."""

COMMAND_NOT_RUN = (126, 127)
"""Exit statuses of a shell that could not start what it was told to."""

FIRST_OF_SIGNALS = 128
"""Exit status of a shell whose command was ended by a signal, less the signal's number."""


@dataclass(frozen=True)
class Failure:
    """A job that failed.

    Attributes:
        rule: the name of its rule.
        logs: its own log first, then those of the cluster.
        message: what the executor says of it.
        grouped: whether it ran in one submission with others, of which any may have failed.
        error: what Snakemake itself says of a job that ran here.
    """

    rule: str
    logs: Sequence[Path]
    message: str
    grouped: bool
    error: str = ""

    @property
    def begun(self) -> bool:
        """Whether the job said anything, and did not end well."""
        lines = _lines(self.logs[0]) if self.logs else []
        return bool(lines) and not lines[-1].endswith(": done")

    @property
    def title(self) -> str:
        """What the job does, in its own words."""
        first = next(iter(_lines(self.logs[0])), "") if self.logs else ""
        return first.removesuffix(": started") if first.endswith(": started") else self.rule

    @property
    def where(self) -> str:
        """A line that says where its log is; nothing where it has none."""
        return f"\n    log: {self.logs[0]}" if self.logs else ""

    @property
    def was_told_to_stop(self) -> bool:
        """Whether it ended as jobs do that are told to stop or killed, and not by a fault."""
        return self.cause == SILENT or self.cause.startswith(STOPPED)

    @property
    def cause(self) -> str:
        """Why it failed, in one line."""
        own = _lines(self.logs[0]) if self.logs else []
        said = own[-1:] if own and _is_cause(own) else []
        if said and not said[0].startswith(STOPPED):
            return said[0]
        return "; ".join(said + self._said_by_the_cluster()) or self._end(bool(own))

    def _end(self, begun: bool) -> str:
        """Return how a job ended of which neither its log nor a cluster says why."""
        status = EXIT_STATUS.search(self.error)
        if status and int(status[1]) < FIRST_OF_SIGNALS:
            if int(status[1]) in COMMAND_NOT_RUN:
                return (
                    f"could not be started (exit status {status[1]}); what the shell says is above"
                )
            return f"ended with exit status {status[1]} and no word of why in its log; see above"
        if status or BY_SIGNAL.search(self.error) or begun:
            return SILENT
        told = [line.strip() for line in self.error.splitlines() if line.strip()]
        return " ".join(told[:ERROR_LINES]) or UNSAID

    def _said_by_the_cluster(self) -> list[str]:
        status = STATUS.search(self.message)
        lines = [line for log in self.logs[1:] for line in _lines(log)]
        said = [match[1] for line in lines if (match := SAID_BY_SLURM.match(line))]
        for kill in KILLS:
            if killed := [line for line in said if kill.search(line)]:
                return killed[-1:]
        if status:
            return [f"Slurm says {status[1]}"]
        return self.message.partition(ADVICE)[0].strip().splitlines()[:1]


class FailureHandler(logging.Handler):
    """Follows Snakemake's records, and keeps of the jobs that failed those that stayed so."""

    def __init__(self, logger: logging.Logger, workflow: Any = None):
        """Prepare to follow what `logger` is given of a run, and to explain through it."""
        super().__init__()
        self.workflow = workflow
        self._logger = logger
        quiet = workflow.output_settings.quiet or () if workflow else ()
        self._unsaid = "RULES" in {item.name for item in quiet}  # Snakemake does not say it then
        self._failures: dict[int, Failure] = {}
        self._errors: dict[int | None, str] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Take in one record of Snakemake; never let a fault of ours end the run."""
        try:
            self._follow(record, getattr(record, "event", None))
        except Exception as error:
            self._logger.removeHandler(self)
            self._logger.warning(f"Causes of failures are not shown: {error!r}")

    def explain(self, interrupted: bool = False, offer: str = "") -> None:
        """Log the cause of every failure, one job after the other.

        Args:
            interrupted: leave out the jobs that were told to stop, as all were.
            offer: what there is to be had in spite of failures.
        """
        failures = [f for f in self._failures.values() if f.begun or not f.grouped]
        for failure in failures or self._failures.values():
            if interrupted and failure.was_told_to_stop:
                continue
            self._logger.error(f"{failure.title}: {failure.cause}{failure.where}", extra=SHOWN)
        if offer and failures and not interrupted:
            self._logger.error(offer)

    def _follow(self, record: Any, event: LogEvent | None) -> None:
        if event == LogEvent.JOB_ERROR:
            logs = [Path(log) for log in record.log]
            message, grouped = record.rule_msg or "", bool(record.indent)
            error = self._errors.pop(record.thread, "")
            failure = Failure(record.rule_name, logs, message, grouped, error)
            self._failures[record.jobid] = failure
            if self._unsaid:
                self._logger.error(f"failed: {failure.title}{failure.where}")
        elif event == LogEvent.ERROR:  # of the job that the same thread names next
            self._errors[record.thread] = record.getMessage()
        elif event == LogEvent.JOB_FINISHED:
            self._failures.pop(record.job_id, None)


def watch(workflow: Any) -> FailureHandler:
    """Return the handler that explains the failures of the run that `workflow` plans.

    In the processes that Snakemake starts for single jobs it sees nothing. It is the same one
    where several statements use one module.

    Args:
        workflow: the `workflow` that every Snakefile sees.
    """
    logger = logging.getLogger(SNAKEMAKE_LOGGER)
    for handler in logger.handlers:
        if isinstance(handler, FailureHandler) and handler.workflow is workflow:
            return handler
    handler = FailureHandler(logger, workflow)
    if workflow.is_main_process:
        logger.addHandler(handler)
    return handler


def _lines(log: Path) -> list[str]:
    """Return a log's lines without their times; none where it cannot be read."""
    try:
        text = log.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    return [STAMP.sub("", line) for line in text.splitlines() if line.strip()]


def _is_cause(lines: Sequence[str]) -> bool:
    """Return whether a job's log ends with why it ended, and not in the middle of its work."""
    return lines[-1].startswith(("error: ", STOPPED)) or any(
        line.startswith("Traceback ") for line in lines
    )
