"""Faults that befall a real run of Snakemake: kills, a second run, lost files, a full stop."""

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from functools import partial
from pathlib import Path

import psutil
import pytest
import running
from fault_table import survived
from running import ROOT, TINY, environment, run

from incbayes.core.files import sha256_file
from incbayes.posterior.file import read_posterior

STUDY = TINY | {
    "study": "chain",
    "replicates": 1,
    "training": {"epochs": 15, "batch_size": 64},
    "machine": {"checkpoint_seconds": 0.05},
    "experiments": {"digits": TINY["experiments"]["digits"] | {"parts": [2]}},
    "methods": {"ffg": {"family": "ffg"}},
    "claims": {},
}
STUDY["experiments"]["digits"]["methods"] = ["ffg"]

CHAIN = "results/chain/digits/ffg/T2/r0-0"
PARTS = "results/chain/digits/parts/T2/r0-0.safetensors"
FIRST, SECOND = (f"{CHAIN}/t0{t}/posterior.safetensors" for t in (1, 2))
Run = partial(running.Run, scripts_anew=True)  # what is killed is the process that users have
KILLS = 10
"""Of Snakemake alone, and of Snakemake with its jobs."""


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """A folder, with blanks, quotes and more, with both stages fitted; and a stage's seconds."""
    folder = tmp_path_factory.mktemp("undisturbed") / "a 'study' — öäü 数"
    folder.mkdir()
    done = run(folder, STUDY, "--", FIRST)
    assert done.returncode == 0, done.stdout
    last = Run(folder, STUDY, "--", SECOND)
    wait_for_a_job(last)
    begun = time.monotonic()
    assert last.wait() == 0, last.text
    return folder, time.monotonic() - begun


@pytest.fixture
def folder(undisturbed, tmp_path):
    """A copy of that folder."""
    return shutil.copytree(undisturbed[0], tmp_path / "it's a copy é")


def jobs_of(started):
    """Return the processes of the jobs that a Snakemake runs."""
    with suppress(psutil.NoSuchProcess):
        children = psutil.Process(started.pid).children(recursive=True)
        return [job for job in children if "/.snakemake/scripts/" in " ".join(job.cmdline())]
    return []


def wait_for_a_job(started):
    """Return the first processes of a job once they are there; none where the run ends before."""
    while started.poll() is None:
        if jobs := jobs_of(started):
            return jobs
        time.sleep(0.01)
    return []


def kill(started, with_its_jobs, seconds):
    """Kill -9 a Snakemake, alone or with its jobs, so long after its first job began.

    Returns:
        The processes of the jobs that ran at that moment, and the seconds since the first began.
    """
    wait_for_a_job(started)
    begun = time.monotonic()
    while started.poll() is None and time.monotonic() - begun < seconds:
        time.sleep(0.01)
    jobs, lasted = jobs_of(started), time.monotonic() - begun
    with suppress(ProcessLookupError):
        (os.killpg if with_its_jobs else os.kill)(started.pid, signal.SIGKILL)
    started.wait()
    return jobs, lasted


def unlock(folder, properly):
    """Remove the locks that a killed Snakemake left, as `--unlock` does, or by it."""
    if properly:
        assert run(folder, STUDY, "--unlock").returncode == 0
    else:
        shutil.rmtree(folder / ".snakemake/locks", ignore_errors=True)


def assert_as_undisturbed(folder, whole):
    """Check that both stages are there, bit by bit, and no temporary file or checkpoint."""
    for path in (FIRST, SECOND):
        assert sha256_file(folder / path) == sha256_file(whole / path)
    left = [
        path
        for path in (folder / "results").rglob(".*")
        if path.name not in (".claim", ".first_run")
    ]
    assert left == []


def test_snakemake_alone_or_with_its_jobs_killed_at_random_moments(undisturbed, folder):
    moments, (whole, seconds) = random.Random(2018), undisturbed
    shutil.rmtree(folder / CHAIN)
    ran, jobs = {False: 0, True: 0}, []
    for target in (FIRST, SECOND):
        kinds = [False, True] * (KILLS // 2)
        moments.shuffle(kinds)
        for attempt, with_its_jobs in enumerate(kinds):
            started = Run(folder, STUDY, "--", target)
            killed, lasted = kill(started, with_its_jobs, moments.uniform(0, 0.9) * seconds)
            seconds = seconds if killed else min(seconds, lasted)  # the machine is faster by now
            ran[with_its_jobs] += bool(killed)
            jobs += killed
            unlock(folder, properly=attempt == 0)
            if (folder / target).exists():
                read_posterior(folder / target)
                (folder / target).unlink()
        done = run(folder, STUDY, "--", target)
        assert done.returncode == 0 and "Traceback" not in done.stdout, done.stdout
    psutil.wait_procs(jobs, timeout=60)
    assert all(count > KILLS * 2 / 3 for count in ran.values()), "too many kills came after the end"
    assert_as_undisturbed(folder, whole)
    for victims in ("Snakemake alone", "Snakemake and its jobs at once"):
        survived(
            f"kill -9 of {victims}, at random moments, one after the other in one folder",
            KILLS,
            "once unlocked, the same checksums as undisturbed; no temporary file is left",
        )


def test_a_second_snakemake_in_the_folder_of_a_running_one_is_refused(undisturbed, folder):
    (folder / SECOND).unlink()
    first = Run(folder, STUDY, "--", SECOND)
    wait_for_a_job(first)
    second = run(folder, STUDY, "--", SECOND)
    assert second.returncode == 1 and "Traceback" not in second.stdout
    assert "Error: Directory cannot be locked" in second.stdout
    assert first.wait() == 0, first.text
    assert_as_undisturbed(folder, undisturbed[0])
    survived("a results path with blanks, quotes and letters beyond ASCII", 1, "all of it works")
    survived(
        "a second Snakemake in the folder of a running one", 1, "it is refused, the first goes on"
    )


def test_a_job_that_is_ended_while_it_imports_is_named_and_made_again(undisturbed, folder):
    signals = (signal.SIGKILL, signal.SIGTERM)
    shutil.rmtree((folder / SECOND).parent)
    for number in signals:
        started = Run(folder, STUDY, "--", SECOND)
        for job in wait_for_a_job(started):
            job.send_signal(number)
        assert started.wait(10) == 1 and "Traceback" not in started.text
        # By the name of its rule, as it had said nothing yet.
        assert "\nfit: ended without a word, as after a kill" in started.text
    assert run(folder, STUDY, "--", SECOND).returncode == 0
    assert_as_undisturbed(folder, undisturbed[0])
    survived(
        "kill -9 of and SIGTERM to a job under Snakemake that still imports",
        len(signals),
        "one line that names the job; the same checksums as undisturbed",
    )


def wait_until(started, holds):
    """Wait for something that must come while a run lasts."""
    while not holds():
        assert started.poll() is None, started.text
        time.sleep(0.002)


def has_a_signal_waiting(process):
    """Return whether a stopped process will get a signal when it goes on."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return any(int(mask, 16) for mask in re.findall(r"^ShdPnd:\s*(\w+)", status, re.M))


CTRL_C = {"Snakemake and its jobs, as Ctrl-C does": os.killpg, "Snakemake alone": os.kill}
"""Who gets SIGINT."""


def interrupt(started, send, stopped=()):
    """Send SIGINT and return what the run said from then on, with its exit code.

    Processes that are `stopped` go on once the signal for each of them is on its way.
    """
    before = len(started.text)
    send(started.pid, signal.SIGINT)
    for process in stopped:
        wait_until(started, lambda process=process: has_a_signal_waiting(process))
        process.resume()
    code = started.wait(60)
    return code, started.text[before:].strip().splitlines()


@pytest.mark.parametrize("whom", CTRL_C)
def test_an_interrupted_run_says_how_far_it_came_and_goes_on(undisturbed, folder, whom):
    study = STUDY | {"machine": {"checkpoint_seconds": 3600}}  # only the one of the interruption
    shutil.rmtree(folder / CHAIN)
    log = folder / "results/chain/logs/fit/digits/ffg/T2/r0-0/t02.log"
    log.unlink()
    started = Run(folder, study, "--", SECOND)
    wait_until(started, lambda: log.exists() and "epoch 2/" in log.read_text())
    jobs = jobs_of(started)  # they wait for the signal, lest a slow one finds the stage at its end
    for job in jobs:
        job.suspend()
    code, lines = interrupt(started, CTRL_C[whom], jobs)
    assert code == 1 and len(lines) < 6, lines
    assert "Traceback" not in started.text and "Error" not in started.text
    assert lines[0].startswith("Interrupted; running jobs are told to stop")
    assert lines[1] == "Interrupted; 1 of 2 steps done; the same command goes on"
    assert re.search(r"stopped by SIG(INT|TERM); run again, it goes on from", log.read_text())
    assert (folder / SECOND).with_name(".checkpoint.safetensors").exists()
    done = run(folder, study, "--", SECOND)
    assert done.returncode == 0 and done.stdout.count("(Rule: fit)") == 1, done.stdout
    assert "goes on from its checkpoint" in log.read_text()
    assert_as_undisturbed(folder, undisturbed[0])
    survived(
        f"SIGINT to {whom}, in the middle of a stage",
        1,
        "how far the run came, in a line; a checkpoint; the same checksums as undisturbed",
    )


@pytest.mark.parametrize("whom", CTRL_C)
def test_a_run_that_is_interrupted_while_its_job_imports_ends_without_a_traceback(folder, whom):
    shutil.rmtree((folder / SECOND).parent)
    for seconds in (0.0, 0.2, 1.0):
        started = Run(folder, STUDY, "--", SECOND)
        wait_for_a_job(started)
        time.sleep(seconds)
        code, lines = interrupt(started, CTRL_C[whom])
        assert code == 1 and len(lines) < 6 and "Traceback" not in started.text, started.text
        assert "Interrupted; 0 of 1 steps done; the same command goes on" in lines


def test_a_diverging_stage_is_not_tried_for_ever(folder):
    hot = {"family": "ffg", "training": {"learning_rate": 100, "log_sigma_rate": 1e6}}
    study = STUDY | {"methods": STUDY["methods"] | {"hot": hot}}
    study["experiments"] = {"digits": STUDY["experiments"]["digits"] | {"methods": ["hot"]}}
    before = sha256_file(folder / SECOND)
    done = run(folder, study, "--retries", "1", "--", FIRST.replace("ffg", "hot"))
    assert done.returncode == 1 and "Traceback" not in done.stdout
    line = "digits hot T2 r0-0 stage 1: replicate 0, epoch 1, step 2 of 12: the KL of layer "
    assert done.stdout.count(line) >= 2
    assert not (folder / FIRST.replace("ffg", "hot")).exists()
    assert sha256_file(folder / SECOND) == before
    survived("a diverging stage under Snakemake, with one retry", 2, "one line each, then the end")


def test_what_is_there_is_not_fitted_again_for_the_sake_of_what_is_gone(undisturbed, folder):
    def refused(gone, *options):
        done = run(folder, STUDY, *options)
        assert done.returncode == 1 and "Traceback" not in done.stdout
        assert f"is there and would be fitted again, only because {gone} " in done.stdout

    before = sha256_file(folder / FIRST)
    for gone in (PARTS, f"{CHAIN}/t01/training.csv", f"{CHAIN}/t01/run.json", SECOND):
        (folder / gone).unlink()
    refused(PARTS, "--", SECOND)
    assert run(folder, STUDY, "--", PARTS).returncode == 0
    done = run(folder, STUDY, "--", SECOND)
    assert done.returncode == 0 and done.stdout.count("(Rule: fit)") == 1, done.stdout
    assert sha256_file(folder / FIRST) == before
    assert sha256_file(folder / SECOND) == sha256_file(undisturbed[0] / SECOND)
    (folder / FIRST).unlink()
    refused(FIRST)
    survived(
        "parts, posteriors and records before stage t deleted, under Snakemake",
        3,
        "stage t runs; what would be fitted again is named before anything starts",
    )


@pytest.fixture
def small_disk(folder):
    """The copied folder, whose results lie on a file system of 1 MB, with stage 2 to be fitted."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("mounting a small file system takes root and mount")
    results, aside = folder / "results", folder / "aside"
    results.rename(aside)
    results.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(results)]
    if subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("this machine does not let root mount a file system")
    shutil.copytree(aside, results, dirs_exist_ok=True)
    shutil.rmtree((folder / SECOND).parent)
    yield folder
    subprocess.run(["umount", "--lazy", str(results)], check=True)


def test_a_full_disk_is_named_and_the_run_goes_on_once_it_has_grown(undisturbed, small_disk):
    results, parent = small_disk / "results", sha256_file(small_disk / FIRST)
    rooms = (0, 16384)
    for room in rooms:
        free = os.statvfs(results)
        ballast = results / f"ballast{room}"
        ballast.write_bytes(b"x" * (free.f_bavail * free.f_frsize - room))
        done = run(small_disk, STUDY, "--", SECOND)
        assert done.returncode == 1 and "Traceback" not in done.stdout
        (line,) = re.findall("^digits ffg T2 r0-0 stage 2: error: (.*)$", done.stdout, re.MULTILINE)
        assert line.startswith(f"{CHAIN}/t02") and "cannot be written (No space left" in line
        assert sha256_file(small_disk / FIRST) == parent and not (small_disk / SECOND).exists()
        assert not list(results.rglob("*.partial"))
        if room != rooms[-1]:
            ballast.unlink()
    subprocess.run(["mount", "-o", "remount,size=4m", str(results)], check=True)
    done = run(small_disk, STUDY, "--", SECOND)
    assert done.returncode == 0 and done.stdout.count("(Rule: fit)") == 1, done.stdout
    assert_as_undisturbed(small_disk, undisturbed[0])
    survived(
        "a disk that is full, under Snakemake, and then grown",
        len(rooms),
        "one line with the cause; the parent intact; grown, the same checksums as undisturbed",
    )


def test_results_that_may_not_be_written_are_named_before_anything_runs(folder):
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("mounting takes root and mount; as root no other permission is missing")
    shutil.rmtree((folder / SECOND).parent)
    results = str(folder / "results")
    bind = [["mount", "--bind", results, results], ["mount", "-o", "remount,ro,bind", results]]
    if any(subprocess.run(mount, capture_output=True).returncode for mount in bind):
        pytest.skip("this machine does not let root mount a folder")
    try:
        done = run(folder, STUDY, "--", SECOND)
    finally:
        subprocess.run(["umount", "--lazy", results], check=True)
    assert done.returncode == 1 and "Traceback" not in done.stdout
    assert "results/chain: cannot be written (Read-only file system)" in done.stdout
    survived("results mounted read-only, under Snakemake", 1, "one line before anything runs")


def test_a_default_study_that_is_not_utf_8_ends_in_one_line(tmp_path):
    (tmp_path / "workflow").symlink_to(ROOT / "workflow")
    (tmp_path / "config.yaml").write_bytes(b"study: digits\nauthor: Andr\xe9\n")
    snakefile = shutil.copy(ROOT / "Snakefile", tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "--snakefile", snakefile, "--cores", "1"],
        cwd=tmp_path,
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1 and "Traceback" not in done.stderr
    expected = "config.yaml, line 2: the byte 0xe9 is not UTF-8; save the file as UTF-8"
    assert done.stderr.splitlines()[-1].endswith(expected)
    survived("a default study that is not UTF-8", 1, "one line with file, line and byte")
