"""Ctrl-C: what the handler of the run does, with processes that stand for its jobs."""

import logging
import signal
import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import pytest

from incbayes.orchestration.failures import FailureHandler
from incbayes.orchestration.interruption import AGAIN, IGNORED_BY_JOBS, Interruption

OBEDIENT = "import time; print('ready', flush=True); time.sleep(60)"
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {OBEDIENT}"


class Scheduler:
    """What the handler knows of Snakemake's: its jobs, and that it can be told to end."""

    def __init__(self, *programs):
        self.finished_jobs, self.told = 3, False
        python = f"{IGNORED_BY_JOBS}{sys.executable}"
        shells = [f'{python} -c "{program}" || true' for program in programs]
        self.running = [
            subprocess.Popen(["bash", "-c", shell], stdout=subprocess.PIPE) for shell in shells
        ]
        for job in self.running:
            assert job.stdout.readline() == b"ready\n"

    def exit_gracefully(self):
        self.told = True
        threading.Thread(target=self._wait, daemon=True).start()

    def _wait(self):
        for job in self.running:
            job.wait()
        self.running = []


@pytest.fixture
def run(caplog):
    """Return a function that returns an interruption of a run, and what the run says."""
    caplog.set_level(logging.INFO, "test_interruption")

    def make(*programs, **changes):
        workflow = {
            "dryrun": False,
            "local_exec": True,
            "scheduler": Scheduler(*programs),
            "dag": range(17),
        }
        workflow = SimpleNamespace(**workflow | changes)
        return Interruption(workflow, logging.getLogger("test_interruption")), workflow

    return make


def wait(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_jobs_are_told_to_stop_and_the_run_says_how_far_it_came(run, caplog):
    interruption, workflow = run(OBEDIENT, OBEDIENT)
    jobs = workflow.scheduler.running
    interruption.answer(signal.SIGINT, None)
    wait(lambda: not workflow.scheduler.running)
    assert workflow.scheduler.told and all(job.returncode == 0 for job in jobs)  # of the shells
    interruption.conclude()
    assert caplog.messages[-1] == "Interrupted; 3 of 17 steps done; the same command goes on"


def test_other_children_are_left_alone(run):
    interruption, workflow = run(OBEDIENT)
    with subprocess.Popen(["sleep", "60"]) as other:  # such as what cancels the jobs of a cluster
        interruption.answer(signal.SIGINT, None)
        wait(lambda: not workflow.scheduler.running)
        assert other.poll() is None
        other.kill()


def test_a_second_interrupt_kills_unless_it_is_a_double_stroke(run):
    interruption, workflow = run(STUBBORN)
    interruption.answer(signal.SIGINT, None)
    interruption.answer(signal.SIGINT, None)
    time.sleep(AGAIN)
    assert workflow.scheduler.running
    interruption.answer(signal.SIGINT, None)
    wait(lambda: not workflow.scheduler.running)


@pytest.mark.parametrize("changes", [{"scheduler": None}, {"dryrun": True}])
def test_before_anything_runs_it_ends_at_once(changes, run):
    interruption, _ = run(**changes)
    with pytest.raises(SystemExit, match="Interrupted; no job was started"):
        interruption.answer(signal.SIGINT, None)
    interruption.conclude()
    assert not interruption.begun


def test_on_a_cluster_snakemake_cancels_the_jobs(run):
    interruption, workflow = run(local_exec=False)
    with pytest.raises(KeyboardInterrupt):
        interruption.answer(signal.SIGINT, None)
    wait(lambda: workflow.scheduler.told)


def test_only_what_matters_is_shown_afterwards(run, tmp_path):
    interruption, workflow = run(OBEDIENT)
    logger = logging.getLogger("test_interruption")
    shown = []
    handler = logging.Handler()
    handler.emit = lambda record: shown.append(record.getMessage())
    failures = FailureHandler(logger)
    logger.addHandler(handler)
    logger.addHandler(failures)
    try:
        interruption.answer(signal.SIGINT, None)
        wait(lambda: not workflow.scheduler.running)
        for number, end in enumerate(("stopped by SIGTERM; run again", "error: the disk is full")):
            log = tmp_path / f"{number}.log"
            log.write_text(f"10:00:00 a stage: started\n10:00:01 {end}\n")
            record = {"event": "job_error", "jobid": number, "rule_name": "fit", "rule_msg": None}
            logger.error("RuleException", extra={**record, "log": [str(log)], "indent": False})
        failures.explain(interruption.begun)
        interruption.conclude()
        logger.info("Complete log(s): x")
    finally:
        logger.removeHandler(handler)
        logger.removeHandler(failures)
    assert shown[0].startswith("Interrupted; running jobs are told to stop")
    assert shown[1:] == [
        f"a stage: error: the disk is full\n    log: {tmp_path / '1.log'}",
        "Interrupted; 3 of 17 steps done; the same command goes on",
        "Complete log(s): x",
    ]
