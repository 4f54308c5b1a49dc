"""Tests that Snakemake generates of a finished run pass, and fail where a job does not repeat."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from running import ROOT, TINY, copied_checkout, environment

ONE = TINY | {
    "replicates": 1,
    "experiments": {"digits": TINY["experiments"]["digits"] | {"parts": [1], "methods": ["ft"]}},
    "claims": {},
}


def run(words, folder):
    programs = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    told = environment() | {"PATH": programs}  # they say `python`
    done = subprocess.run(words, cwd=folder, env=told, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def generated(tmp_path_factory):
    """A checkout with a finished run of its config.yaml, and the tests of that."""
    folder = copied_checkout(tmp_path_factory.mktemp("generated"))
    (folder / "config.yaml").write_text(yaml.safe_dump(ONE), encoding="utf-8")
    for options in (("--cores", "2"), ("--cores", "1", "--generate-unit-tests")):
        status, said = run([sys.executable, "-m", "snakemake", *options], folder)
        assert status == 0, said
    shutil.copy(ROOT / ".tests/conftest.py", folder / ".tests")
    return folder


def test_they_pass_where_a_job_repeats_and_fail_where_it_does_not(generated):
    (training,) = (generated / ".tests/unit/fit/expected").rglob("training.csv")
    training.chmod(0o644)
    training.write_text(training.read_text() + "\n")
    tests = [f".tests/unit/test_{rule}.py" for rule in ("partition", "fit", "report")]
    status, said = run([sys.executable, "-m", "pytest", "-q", *tests], generated)
    assert status == 1 and "1 failed, 2 passed" in said, said
    assert "training.csv differs" in said and "run.json differs" not in said
