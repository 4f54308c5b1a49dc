"""Faults that befall a real run of Snakemake: kills, a second run, lost files, a full stop."""

import os
import random
import shutil
import subprocess
import time
from contextlib import suppress

import psutil
import pytest
from fault_table import survived
from running import TINY, command, environment, run

from incbayes.files import sha256_file

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
VICTIMS = ["job", "snakemake", "both", "both"]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """A folder, with blanks, quotes and more, in which both stages are fitted; and the seconds."""
    folder = tmp_path_factory.mktemp("undisturbed") / "a 'study' — öäü 数"
    folder.mkdir()
    begun = time.monotonic()
    done = run(folder, STUDY, "--", SECOND)
    assert done.returncode == 0, done.stdout
    return folder, time.monotonic() - begun


@pytest.fixture
def folder(undisturbed, tmp_path):
    """A copy of that folder."""
    return shutil.copytree(undisturbed[0], tmp_path / "it's a copy é")


def start(folder, *options):
    """Start Snakemake and return its process; what it says goes to a file."""
    with open(folder / "said.txt", "w") as said:
        return subprocess.Popen(
            command(folder, STUDY, *options),
            cwd=folder,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
        )


def kill(process, victim, deadline):
    """Kill -9 the jobs of a Snakemake, or it alone, or all of them, at a point in time."""
    jobs = []
    while process.poll() is None and (time.monotonic() < deadline or victim == "job" and not jobs):
        time.sleep(0.01)
        with suppress(psutil.NoSuchProcess):
            jobs = psutil.Process(process.pid).children(recursive=True)
    if victim != "job":
        process.kill()
    for job in jobs if victim != "snakemake" else []:
        with suppress(psutil.NoSuchProcess):
            job.kill()
    process.wait()


def test_snakemake_its_jobs_or_both_killed_at_random_moments(undisturbed, folder):
    moments, (whole, seconds) = random.Random(2018), undisturbed
    shutil.rmtree(folder / CHAIN)
    victims = moments.sample(VICTIMS, len(VICTIMS))
    for victim in victims:
        (folder / SECOND).unlink(missing_ok=True)
        process = start(folder, "--", SECOND)
        kill(process, victim, time.monotonic() + moments.uniform(0.1, 0.45) * seconds)
        if victim != "job":
            assert run(folder, STUDY, "--unlock").returncode == 0
    (folder / SECOND).unlink(missing_ok=True)
    process = start(folder, "--", SECOND)
    while not list((folder / ".snakemake/locks").glob("*")) and process.poll() is None:
        time.sleep(0.01)
    second = run(folder, STUDY, "--", SECOND)
    assert process.wait() == 0, (folder / "said.txt").read_text()
    assert second.returncode == 1 and "Traceback" not in second.stdout
    assert "Error: Directory cannot be locked" in second.stdout
    for path in (FIRST, SECOND):
        assert sha256_file(folder / path) == sha256_file(whole / path)
    assert not list((folder / CHAIN).rglob("*.partial"))
    assert not list((folder / CHAIN).rglob(".checkpoint*"))
    survived("a results path with blanks, quotes and letters beyond ASCII", 1, "all of it works")
    survived(
        "kill -9 of a stage's job under Snakemake, of Snakemake, of both, at random moments",
        len(victims),
        "after `--unlock`, the same checksums as undisturbed; no temporary file is left",
    )
    survived(
        "a second Snakemake in the folder of a running one", 1, "it is refused, the first goes on"
    )


def test_a_diverging_stage_is_not_tried_for_ever(folder):
    hot = {"family": "ffg", "training": {"learning_rate": 1e38}}
    study = STUDY | {"methods": STUDY["methods"] | {"hot": hot}}
    study["experiments"] = {"digits": STUDY["experiments"]["digits"] | {"methods": ["hot"]}}
    before = sha256_file(folder / SECOND)
    done = run(folder, study, "--retries", "1", "--", FIRST.replace("ffg", "hot"))
    assert done.returncode == 1 and "Traceback" not in done.stdout
    line = "digits hot T2 r0-0 stage 1: replicate 0, epoch 1, step 2 of 12: parameter "
    assert done.stdout.count(line) >= 2 and "is not finite" in done.stdout
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
    assert done.returncode == 0 and done.stdout.count("rule fit:") == 1, done.stdout
    assert sha256_file(folder / FIRST) == before
    assert sha256_file(folder / SECOND) == sha256_file(undisturbed[0] / SECOND)
    (folder / FIRST).unlink()
    refused(FIRST)
    survived(
        "parts, posteriors and records before stage t deleted, under Snakemake",
        3,
        "stage t runs; what would be fitted again is named before anything starts",
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
