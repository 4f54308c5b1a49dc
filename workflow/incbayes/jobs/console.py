"""What a job says while it runs: plain lines in its log file, bars on a terminal."""

import os
import signal
import socket
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, TextIO

from tqdm import tqdm

from incbayes.errors import TERMINATED, UserError

if TYPE_CHECKING:  # a job that fits nothing need not pay for torch
    from incbayes.inference.optimisation import Optimisation


STOPPED = "stopped by SIGTERM"


class Console:
    """The voice of one job.

    Attributes:
        title: what the job does, e.g. `digits ffg T5 r0-2 stage 3`.
    """

    def __init__(self, title: str, log: TextIO):
        """Write lines to `log`, and bars to standard error where that is a terminal."""
        self.title, self._log = title, log
        self._bars: dict[int, tqdm] = {}
        self._heard: set[int] = set()

    def say(self, line: str) -> None:
        """Write one line, with the time, to the log; a full disk takes none and ends no job."""
        with suppress(OSError):
            self._log.write(f"{datetime.now():%H:%M:%S} {line}\n")
            self._log.flush()

    def narrate(self, replicate: int, optimisation: "Optimisation") -> None:
        """Report a step: a line per epoch to the log, the step to the replicate's bar."""
        done = optimisation.epoch * optimisation.batches + optimisation.step
        if replicate not in self._heard:
            self._heard.add(replicate)
            if done > 1:
                self.say(
                    f"replicate {replicate} goes on from its checkpoint, after {done - 1} steps"
                )
        if sys.stderr.isatty():
            self._move_bar(replicate, optimisation, done)
        if optimisation.step == 0 and optimisation.history:
            record = optimisation.history[-1]
            numbers = [f"{key} {record[key]:.4g}" for key in ("elbo", "nll", "kl") if key in record]
            epochs = f"epoch {optimisation.epoch}/{optimisation.training.epochs}"
            self.say(f"replicate {replicate} {epochs} {' '.join(numbers)}")

    def close(self) -> None:
        """Remove the bars."""
        while self._bars:
            self._bars.popitem()[1].close()

    def _move_bar(self, replicate: int, optimisation: "Optimisation", done: int) -> None:
        """Set the replicate's bar to the steps done; it goes when the replicate is finished."""
        if replicate not in self._bars:
            total = optimisation.training.epochs * optimisation.batches
            title = f"{self.title} replicate {replicate}"
            self._bars[replicate] = tqdm(
                total=total, desc=title, unit="step", leave=False, mininterval=0.5
            )
        bar = self._bars[replicate]
        bar.update(done - bar.n)
        if optimisation.finished:
            self._bars.pop(replicate).close()


@contextmanager
def job(title: str, log: str | Path, command: str | None = None) -> Iterator[Console]:
    """Run a job's body with its console; turn an error, or SIGTERM, into a readable end.

    An error that a user can act on ends the process with one line on standard error and in
    the log; any other leaves its traceback in both. What the system refuses, such as a file that
    cannot be read, leaves the line on standard error and the traceback in the log.

    Args:
        title: what the job does.
        log: its log file.
        command: what runs this job alone, for the log.

    Raises:
        SystemExit: 1 after such an error, 143 after SIGTERM.
    """
    with _opened(log) as file:
        console = Console(title, file)
        console.say(f"{title}: started")
        console.say(f"on {_place()}")
        if command is not None:
            console.say(f"to run this job alone: {command}")
        try:
            with _stopped_by_sigterm():
                yield console
            console.say(f"{title}: done")
        except UserError as error:
            console.say(f"error: {error}")
            print(f"{title}: {error}", file=sys.stderr)
            sys.exit(1)
        except SystemExit as end:
            if end.code == TERMINATED:
                console.say(f"{STOPPED}; run again, it goes on from its checkpoint, if it has one")
            raise
        except Exception as error:
            with suppress(OSError):
                file.write(traceback.format_exc())
            if not isinstance(error, OSError):
                raise
            console.say(f"error: {error}")
            print(f"{title}: {error}", file=sys.stderr)
            sys.exit(1)
        finally:
            console.close()


@contextmanager
def _stopped_by_sigterm() -> Iterator[None]:
    """End a block on SIGTERM as an error would, so that it takes its temporary files with it.

    A block within may handle the signal itself, as one that trains does.
    """

    def stop(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a second one is not to interrupt the end
        sys.exit(TERMINATED)

    previous = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


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
