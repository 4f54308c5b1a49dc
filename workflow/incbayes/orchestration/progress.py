"""Tells how far a Snakemake run is and about how long it still takes.

Knows the records that Snakemake logs, by its public interface of loggers, and its graph of jobs;
knows nothing of what the jobs do.
"""

import contextlib
import graphlib
import logging
import os
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from snakemake_interface_logger_plugins.common import LogEvent

from incbayes.core.durations import estimate, in_two_units

SNAKEMAKE_LOGGER = "snakemake.logging"
SILENCE = 30.0  # seconds without a line before one is written between two steps
SHOWN_AT_ONCE = 3  # names of steps in a line; more end together in groups alone
PLACES_AT_ONCE = 2  # running steps in a line
END_OF_LOG = 4096  # bytes that are looked at
PLACE = re.compile(r"replicate (\d+) epoch (\d+/\d+)")  # as `incbayes.jobs.console` writes it
KNOWN_SHARE = 0.5  # no estimate before the rules of this share of all steps were seen


@dataclass(frozen=True)
class Step:
    """One job of the run.

    Attributes:
        rule: the name of its rule.
        wildcards: its wildcards as (name, value) pairs.
        needs: the numbers of the steps whose output it reads.
        names: its wildcards as a person reads them, in the order of its rule.
        log: the file that it writes what it does to, if any.
    """

    rule: str
    wildcards: frozenset[tuple[str, str]] = frozenset()
    needs: tuple[int, ...] = ()
    names: tuple[str, ...] = ()
    log: str | None = None

    def __str__(self) -> str:
        """Return the rule and what it was applied to, for a person."""
        return " ".join([self.rule, *self.names])


@dataclass
class Expectation:
    """Mean duration of the finished steps that are most alike to an open one.

    Attributes:
        shared: the number of wildcards in common with them; -1 before there is one.
        seconds: the sum of their durations.
        count: how many they are.
    """

    shared: int = -1
    seconds: float = 0.0
    count: int = 0

    def learn(self, shared: int, seconds: float) -> None:
        """Count in a finished step, unless more similar ones are known."""
        if shared < self.shared:
            return
        if shared > self.shared:
            self.shared, self.seconds, self.count = shared, 0.0, 0
        self.seconds += seconds
        self.count += 1


class Forecast:
    """The steps of a run, what they took so far, and what is therefore left.

    A step is expected to take as long as the finished steps of its rule that share the most
    wildcards with it. The time left is the larger of two bounds: the open work spread over
    as many steps at once as have run on average, and the longest chain of open steps.
    Times are seconds on any clock that does not run backwards.
    """

    def __init__(self, steps: Mapping[int, Step]):
        """Plan `steps`, the steps to run by number."""
        self.steps = dict(steps)
        graph = {number: set(step.needs) & steps.keys() for number, step in steps.items()}
        self._order = tuple(graphlib.TopologicalSorter(graph).static_order())
        self._open = {number: Expectation() for number in self._order}
        self._running: dict[int, float] = {}
        self._group_size: dict[int, int] = {}
        self._first_start: float | None = None
        self._finished_seconds = 0.0
        self._finished_count = 0

    def grouped(self, numbers: list[int]) -> None:
        """Note that these steps run as one job, whose time they share."""
        self._group_size.update(dict.fromkeys(numbers, len(numbers)))

    def started(self, number: int, now: float) -> None:
        """Note that a step, unless it is no planned one, runs from `now` on."""
        if number in self._open:
            self._running[number] = now
            self._first_start = now if self._first_start is None else self._first_start

    def failed(self, number: int) -> None:
        """Note that a step runs no more; it stays open, as it may be tried again."""
        self._running.pop(number, None)

    def finished(self, number: int, now: float) -> None:
        """Note that a step is done, and learn from the time it took."""
        if number not in self._running:
            return
        seconds = self._age(number, now)
        del self._running[number], self._open[number]
        self._finished_seconds += seconds
        self._finished_count += 1
        done = self.steps[number]
        for other, expectation in self._open.items():
            step = self.steps[other]
            if step.rule == done.rule:
                expectation.learn(len(step.wildcards & done.wildcards), seconds)

    def left(self, now: float) -> float | None:
        """Return the seconds left, or None while too little is known to say."""
        if not self._open:
            return 0.0
        unknown = sum(not expectation.count for expectation in self._open.values())
        if not self._finished_count or unknown > (1 - KNOWN_SHARE) * len(self.steps):
            return None
        work = 0.0
        chain: dict[int, float] = {}
        for number in self._order:
            if number in self._open:
                seconds = self._left_of(number, now)
                work += seconds
                before = (chain.get(need, 0.0) for need in self.steps[number].needs)
                chain[number] = seconds + max(before, default=0.0)
        return max(work / self._at_once(now), *chain.values())

    def running(self) -> list[Step]:
        """Return the steps that run, the longest first."""
        return [self.steps[number] for number in self._running]  # in the order of their starts

    def _age(self, number: int, now: float) -> float:
        return (now - self._running[number]) / self._group_size.get(number, 1)

    def _left_of(self, number: int, now: float) -> float:
        expectation = self._open[number]
        if expectation.count:
            expected = expectation.seconds / expectation.count
        else:
            expected = self._finished_seconds / self._finished_count
        if number not in self._running:
            return expected
        age = self._age(number, now)
        return max(expected - age, 0.1 * age)  # what is overdue will take a little longer

    def _at_once(self, now: float) -> float:
        """Return how many steps ran at the same time, on average since the first start."""
        busy = self._finished_seconds + sum(self._age(number, now) for number in self._running)
        first = now if self._first_start is None else self._first_start
        return max(busy, 1e-9) / max(now - first, 1e-9)


class ProgressHandler(logging.Handler):
    """Follows Snakemake's records and logs a line of progress after every step.

    A line is written as well after `silence` seconds without one. It goes through the same
    logger, hence to the terminal, to Snakemake's log file and to any logger plugin alike.
    """

    def __init__(
        self,
        logger: logging.Logger,
        read_steps: Callable[[], tuple[dict[int, Step], int]],
        silence: float,
        workflow: Any = None,
    ):
        """Prepare to follow a run.

        Args:
            logger: where the records come from and the lines go to.
            read_steps: returns the steps to run and the total that Snakemake counts, which
                may be larger: a target without a command is no step here.
            silence: seconds.
            workflow: whose run it is.
        """
        super().__init__()
        self.workflow = workflow
        self._logger = logger
        self._read_steps = read_steps
        self._silence = silence
        self._start = self._last_line = time.monotonic()
        self._done, self._total = 0, 0
        self._finished: list[str] = []  # since the last line
        self._forecast: Forecast | None = None
        self._over = threading.Event()  # `_closed` is of logging.Handler

    def emit(self, record: logging.LogRecord) -> None:
        """Take in one record of Snakemake; never let a fault of ours end the run."""
        try:
            self._follow(record, getattr(record, "event", None))
        except Exception as error:
            self.close()
            self._logger.removeHandler(self)
            self._logger.warning(f"Progress is no longer shown: {error!r}")

    def close(self) -> None:
        """End the lines between steps; Snakemake calls this when the run is over."""
        self._over.set()
        super().close()

    def _follow(self, record: Any, event: LogEvent | None) -> None:
        now = time.monotonic()
        if event == LogEvent.JOB_STARTED and self._forecast is None:
            self._plan()
            threading.Thread(target=self._break_silence, daemon=True).start()
        if self._forecast is None:
            return
        if event == LogEvent.GROUP_INFO:
            self._forecast.grouped([job.jobid for job in record.jobs])
        elif event == LogEvent.JOB_INFO:
            self._forecast.started(record.jobid, now)
        elif event == LogEvent.JOB_ERROR:
            self._forecast.failed(record.jobid)
        elif event == LogEvent.JOB_FINISHED:
            self._forecast.finished(record.job_id, now)
            if record.job_id in self._forecast.steps:
                self._finished.append(str(self._forecast.steps[record.job_id]))
        elif event == LogEvent.PROGRESS and (record.done, record.total) != (
            self._done,
            self._total,
        ):
            self._done, self._total = record.done, record.total
            self._say()

    def _counts(self) -> tuple[int, int]:
        return self._done, self._total

    def _plan(self) -> None:
        steps, self._total = self._read_steps()
        self._forecast = Forecast(steps)

    def _break_silence(self) -> None:
        pause = self._silence
        while not self._over.wait(pause):
            pause = self._last_line + self._silence - time.monotonic()
            if pause <= 0:
                with self.lock or contextlib.nullcontext():
                    line = "; ".join([self._line(), *self._places()])
                self._write(line)
                pause = self._silence

    def _say(self) -> None:
        if self._done >= self._total:
            self._over.set()
        names, self._finished = self._finished, []
        self._write(f"{_listed(names)}: {self._line()}" if names else self._line())

    def _line(self) -> str:
        now = time.monotonic()
        counts = f"{self._done} of {self._total} steps done"
        elapsed = in_two_units(now - self._start)
        if self._done >= self._total:
            return f"{counts} in {elapsed}"
        left = self._forecast.left(now) if self._forecast else None
        known = "time left not known yet" if left is None else f"about {estimate(left)} left"
        return f"{counts}, {elapsed} elapsed, {known}"

    def _places(self) -> list[str]:
        """Return how far the steps are that run the longest, of those that fit."""
        running = self._forecast.running() if self._forecast else []
        places = [f"{step} {place}" for step in running if (place := _place(step.log))]
        return places[:PLACES_AT_ONCE]

    def _write(self, line: str) -> None:
        self._last_line = time.monotonic()
        self._logger.info(line)


def follow(workflow: Any, silence: float = SILENCE) -> None:
    """Show progress and time left for the run that Snakemake's `workflow` plans.

    Does nothing in the processes that Snakemake starts for single jobs, nor where the user
    asked for quiet, nor again where several statements use one module; a dry run starts no job and
    therefore writes no line.

    Args:
        workflow: the `workflow` that every Snakefile sees.
        silence: seconds without a line after which one is written between two steps.
    """
    quiet = {item.name for item in workflow.output_settings.quiet or ()}
    logger = logging.getLogger(SNAKEMAKE_LOGGER)
    followed = (h for h in logger.handlers if isinstance(h, ProgressHandler))
    if (
        not workflow.is_main_process
        or quiet & {"ALL", "PROGRESS"}
        or any(handler.workflow is workflow for handler in followed)
    ):
        return

    def read_steps() -> tuple[dict[int, Step], int]:
        return steps_of(workflow.dag), len(workflow.dag)

    logger.addHandler(ProgressHandler(logger, read_steps, silence, workflow))


def _place(log: str | None) -> str | None:
    """Return how far a fit is by the end of its log, e.g. `in epoch 83/134 of replicate 0`."""
    if log is None:
        return None
    try:
        with open(log, "rb") as file:
            file.seek(max(0, os.path.getsize(log) - END_OF_LOG))
            found = PLACE.findall(file.read().decode("utf-8", "replace"))
    except OSError:  # not there yet, or on a machine that this one does not see
        return None
    return "in epoch {1} of replicate {0}".format(*found[-1]) if found else None


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:SHOWN_AT_ONCE])
    more = len(names) - SHOWN_AT_ONCE
    return f"{shown} and {more} more" if more > 0 else shown


def _name(wildcard: str, value: str) -> str:
    """Return a wildcard for a person: `T3` and `t01`, and words as they are."""
    return f"{wildcard}{value}" if len(wildcard) == 1 else value


def steps_of(dag: Any) -> dict[int, Step]:
    """Return the jobs that Snakemake's `dag` has still to run, without mere targets."""
    return {
        job.jobid: Step(
            rule=job.rule.name,
            wildcards=frozenset(job.wildcards_dict.items()),
            needs=tuple(need.jobid for need in dag.dependencies[job]),
            names=tuple(_name(*pair) for pair in job.wildcards_dict.items()),
            log=str(job.log[0]) if len(job.log) else None,
        )
        for job in dag.needrun_jobs()
        if not job.is_norun
    }
