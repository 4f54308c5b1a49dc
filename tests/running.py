"""Runs the real workflow in a folder of its own, and reads what Snakemake says it will do."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parent.parent

TINY: dict[str, Any] = {
    "study": "tiny",
    "replicates": 2,
    "replicates_per_block": 2,
    "training": {"epochs": 2, "batch_size": 64},
    "evaluation": {"samples": 3},
    "experiments": {
        "digits": {
            "dataset": "digits",
            "model": {"kind": "mlp", "widths": [8]},
            "parts": [1, 2],
            "methods": ["ft", "ffg"],
        }
    },
    "methods": {"ft": {"family": "point"}, "ffg": {"family": "ffg"}},
    "claims": {
        "alike": {
            "sentence": "Both methods are as accurate in two parts.",
            "relation": {"kind": "equivalent", "margin": 0.5, "reason": "all but chance"},
            "groups": [
                {"experiment": "digits", "method": "ffg", "T": 2},
                {"experiment": "digits", "method": "ft", "T": 2},
            ],
        }
    },
}
"""A study of a few seconds, for tests to change and to run."""


def options_of(folder: Path, study: dict[str, Any], *options: str) -> list[str]:
    """Return the options with which Snakemake runs `study` with its results in `folder`."""
    file = folder / f"{study['study']}.yaml"
    file.write_text(yaml.safe_dump(study), encoding="utf-8")
    return [
        *("--snakefile", str(ROOT / "Snakefile"), "--directory", str(folder)),
        *("--configfile", str(file), "--cores", "2", *options),
    ]


def command(folder: Path, study: dict[str, Any], *options: str) -> list[str]:
    """Return the command line that runs `study` with its results in `folder`."""
    return [sys.executable, "-m", "snakemake", *options_of(folder, study, *options)]


def copied_checkout(folder: Path) -> Path:
    """Copy what a checkout of this project runs to `folder`, and return that."""
    ignored = shutil.ignore_patterns("__pycache__")
    for name in ("workflow", "envs"):
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    for name in ("Snakefile", "config.yaml"):
        shutil.copy(ROOT / name, folder / name)
    return folder


def environment() -> dict[str, str]:
    """Return the environment of a run: one thread a job, byte code may be kept."""
    dropped = ("PYTHONDONTWRITEBYTECODE",)
    return {k: v for k, v in os.environ.items() if k not in dropped} | {"OMP_NUM_THREADS": "1"}


@cache
def _forks() -> subprocess.Popen:
    """Return the process that starts Snakemake; it ends with this one."""
    return subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("snakemake_forks.py"))],
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def _ask(**request: Any) -> int | None:
    """Return what the process that starts Snakemake answers."""
    forks = _forks()
    forks.stdin.write(json.dumps(request) + "\n")
    forks.stdin.flush()
    return json.loads(forks.stdout.readline())


class Snakemake:
    """A Snakemake that was started, as if by `python -m snakemake` and its options.

    Attributes:
        pid: of its process, which leads a session and a process group.
    """

    def __init__(self, folder: Path, options: Sequence[str], scripts_anew: bool = False):
        """Start it in `folder`.

        `scripts_anew`: the processes of jobs begin with a new interpreter, as they do for users,
        and not as forks of one that has imported torch.
        """
        self._said = tempfile.NamedTemporaryFile()  # noqa: SIM115  as long as this object
        self._code: int | None = None
        self.pid = _ask(
            options=list(options),
            environment=environment(),
            folder=str(folder),
            said=self._said.name,
            scripts_anew=scripts_anew,
        )

    def poll(self) -> int | None:
        """Return its exit code (below 0: the signal that ended it), or None while it runs."""
        if self._code is None:
            self._code = _ask(poll=self.pid)
        return self._code

    def wait(self, seconds: float = 600) -> int:
        """Return its exit code, once it has ended."""
        deadline = time.monotonic() + seconds
        while self.poll() is None:
            assert time.monotonic() < deadline, f"no end after {seconds} s: {self.text}"
            time.sleep(0.01)
        return self._code

    @property
    def text(self) -> str:
        """What it said so far, on standard output and error."""
        return Path(self._said.name).read_text(encoding="utf-8", errors="replace")


class Run(Snakemake):
    """A run of a study that was started, as if by `command`."""

    def __init__(
        self, folder: Path, study: dict[str, Any], *options: str, scripts_anew: bool = False
    ):
        """Start it in `folder`."""
        super().__init__(folder, options_of(folder, study, *options), scripts_anew)


def typed(folder: Path, *options: str) -> subprocess.CompletedProcess:
    """Run `snakemake` in `folder` with these options to its end, and return what it said."""
    started = Snakemake(folder, options)
    code = started.wait()
    return subprocess.CompletedProcess(["snakemake", *options], code, started.text)


def run(folder: Path, study: dict[str, Any], *options: str) -> subprocess.CompletedProcess:
    """Run Snakemake to its end and return what it said (standard error is in `stdout`)."""
    started = Run(folder, study, *options)
    code = started.wait()
    return subprocess.CompletedProcess(command(folder, study, *options), code, started.text)


def planned(folder: Path, study: dict[str, Any], *options: str) -> set[str]:
    """Return the jobs that a run would start, e.g. `fit experiment=digits, method=ft, …`."""
    done = run(folder, study, "--dry-run", *options)
    assert done.returncode == 0, done.stdout
    return jobs_of(done.stdout)


def jobs_of(said: str) -> set[str]:
    """Return the jobs that Snakemake names, e.g. `fit experiment=digits, method=ft, …`."""
    jobs, rule = set(), None
    for line in said.splitlines():
        if match := re.match(r"(?:local)?rule (\w+):", line):
            rule = match[1]
            jobs.add(rule)
        elif rule and (match := re.match(r" +wildcards: (.*)", line)):
            jobs.discard(rule)
            jobs.add(f"{rule} {match[1]}")
    return jobs
