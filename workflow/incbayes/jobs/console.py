"""What a job says while it runs: plain lines in its log file, bars on a terminal."""

import os
import signal
import socket
import sys
import traceback
from collections.abc import Iterator
from contextlib import _GeneratorContextManager, contextmanager, suppress
from datetime import datetime
from pathlib import Path
from threading import Timer
from types import FrameType
from typing import TYPE_CHECKING, TextIO

from tqdm import tqdm

from incbayes.core.errors import STOP_SIGNALS, CodeFault, UserError, last_word, stopped_by

if TYPE_CHECKING:  # a job that fits nothing need not pay for torch
    from incbayes.inference.base import Run


LEAVING = _GeneratorContextManager.__exit__.__code__
"""What runs between the last step of a `with` block and the rest of its context manager."""

LATER = 0.001  # seconds
STOPPED = {stopped_by(number): f"stopped by {number.name}" for number in STOP_SIGNALS}
"""How the log of a job ends that was told to stop, by its exit status."""


class Console:
    """The log of one job, and its bars on a terminal.

    Attributes:
        title: what the job does, e.g. `digits ffg T5 r0-2 stage 3`.
    """

    def __init__(self, title: str, log: TextIO):
        """Write lines to `log`, and bars to standard error where that is a terminal."""
        self.title, self._log = title, log
        self._bars: dict[int, tqdm] = {}
        self._known: set[int] = set()

    def log(self, line: str) -> None:
        """Write one line, with the time, to the log; a full disk takes none and ends no job."""
        with suppress(OSError):
            self._log.write(f"{datetime.now():%H:%M:%S} {line}\n")
            self._log.flush()

    def on_step(self, replicate: int, run: "Run") -> None:
        """Report a step: a line per epoch to the log, the step to the replicate's bar."""
        done = run.epoch * run.batches + run.step
        if replicate not in self._known:
            self._known.add(replicate)
            if done > 1:
                self.log(
                    f"replicate {replicate} goes on from its checkpoint, after {done - 1} steps"
                )
        if sys.stderr.isatty():
            self._move_bar(replicate, run, done)
        if run.step == 0 and run.history:
            record = run.history[-1]
            numbers = [f"{key} {record[key]:.4g}" for key in ("elbo", "nll", "kl") if key in record]
            epochs = f"epoch {run.epoch}/{run.epochs}"
            self.log(f"replicate {replicate} {epochs} {' '.join(numbers)}")

    def close(self) -> None:
        """Remove the bars."""
        while self._bars:
            self._bars.popitem()[1].close()

    def _move_bar(self, replicate: int, run: "Run", done: int) -> None:
        """Set the replicate's bar to the steps done; it goes when the replicate is finished."""
        if replicate not in self._bars:
            total = run.epochs * run.batches
            title = f"{self.title} replicate {replicate}"
            self._bars[replicate] = tqdm(
                total=total, desc=title, unit="step", leave=False, mininterval=0.5
            )
        bar = self._bars[replicate]
        bar.update(done - bar.n)
        if run.finished:
            self._bars.pop(replicate).close()


@contextmanager
def job(title: str, log: str | Path, command: str | None = None) -> Iterator[Console]:
    """Run a job's body with its console; turn an error, SIGTERM or SIGINT into a readable end.

    Any error ends the process with one line on standard error and in the log. The log also has
    its traceback, unless it is one that a user can act on.

    Args:
        title: what the job does.
        log: its log file.
        command: what runs this job alone, for the log.

    Raises:
        SystemExit: 1 after an error, 143 after SIGTERM, 130 after SIGINT.
    """
    with _opened(log) as file, _stopped_by_signals():
        console = Console(title, file)
        console.log(f"{title}: started")
        console.log(f"on {_place()}")
        if command is not None:
            console.log(f"to run this job alone: {command}")
        try:
            yield console
            console.log(f"{title}: done")
        except SystemExit as end:
            if end.code in STOPPED:
                advice = "run again, it goes on from its checkpoint, if it has one"
                console.log(f"{STOPPED[end.code]}; {advice}")
            raise
        except Exception as error:
            if isinstance(error, CodeFault) or not isinstance(error, UserError):
                with suppress(OSError):
                    file.write(traceback.format_exc())
            line = str(error) if isinstance(error, UserError | OSError) else last_word(error)
            console.log(f"error: {line}")
            print(f"{title}: {line}", file=sys.stderr)
            sys.exit(1)
        finally:
            console.close()


@contextmanager
def _stopped_by_signals() -> Iterator[None]:
    """End a block on SIGTERM or SIGINT as an error would: it takes its temporary files with it.

    A block within may handle the signals itself, as one that trains does. Where a signal comes
    as a context manager is about to end its block, it comes again a little later: raised there, the
    manager's own end would be skipped, and what it had to remove would stay.
    """

    def stop(number: int, frame: FrameType | None) -> None:
        if frame is not None and frame.f_code is LEAVING:
            Timer(LATER, os.kill, (os.getpid(), number)).start()
            return
        for other in STOP_SIGNALS:  # a second one is not to interrupt the end
            signal.signal(other, signal.SIG_IGN)
        sys.exit(stopped_by(number))

    previous = {number: signal.signal(number, stop) for number in STOP_SIGNALS}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@contextmanager
def _opened(log: str | Path) -> Iterator[TextIO]:
    """Open a log; closing it is no error where the disk does not take its last lines."""
    file = open(log, "w", encoding="utf-8", buffering=1)  # noqa: SIM115
    try:
        yield file
    finally:
        with suppress(OSError):
            file.close()


def _place() -> str:
    """Return where this process runs, and as what a scheduler knows it."""
    place = f"{socket.gethostname()}, process {os.getpid()}"
    slurm = os.environ.get("SLURM_JOB_ID")
    return f"{place}, Slurm job {slurm}" if slurm else place
