"""The workflow on a real Slurm: the same bits as without, also when jobs are cancelled there."""

import copy
import os
import re
import shutil
import signal
import subprocess
import time

import pytest
import slurm_cluster
from running import ROOT, TINY, Run, command, environment, run
from slurm_cluster import ask

from incbayes.core.files import sha256_file

ABSENT = slurm_cluster.missing()
pytestmark = pytest.mark.skipif(ABSENT is not None, reason=f"no Slurm: {ABSENT}")

STUDY = copy.deepcopy(TINY)
STUDY["experiments"]["digits"]["parts"] = [2]
STUDY["methods"]["ft"]["training"] = {"epochs": 100}
STUDY["methods"]["ffg"]["training"] = {"epochs": 30}
# No checkpoint but the one that a job writes when it is told to stop.
STUDY["machine"] = {"checkpoint_seconds": 3600}

GROUPS = """prepare_data=start partition=start fit=chain evaluate_T2=chain"""
PROFILE = [
    *("--profile", str(ROOT / "profiles/slurm"), "--groups", *GROUPS.split()),
    *("--slurm-status-command", "squeue", "--slurm-init-seconds-before-status-checks", "1"),
]
TARGET = "results/tiny/metrics.parquet"
STAGE = "results/tiny/digits/{method}/T2/r0-1/t01"
LOG = "results/tiny/logs/fit/digits/{method}/T2/r0-1/t01.log"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with slurm_cluster.slurm(tmp_path_factory.mktemp("slurm")):
        yield


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    """A folder in which the study was run without Slurm."""
    folder = tmp_path_factory.mktemp("local")
    done = run(folder, STUDY, "--", TARGET)
    assert done.returncode == 0, done.stdout
    return folder


def results(folder):
    """Return the digest of every posterior and every score, by path."""
    found = [
        *folder.glob("results/*/digits/**/posterior.safetensors"),
        *folder.glob("results/*/digits/**/metrics.json"),
        *folder.glob("results/*/metrics.*"),
    ]
    return {str(path.relative_to(folder)): sha256_file(path) for path in found}


def wait(condition, seconds=120):
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return value


def job_in_its_stage(folder, method):
    """Wait until the method's first stage is under way, and return the number of its Slurm job."""
    log = folder / LOG.format(method=method)
    said = wait(lambda: log.exists() and "epoch 2/" in log.read_text() and log.read_text())
    return re.search(r"Slurm job (\d+)", said)[1]


def shown(job):
    """Return what Slurm knows of a job, by name."""
    return dict(re.findall(r"(\w+)=(\S*)", ask("scontrol", "show", "job", job)))


def test_cancelled_and_requeued_under_slurm_it_ends_in_the_bits_of_the_local_run(
    cluster, local, tmp_path
):
    with open(tmp_path / "said.txt", "w+") as said:
        process = subprocess.Popen(
            command(tmp_path, STUDY, *PROFILE, "--", TARGET),
            cwd=tmp_path,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
        )
        requeued, cancelled = (job_in_its_stage(tmp_path, name) for name in ("ft", "ffg"))
        begun = time.monotonic()
        subprocess.run(["scontrol", "requeue", requeued], check=True)
        subprocess.run(["scancel", cancelled], check=True)
        wait(lambda: shown(cancelled)["JobState"] == "CANCELLED")
        assert time.monotonic() - begun < 10
        for method in ("ft", "ffg"):
            stage = tmp_path / STAGE.format(method=method)
            wait(lambda stage=stage: (stage / ".checkpoint.safetensors").exists(), 10)
            assert not (stage / "posterior.safetensors").exists()
        assert process.wait(timeout=400) == 0, said.read()
        said.seek(0)
        text = said.read()
    assert text.count("Trying to restart job") == 1  # Slurm itself restarted the other one
    for method in ("ft", "ffg"):
        assert "goes on from its checkpoint" in (tmp_path / LOG.format(method=method)).read_text()
    assert shown(requeued)["Restarts"] == "1"
    again = re.search(r"Slurm job (\d+)", (tmp_path / LOG.format(method="ffg")).read_text())[1]
    assert again != cancelled
    first, second = (int(shown(job)["MinMemoryNode"].rstrip("M")) for job in (cancelled, again))
    assert second == 2 * first
    assert "gpu" not in ask("scontrol", "show", "job")
    assert results(tmp_path) == results(local)
    assert len(results(local)) == 2 * 4 + 3


def test_an_interrupted_run_cancels_its_jobs_which_write_their_checkpoints(cluster, tmp_path):
    started = Run(tmp_path, STUDY, *PROFILE, "--", TARGET)
    try:
        jobs = [job_in_its_stage(tmp_path, name) for name in ("ft", "ffg")]
        before = len(started.text)
        os.kill(started.pid, signal.SIGINT)
        assert started.wait(60) == 1
    finally:
        if started.poll() is None:
            os.killpg(started.pid, signal.SIGKILL)
    lines = started.text[before:].strip().splitlines()
    assert len(lines) < 8 and "Traceback" not in started.text, lines
    (end,) = (line for line in lines if line.endswith("the same command goes on"))
    assert re.match(r"Interrupted; \d+ of \d+ steps done; ", end)
    for job, method in zip(jobs, ("ft", "ffg"), strict=True):
        wait(lambda job=job: shown(job)["JobState"] == "CANCELLED")
        checkpoint = tmp_path / STAGE.format(method=method) / ".checkpoint.safetensors"
        wait(checkpoint.exists, 10)


def test_a_gpu_is_asked_for_only_where_the_study_says_so_and_the_run_ends_with_the_cause(
    cluster, local, tmp_path
):
    folder = tmp_path / "cuda"
    shutil.copytree(local / "results", folder / "results")
    target = f"{STAGE.format(method='ft')}/posterior.safetensors"
    options = [*PROFILE, "--retries", "0", "--force", "--allowed-rules", "fit", "--", target]
    done = run(folder, STUDY | {"machine": {"device": "cuda"}}, *options)
    assert done.returncode != 0
    job = re.search(r"SLURM jobid (\d+)", done.stdout)[1]
    assert shown(job)["TresPerJob"].endswith("gpu:1")
    cause = (
        "digits ft T2 r0-1 stage 1: error: device: cuda was asked for, but torch sees none; "
        f"use auto or cpu\n    log: {LOG.format(method='ft')}\n"
    )
    assert cause in done.stdout[done.stdout.index("Exiting because a job execution failed") :]
