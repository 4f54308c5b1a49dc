"""Ends a run on Ctrl-C in a few lines, with the progress of every job kept.

Knows Snakemake's scheduler and logger, by name, and that a job ends on SIGTERM once it has written
its checkpoint; imports nothing of Snakemake.
"""

import logging
import signal
import sys
import threading
import time
from contextlib import suppress
from types import FrameType
from typing import Any

import psutil

SNAKEMAKE_LOGGER = "snakemake.logging"
SHELLS = frozenset({"sh", "bash", "dash", "zsh"})
"""What Snakemake starts jobs with. A shell that is ended no longer waits for its job."""

IGNORED_BY_JOBS = "set -euo pipefail; trap '' INT; "
"""How the shell of a job begins. Ctrl-C goes to jobs as well, and one that does not listen for it
yet would end in a traceback; it is told to stop as all are."""

SCRIPTS = "/.snakemake/scripts/"
"""Where Snakemake puts the scripts of jobs: a shell may be replaced by what it starts."""

AGAIN = 1.0  # seconds from which a second Ctrl-C is meant, and is no double stroke
PAUSE = 0.1  # seconds between two looks for jobs that were just being started
SHOWN = {"shown_after_interruption": True}
"""What our own records have that are shown after Ctrl-C."""

LOG_FILES = "Complete log(s): "
ENDS_OF_JOBS = frozenset({"RuleException", "WorkflowError"})
"""Exceptions by which Snakemake says that jobs have ended; any other is shown after Ctrl-C."""


class Interruption:
    """Answers Ctrl-C for a run of Snakemake.

    The scheduler starts no further job, every running one is told to stop, and what Snakemake
    says of jobs that end so is not shown. A second Ctrl-C kills the jobs.

    Attributes:
        begun: whether Ctrl-C was pressed while jobs ran.
    """

    def __init__(self, workflow: Any, logger: logging.Logger):
        """Prepare to end the run that Snakemake's `workflow` plans, and to say so to `logger`."""
        self.begun = False
        self._workflow, self._logger = workflow, logger
        self._first = 0.0
        self._kill = False

    def answer(self, number: int, frame: FrameType | None) -> None:
        """Take SIGINT: end the planning at once, or a run once its jobs have stopped.

        Raises:
            SystemExit: nothing runs yet.
            KeyboardInterrupt: jobs run on a cluster, where Snakemake cancels them upon it.
        """
        if self.begun:
            self._kill = time.monotonic() - self._first >= AGAIN
            return
        if self._workflow.dryrun or self._workflow.scheduler is None:
            sys.exit("Interrupted; no job was started")
        self.begun, self._first = True, time.monotonic()
        # Not in this frame, which may have interrupted one that holds the scheduler's lock.
        threading.Thread(target=self._end, daemon=True).start()
        if not self._workflow.local_exec:
            raise KeyboardInterrupt

    def conclude(self) -> None:
        """Say how far the run came, if it was interrupted; called when no job runs any more."""
        if self.begun:
            done, total = self._workflow.scheduler.finished_jobs, len(self._workflow.dag)
            self._say(f"Interrupted; {done} of {total} steps done; the same command goes on")

    def _say(self, line: str) -> None:
        self._logger.error(line, extra=SHOWN)

    def _end(self) -> None:
        """Let the run end, and tell its jobs to stop until there are none."""
        for handler in self._logger.handlers:
            if type(handler).__module__.partition(".")[0] != __package__.partition(".")[0]:
                handler.addFilter(_is_shown)
        self._say("Interrupted; running jobs are told to stop (Ctrl-C once more kills them)")
        self._workflow.scheduler.exit_gracefully()
        told: set[psutil.Process] = set()
        while self._workflow.scheduler.running:
            jobs = _jobs()
            for job in jobs if self._kill else jobs - told:
                _stop(job, self._kill)
            told |= jobs
            time.sleep(PAUSE)


def answer_interrupts(workflow: Any) -> Interruption:
    """Return what answers Ctrl-C for the run that `workflow` plans.

    It answers nothing in the processes that Snakemake starts for single jobs, where SIGINT is
    ignored, as in the background of a script, and outside of a program's main thread.

    Args:
        workflow: the `workflow` that every Snakefile sees.
    """
    interruption = Interruption(workflow, logging.getLogger(SNAKEMAKE_LOGGER))
    if workflow.is_main_process and signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        with suppress(ValueError):
            signal.signal(signal.SIGINT, interruption.answer)
    return interruption


def _is_shown(record: logging.LogRecord) -> bool:
    """Return whether a record is shown once the run was interrupted."""
    fault = getattr(record, "exception", None)
    return (
        hasattr(record, next(iter(SHOWN)))
        or str(record.msg).startswith(LOG_FILES)
        or (fault is not None and fault not in ENDS_OF_JOBS)
    )


def _jobs() -> set[psutil.Process]:
    """Return the processes of running jobs: children of this one or of their shells.

    Other children stay, such as what cancels the jobs of a cluster.
    """
    found = set()
    for process in psutil.Process().children():
        with suppress(psutil.Error):
            command = " ".join(process.cmdline())
            if process.name() not in SHELLS:
                found |= {process} if SCRIPTS in command else set()
            elif IGNORED_BY_JOBS.strip() in command:
                found.update(process.children())
    return found


def _stop(job: psutil.Process, kill: bool) -> None:
    """Tell a job to stop, or kill it with the processes that it has started."""
    with suppress(psutil.Error):
        if kill:
            for process in [job, *job.children(recursive=True)]:
                process.kill()
        else:
            job.terminate()
