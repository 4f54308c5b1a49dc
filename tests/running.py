"""Runs the real workflow in a folder of its own, and reads what Snakemake says it will do."""

import os
import re
import subprocess
import sys
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


def command(folder: Path, study: dict[str, Any], *options: str) -> list[str]:
    """Return the command line that runs `study` with its results in `folder`."""
    file = folder / f"{study['study']}.yaml"
    file.write_text(yaml.safe_dump(study), encoding="utf-8")
    return [
        *(sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")),
        *("--directory", str(folder), "--configfile", str(file), "--cores", "2", *options),
    ]


def environment() -> dict[str, str]:
    """Return the environment of a run: one thread a job, byte code may be kept."""
    dropped = ("PYTHONDONTWRITEBYTECODE",)
    return {k: v for k, v in os.environ.items() if k not in dropped} | {"OMP_NUM_THREADS": "1"}


def run(folder: Path, study: dict[str, Any], *options: str) -> subprocess.CompletedProcess:
    """Run Snakemake to its end and return what it said (standard error is in `stdout`)."""
    return subprocess.run(
        command(folder, study, *options),
        cwd=folder,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
    )


def planned(folder: Path, study: dict[str, Any], *options: str) -> set[str]:
    """Return the jobs that a run would start, e.g. `fit experiment=digits, method=ft, …`."""
    done = run(folder, study, "--dry-run", *options)
    assert done.returncode == 0, done.stdout
    jobs, rule = set(), None
    for line in done.stdout.splitlines():
        if match := re.match(r"(?:local)?rule (\w+):", line):
            rule = match[1]
            jobs.add(rule)
        elif rule and (match := re.match(r" +wildcards: (.*)", line)):
            jobs.discard(rule)
            jobs.add(f"{rule} {match[1]}")
    return jobs
