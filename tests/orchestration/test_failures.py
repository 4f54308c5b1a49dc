"""The end of a run that failed: the cause of every failure, and the command to try again."""

import logging
import os
import re
import shlex
import signal
import subprocess
from types import SimpleNamespace

import pytest
from running import TINY, environment, run

from incbayes.jobs.console import job
from incbayes.orchestration.failures import SILENT, UNSAID, FailureHandler

STARTED = "10:00:00 digits ffg T1 r0-1 stage 1: started\n10:00:00 on a node\n"
TITLE = "digits ffg T1 r0-1 stage 1"


@pytest.fixture
def log(tmp_path):
    """Write a job's log and return its path."""

    def write(text, name="fit.log"):
        (tmp_path / name).write_text(text)
        return str(tmp_path / name)

    return write


@pytest.fixture
def said(caplog):
    """Return what is logged at the end of a run with the given records."""

    def explain(*records):
        logger = logging.getLogger("test_failures")
        handler = FailureHandler(logger)
        for record in records:
            handler.emit(logging.makeLogRecord(record))
        with caplog.at_level(logging.INFO, logger=logger.name):
            handler.explain()
        return [record.message for record in caplog.records]

    return explain


def failed(*logs, number=1, message=None, indent=False):
    return {
        "event": "job_error",
        "jobid": number,
        "rule_name": "fit",
        "rule_msg": message,
        "log": list(logs),
        "indent": indent,
    }


@pytest.mark.parametrize(
    ("end", "cause"),
    [
        ("10:00:01 error: epoch 2: the loss is nan\n", "error: epoch 2: the loss is nan"),
        ('Traceback (most recent call last):\n  File "x"\nValueError: so\n', "ValueError: so"),
        ("10:00:01 replicate 0 epoch 2/9\n10:00:01 stopped by SIGTERM\n", "stopped by SIGTERM"),
        ("10:00:01 replicate 0 epoch 2/9 elbo -1\n", SILENT),
    ],
)
def test_the_cause_is_the_last_word_of_the_jobs_log(end, cause, log, said):
    path = log(STARTED + end)
    assert said(failed(path)) == [f"{TITLE}: {cause}\n    log: {path}"]


def test_a_job_that_was_told_to_stop_says_so_and_how_to_run_it_alone(tmp_path, said):
    path = tmp_path / "fit.log"
    with pytest.raises(SystemExit, match="143"), job(TITLE, path, "snakemake -- FILE"):
        os.kill(os.getpid(), signal.SIGTERM)
    assert "to run this job alone: snakemake -- FILE\n" in path.read_text()
    advice = "run again, it goes on from its checkpoint, if it has one"
    assert said(failed(str(path))) == [f"{TITLE}: stopped by SIGTERM; {advice}\n    log: {path}"]


def test_a_job_that_was_killed_without_a_word_gets_slurms(log, said):
    path, message = log(STARTED), "SLURM-job '3' failed, SLURM status is: 'OUT_OF_MEMORY'. More."
    assert said(failed(path, message=message)) == [
        f"{TITLE}: Slurm says OUT_OF_MEMORY\n    log: {path}"
    ]


@pytest.mark.parametrize(
    ("lines", "cause"),
    [
        (
            [
                "srun: error: a: task 0: Exited",
                "slurmstepd: error: *** JOB 3 ON a CANCELLED AT 1 ***",
            ],
            "*** JOB 3 ON a CANCELLED AT 1 ***",
        ),
        (
            [
                "slurmstepd-a: error: Exceeded job memory limit",
                "slurmstepd-a: error: *** STEP 3.0 ON a CANCELLED AT 1 ***",
                "srun: error: a: task 0: Killed",
            ],
            "Exceeded job memory limit",
        ),
        (["slurmstepd: error: Detected 1 oom_kill event."], "Detected 1 oom_kill event."),
        (["srun: error: a: task 0: Exited"], "Slurm says FAILED"),
    ],
)
def test_what_slurm_wrote_into_its_own_log_says_more_than_the_status(lines, cause, log, said):
    stopped = log(STARTED + "10:00:01 stopped by SIGTERM\n")
    slurm = log("\n".join(lines), "3.log")
    assert said(failed(stopped, slurm, message="SLURM status is: 'FAILED'.")) == [
        f"{TITLE}: stopped by SIGTERM; {cause}\n    log: {stopped}"
    ]


def test_a_job_that_succeeds_at_a_later_attempt_is_not_named(log, said):
    finished = {"event": "job_finished", "job_id": 1}
    assert said(failed(log(STARTED)), finished) == []


def test_of_a_group_only_the_jobs_that_began_and_did_not_end_are_named(log, said, tmp_path):
    done, broken = log(STARTED + f"10:00:02 {TITLE}: done\n", "a.log"), log(STARTED, "b.log")
    records = [
        failed(path, number=number, indent=True)
        for number, path in enumerate([done, broken, str(tmp_path / "never written.log")])
    ]
    assert said(*records) == [f"{TITLE}: {SILENT}\n    log: {broken}"]


def test_of_a_job_that_says_itself_what_is_wrong_no_status_is_shown(log, said):
    path = log(STARTED + "10:00:01 error: the parent is damaged\n")
    assert said(failed(path, message="SLURM status is: 'FAILED'.")) == [
        f"{TITLE}: error: the parent is damaged\n    log: {path}"
    ]


def test_a_job_that_could_not_be_submitted_says_so(log, said, tmp_path):
    path = str(tmp_path / "never written.log")
    message = "SLURM sbatch failed. The message was 'invalid partition'.\n  call\nFor further error"
    assert said(failed(path, message=f"{message} details see the log.")) == [
        f"fit: SLURM sbatch failed. The message was 'invalid partition'.\n    log: {path}"
    ]


def test_a_job_without_a_log_is_named_by_its_rule_and_not_called_killed(said, tmp_path):
    assert said(failed()) == [f"fit: {UNSAID}"]
    path = str(tmp_path / "never written.log")
    assert said(failed(path))[-1] == f"fit: {UNSAID}\n    log: {path}"


def error(text, thread=1):
    """Return what Snakemake logs of a job that failed here, just before it names the job."""
    return {"event": "error", "msg": f"RuleException:\n{text}", "thread": thread}


COMMAND = """CalledProcessError in file "fit.smk", line 9:
Command 'set -euo pipefail;  /a python /a/fit.py' """


@pytest.mark.parametrize(
    ("begun", "end", "cause"),
    [
        (False, "returned non-zero exit status 127.", "could not be started (exit status 127)"),
        (False, "returned non-zero exit status 126.", "could not be started (exit status 126)"),
        (False, "returned non-zero exit status 1.", "ended with exit status 1 and no word of why"),
        (True, "returned non-zero exit status 3.", "ended with exit status 3 and no word of why"),
        (False, "returned non-zero exit status 137.", SILENT),
        (True, "returned non-zero exit status 137.", SILENT),
        (False, "died with <Signals.SIGKILL: 9>.", SILENT),
    ],
)
def test_only_what_a_signal_ended_is_called_a_kill(begun, end, cause, log, said, tmp_path):
    path = log(STARTED) if begun else str(tmp_path / "never written.log")
    (line,) = said(error(COMMAND + end), failed(path) | {"thread": 1})
    assert line.startswith(f"{TITLE if begun else 'fit'}: {cause}"), line


def test_what_snakemake_says_of_a_job_is_not_taken_for_another(said):
    missing = "MissingOutputException in rule fit in file fit.smk, line 9:\nJob 2 made no file."
    lines = said(
        error(missing, thread=2),
        error(COMMAND + "returned non-zero exit status 127.", thread=1),
        failed(number=1) | {"thread": 1},
        failed(number=2) | {"thread": 2},
        failed(number=3) | {"thread": 2},
    )
    assert lines[0].startswith("fit: could not be started")
    words = " ".join(missing.split("\n"))
    assert lines[1:] == [f"fit: RuleException: {words}", f"fit: {UNSAID}"]


@pytest.mark.parametrize("quiet", [{"RULES", "HOST"}, {"HOST"}, set(), None])
def test_a_failure_is_said_at_once_where_snakemake_does_not_say_it(quiet, log, caplog):
    """A run that goes on with other jobs may end hours later."""
    names = None if quiet is None else [SimpleNamespace(name=name) for name in quiet]
    workflow = SimpleNamespace(output_settings=SimpleNamespace(quiet=names))
    logger = logging.getLogger("test_failures")
    path = log(STARTED)
    with caplog.at_level(logging.INFO, logger=logger.name):
        FailureHandler(logger, workflow).emit(logging.makeLogRecord(failed(path) | {"thread": 1}))
    said = [record.message for record in caplog.records]
    assert said == [f"failed: {TITLE}\n    log: {path}"] * ("RULES" in (quiet or ()))


def test_a_fault_of_ours_ends_the_causes_and_not_the_run(said):
    (message,) = said({"event": "job_error"})
    assert message.startswith("Causes of failures are not shown: AttributeError")


def test_a_real_failure_ends_with_its_cause_and_a_log_with_the_command_to_repeat_it(tmp_path):
    folder = tmp_path / "a study"
    folder.mkdir()
    target = "results/tiny/digits/parts/T2/r0-1.safetensors"
    done = run(folder, TINY, "--", target)
    assert done.returncode == 0, done.stdout
    log = folder / "results/tiny/logs/partition/digits/T2/r0-1.log"
    title = "digits parts T2 r0-1"
    command = re.search(r"to run this job alone: (.*)", log.read_text())[1]
    assert str(folder) in shlex.split(command)

    def again():
        return subprocess.run(
            shlex.split(command), cwd="/", env=environment(), capture_output=True, text=True
        )

    alone = again()
    assert alone.returncode == 0, alone.stderr
    assert "1 of 1 steps (100%) done" in alone.stderr and "Rule: partition" in alone.stderr

    checksums = folder / "results/data/digits/checksums.json"
    checksums.write_text(checksums.read_text().replace('"digest": "', '"digest": "0'))
    failed = again()
    assert failed.returncode != 0
    ending = failed.stderr[failed.stderr.index("Exiting because a job execution failed") :]
    assert re.search(rf"{title}: error: .*checksums.json", ending, re.IGNORECASE), ending
    assert f"log: {log.relative_to(folder)}" in ending
