"""Starts Snakemake in forks of a process that has imported it, which spares every run seconds.

Each fork is a process, session and process group of its own, and calls what `python -m snakemake`
calls. It forks for its jobs in turn, unless it is asked to start them itself (`script_forks`).
`running` speaks to it: a line of JSON in, a line of JSON out.
"""

import gc
import importlib
import json
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import snakemake
from script_forks import IMPORTED, fork_scripts, run_script
from snakemake.cli import main

PLANNED_WITH = ("jinja2", "jsonschema", "pandas", "requests", "snakemake_executor_plugin_slurm")
"""What every run imports as well. Not this project's library: each run takes its checkout's."""


def serve() -> Callable[[], None] | None:
    """Answer requests until there are no more.

    Returns:
        In a fork what it is to do: run Snakemake, or the script of a job of one.
    """
    for name in (*PLANNED_WITH, *IMPORTED):
        importlib.import_module(name)
    gc.freeze()  # or every fork's first collection would copy it all
    for line in sys.stdin:
        asked = json.loads(line)
        if "poll" in asked:
            ended, status = os.waitpid(asked["poll"], os.WNOHANG)
            answer = os.waitstatus_to_exitcode(status) if ended else None
        else:
            answer = os.fork()
            if answer == 0:
                become(asked)
                script = None if asked["scripts_anew"] else fork_scripts()
                return main if script is None else partial(run_script, script)
        print(json.dumps(answer), flush=True)
    return None


def become(asked: dict[str, Any]) -> None:
    """Make this process what was asked for: its arguments, environment, folder and output."""
    os.setsid()
    os.environ.clear()
    os.environ.update(asked["environment"])
    os.chdir(asked["folder"])
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(os.open(asked["said"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 1)
    os.dup2(1, 2)
    sys.argv = [str(Path(snakemake.__file__).with_name("__main__.py")), *asked["options"]]


if __name__ == "__main__" and (task := serve()):
    task()
