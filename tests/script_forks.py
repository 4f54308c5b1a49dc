"""Runs the scripts of Snakemake's jobs in forks of a process that has imported what they import.

A script is a new process of Snakemake's session and process group either way, with the arguments,
folder, environment and signals that a new interpreter would have, and imports this project's
library itself. What is spared is importing torch and the like, most of a short job's time.
"""

import ctypes
import json
import os
import re
import runpy
import shlex
import signal
import socket
import subprocess
import sys
import threading
from types import SimpleNamespace
from typing import Any

IMPORTED = ("torch", "pandas", "sklearn.metrics", "matplotlib.pyplot", "seaborn")
"""What jobs import. Not this project's library: each job takes its checkout's."""

COMMAND = re.compile(
    rf"set -euo pipefail; +(trap '' INT; +)?{re.escape(sys.executable)} (.+)", re.DOTALL
)
"""The command of a job that is a Python script: whether it ignores Ctrl-C, and its quoted path."""
_BECOME_PARENT_OF_ORPHANS = 36  # prctl(2), PR_SET_CHILD_SUBREAPER


class Forked:
    """A script that runs in a fork, with what `snakemake.shell` uses of `subprocess.Popen`."""

    def __init__(self, pid: int):
        """Take over the process, which is a child of this one."""
        self.pid = pid
        self.returncode: int | None = None

    def wait(self) -> int:
        """Return its exit code, once it has ended (below 0: the signal that ended it)."""
        if self.returncode is None:
            self.returncode = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.returncode

    def terminate(self) -> None:
        """Send it SIGTERM."""
        os.kill(self.pid, signal.SIGTERM)

    def kill(self) -> None:
        """Send it SIGKILL."""
        os.kill(self.pid, signal.SIGKILL)


def fork_scripts() -> str | None:
    """Let this process, which is to be Snakemake, run its scripts in forks.

    They are forked by a process that never has a second thread, and handed over to this one.

    Returns:
        None in this process; in each fork the path of the script that it is to run.
    """
    if not sys.platform.startswith("linux"):
        return None  # scripts are started as Snakemake starts them
    # A process of which the parent has ended becomes a child of the nearest such ancestor.
    ctypes.CDLL(None).prctl(_BECOME_PARENT_OF_ORPHANS, 1, 0, 0, 0)
    asking, asked = socket.socketpair()
    if os.fork() == 0:
        asking.close()
        return _serve(asked)
    asked.close()
    _start_by(asking)
    return None


def _start_by(asking: socket.socket) -> None:
    """Have `snakemake.shell` start scripts by that connection, and all else as it does."""
    lock, answers = threading.Lock(), asking.makefile()

    def started(command: str, **options: Any) -> Forked | subprocess.Popen:
        given = COMMAND.fullmatch(command.strip())
        script = shlex.split(given[2])[0] if given else ""
        if f"{os.sep}.snakemake{os.sep}scripts{os.sep}" not in script:
            return subprocess.Popen(command, **options)
        request = {
            "script": script,
            "folder": os.getcwd(),
            "environment": dict(options["env"]),
            "ignores_interrupts": given[1] is not None,
        }
        with lock:
            asking.sendall(json.dumps(request).encode() + b"\n")
            return Forked(int(answers.readline()))

    ours = SimpleNamespace(**vars(subprocess))
    ours.Popen = started
    sys.modules["snakemake.shell"].sp = ours  # `snakemake.shell` itself is a class of that name


def _serve(asked: socket.socket) -> str | None:
    """Fork for every request, until Snakemake has ended; return a fork's script in the fork."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in handlers:  # sent to the group: the forks have to answer them
        signal.signal(number, signal.SIG_IGN)
    for line in asked.makefile():
        reading, writing = os.pipe()
        between = os.fork()
        if between == 0:
            job = os.fork()
            if job == 0:
                for number, handler in handlers.items():
                    signal.signal(number, handler)
                asked.close()
                os.close(reading)
                os.close(writing)
                return _become(json.loads(line))
            os.write(writing, b"%d" % job)
            os._exit(0)  # from here on the job is a child of Snakemake
        os.waitpid(between, 0)
        asked.sendall(os.read(reading, 20) + b"\n")
        os.close(reading)
        os.close(writing)
    os._exit(0)


def _become(request: dict[str, Any]) -> str:
    """Make this process what a new interpreter with that script would be, and return its path."""
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["folder"])
    if request["ignores_interrupts"]:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    script = request["script"]
    sys.argv, sys.path[0] = [script], os.path.dirname(script)
    return script


def run_script(script: str) -> None:
    """Run a script as the interpreter would."""
    import torch

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    runpy.run_path(script, run_name="__main__")
