"""Ends processes of jobs by signals at moments drawn from a seed, and runs each job again.

`python ended_jobs.py FOLDER` prints what was seen, by fault, as JSON. A script of its own:
it forks, which is safe only in a process that computes nothing itself.
"""

import json
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tiny_chain import Chain, tiny_chain

from incbayes.core.errors import STOP_SIGNALS, stopped_by
from incbayes.jobs.console import job
from incbayes.posterior.file import read_posterior

Work = Callable[[Chain, Path], None]


def fit(chain: Chain, log: Path) -> None:
    """Fit stage 2, as a job does."""
    with job("a stage", log) as console:
        chain.fit(2, console)


def score(chain: Chain, log: Path) -> None:
    """Score both stages, as a job does."""
    with job("scores", log) as console:
        chain.evaluate(console)


@dataclass(frozen=True)
class Fault:
    """What a job's process is sent.

    Attributes:
        number: the signal.
        work: what the job does.
        times: how often at any moments, and how often at moments in which it writes.
    """

    number: signal.Signals
    work: Work
    times: int


FAULTS = {
    "kill -9 of the process of a stage": Fault(signal.SIGKILL, fit, 10),
    "SIGTERM to the process of a stage": Fault(signal.SIGTERM, fit, 5),
    "SIGINT to the process of a stage": Fault(signal.SIGINT, fit, 5),
    "SIGTERM to the process that scores": Fault(signal.SIGTERM, score, 5),
    "SIGINT to the process that scores": Fault(signal.SIGINT, score, 5),
}


def start(work: Work, chain: Chain, log: Path) -> int:
    """Start a job in a fork, which has the imports already, and return its process."""
    pid = os.fork()
    if pid == 0:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # as scripts/process.py has it
        try:
            work(chain, log)
        except SystemExit as end:
            os._exit(end.code)
        os._exit(0)
    return pid


def wait(pid: int) -> tuple[int, float]:
    """Return a process's exit code (below 0: the signal that ended it), and the seconds waited."""
    begun = time.monotonic()
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), time.monotonic() - begun


def finish(work: Work, chain: Chain, log: Path) -> float:
    """Run a job to its end, and return the seconds that it took."""
    status, seconds = wait(start(work, chain, log))
    assert status == 0, log.read_text()
    return seconds


def partials(chain: Chain) -> list[str]:
    """Return the names of the temporary files in a chain's folder."""
    return [path.name for path in chain.folder.rglob(".*.partial")]


def wait_for_a_partial(chain: Chain, pid: int) -> None:
    """Wait until a job writes a file, or has ended."""
    ended = os.WEXITED | os.WNOHANG | os.WNOWAIT
    while not partials(chain) and os.waitid(os.P_PID, pid, ended) is None:
        time.sleep(2e-4)


def digests(chain: Chain, work: Work) -> list[Any]:
    """Return the checksums of what a job reads and writes."""
    return [chain.digests(1), chain.digests(2), chain.score_digests() if work is score else None]


def stop_while_it_writes(chain: Chain, pid: int) -> None:
    """Stop a job for a moment in which a temporary file of it is there, unless it ends before."""
    while True:
        wait_for_a_partial(chain, pid)
        os.kill(pid, signal.SIGSTOP)
        found = os.waitid(os.P_PID, pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
        if found.si_code != os.CLD_STOPPED or partials(chain):
            return
        os.kill(pid, signal.SIGCONT)


@dataclass(frozen=True)
class Ender:
    """Ends jobs of copies of one chain.

    Attributes:
        chain: of which both stages are fitted and scored.
        seconds: that each work takes at most, undisturbed.
        moments: where the moments are drawn from.
    """

    chain: Chain
    seconds: dict[Work, float]
    moments: random.Random

    def end(self, fault: Fault, folder: Path, writing: bool) -> dict[str, Any]:
        """End a job by a signal, run it again, and return what was seen."""
        work = fault.work
        chain, log = self._copied(work, folder), folder.with_suffix(".log")
        begun, pid = time.monotonic(), start(work, chain, log)
        if writing:
            for _ in range(self.moments.randrange(1, 6)):
                os.kill(pid, signal.SIGCONT)
                stop_while_it_writes(chain, pid)
        else:
            time.sleep(self.moments.uniform(0, 1) * self.seconds[work])
        os.kill(pid, fault.number)
        os.kill(pid, signal.SIGCONT)
        status, took = wait(pid)
        if status == 0:  # it had ended: the machine is faster by now
            self.seconds[work] = min(self.seconds[work], time.monotonic() - begun)
        seen = {"status": status, "seconds": took, "partials": partials(chain)}
        if status in map(stopped_by, STOP_SIGNALS):
            seen["said"] = log.read_text().splitlines()[-1]
        if chain.posterior(2).exists():
            read_posterior(chain.posterior(2))
        finish(work, chain, log)
        same = digests(chain, work) == digests(self.chain, work)
        files = sorted(path.name for path in chain.posterior(2).parent.iterdir())
        return seen | {"writing": writing, "same": same, "files": files}

    def _copied(self, work: Work, folder: Path) -> Chain:
        """Return a copy of the chain without what the work makes."""
        copied = self.chain.at(folder).saving(0.01)
        shutil.copytree(self.chain.folder, folder)
        for t in (1, 2):
            for path in (*copied.scores(t).sealed, copied.scores(t).seal):
                path.unlink()
        if work is fit:
            shutil.rmtree(copied.posterior(2).parent)
            copied.posterior(2).parent.mkdir()
        return copied


def main(folder: Path) -> None:
    """Do every fault as often as it says, each time in a folder of its own."""
    chain = tiny_chain(folder).trained(epochs=2)
    finish(lambda chain, log: chain.fit(1), chain, folder / "log")
    seconds = {work: finish(work, chain, folder / "log") for work in (fit, score)}
    ender, seen = Ender(chain, seconds, random.Random(2018)), {}
    for name, fault in FAULTS.items():
        places = [folder / f"{name} {k}" for k in range(2 * fault.times)]
        seen[name] = [ender.end(fault, place, k % 2 == 1) for k, place in enumerate(places)]
    print(json.dumps(seen))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
