"""The default limit on jobs a second: gone, and with it a scheduler that looks again and again."""

import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from running import environment
from snakemake.cli import get_argument_parser
from snakemake.settings.types import MaxJobsPerTimespan, SchedulingSettings

from incbayes.orchestration.job_rate import DEFAULT, lift_default_rate

JOBS = 8
SNAKEFILE = """
import logging, threading
from snakemake_interface_logger_plugins.common import LogEvent
from incbayes.orchestration.job_rate import lift_default_rate

onstart:
    if {lifted}:
        lift_default_rate(workflow)


class Timers(logging.Handler):
    def emit(self, record):
        if getattr(record, "event", None) == LogEvent.JOB_FINISHED:
            waiting = [t for t in threading.enumerate() if isinstance(t, threading.Timer)]
            print("timers:", len(waiting), flush=True)


logging.getLogger("snakemake.logging").addHandler(Timers())

rule all:
    input:
        expand("{{number}}.txt", number=range({jobs})),

rule wait:
    output:
        touch("{{number}}.txt"),
    shell:
        "sleep 0.1"
"""


def timers(folder: Path, *options: str, lifted: bool = True) -> list[int]:
    """Run jobs that wait for one another, and return how many timers ran as each finished."""
    (folder / "Snakefile").write_text(SNAKEFILE.format(lifted=lifted, jobs=JOBS))
    library = str(Path(__file__).parents[2] / "workflow")
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "--cores", "1", *options],
        cwd=folder,
        env=environment() | {"PYTHONPATH": library},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return [int(found) for found in re.findall(r"timers: (\d+)", done.stdout)]


def test_nothing_looks_again_while_jobs_wait_for_a_core(tmp_path):
    assert timers(tmp_path) == [0] * (JOBS + 1)


def test_by_default_snakemake_looks_again_once_more_for_every_job(tmp_path):
    """Where this fails, Snakemake has mended it, and nothing needs to be taken away."""
    assert max(timers(tmp_path, lifted=False)) > 2


@pytest.mark.parametrize(
    ("given", "stays"),
    [("100/1s", False), ("20/1m", True), ("100/1m", True), ("9/1s", True), (None, True)],
)
def test_a_limit_that_was_asked_for_stays(given, stays):
    limit = given and MaxJobsPerTimespan.parse_choice(given)
    settings = SchedulingSettings(max_jobs_per_timespan=limit)
    limiter = object()
    scheduler = SimpleNamespace(job_rate_limiter=limiter)
    lift_default_rate(SimpleNamespace(scheduling_settings=settings, scheduler=scheduler))
    assert scheduler.job_rate_limiter is (limiter if stays else None)


def test_the_default_is_the_one_that_snakemake_takes():
    found = get_argument_parser().parse_args([]).max_jobs_per_timespan
    assert (found.max_jobs, found.timespan) == DEFAULT
