"""A checkout and its environment in folders whose names a shell, or Snakemake, reads otherwise."""

import copy
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from fault_table import survived
from running import TINY, copied_checkout, environment, typed

from incbayes.orchestration.interpreter import InterpreterError, name_for_shells

STUDY = copy.deepcopy(TINY) | {"replicates": 1, "training": {"epochs": 1}, "claims": {}}
STUDY["experiments"]["digits"] |= {"parts": [1], "methods": ["ft"]}
STAGE = "results/tiny/digits/ft/T1/r0-0/t01"
ODD = 'with blank, \'quote, "quotes", $HOME, `tick` & ümlaut'


def test_a_checkout_and_its_environment_may_lie_in_any_folder(tmp_path):
    folder = copied_checkout(tmp_path / ODD)
    (folder / ".venv").symlink_to(sys.prefix)
    (folder / "study.yaml").write_text(yaml.safe_dump(STUDY), encoding="utf-8")
    python = folder / ".venv/bin" / Path(sys.executable).name
    done = subprocess.run(
        [
            *(python, "-m", "snakemake", "--cores", "1", "--configfile", "study.yaml"),
            *("--", f"{STAGE}/posterior.safetensors"),
        ],
        cwd=folder,
        env={key: value for key, value in environment().items() if key != "PYTHONPATH"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    log = (folder / "results/tiny/logs/fit/digits/ft/T1/r0-0/t01.log").read_text(encoding="utf-8")
    assert f"to run this job alone: {shlex.quote(str(python))} -m snakemake" in log
    survived(
        "a checkout in a folder with blanks, quotes and signs of the shell", 1, "all of it works"
    )


def test_a_checkout_below_a_folder_with_braces_is_refused_in_one_line(tmp_path):
    folder = copied_checkout(tmp_path / "with {braces}")
    done = typed(folder, "--dry-run")
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1] == (
        f"{folder}: Snakemake takes braces for wildcards; move this checkout"
    )
    fault = "a checkout below a folder with braces, which Snakemake takes for wildcards"
    survived(fault, 1, "one line before anything runs")


@pytest.fixture
def python(monkeypatch):
    """Make this process one of a given Python, and give it back what it was."""

    def pretend(path):
        monkeypatch.setattr(sys, "executable", str(path))
        monkeypatch.setenv("PATH", os.environ["PATH"])
        return path

    return pretend


def test_a_python_in_a_plain_folder_keeps_its_path(python):
    path, search = python("/usr/bin/python3"), os.environ["PATH"]
    assert name_for_shells() == Path(path)
    assert (sys.executable, os.environ["PATH"]) == (path, search)


def test_a_python_in_another_is_found_by_its_name(python, tmp_path):
    path = tmp_path / ODD / "bin/python3.11"
    path.parent.mkdir(parents=True)
    path.write_text("#!/bin/sh\necho this one\n")
    path.chmod(0o755)
    python(path)
    for _ in range(2):  # a second module of the same run asks again
        assert name_for_shells() == path
    assert sys.executable == "python3.11"
    assert subprocess.check_output(sys.executable, shell=True, text=True) == "this one\n"
    assert os.environ["PATH"].count(str(path.parent)) == 1
    assert shutil.which(sys.executable) == str(path)


@pytest.mark.parametrize("path", ["/a b:c/bin/python", "/usr/bin/my python"])
def test_a_python_that_no_shell_can_be_told_of_is_refused_in_one_line(path, python):
    python(path)
    with pytest.raises(InterpreterError, match=f"^{path}: shells cannot be told to start") as error:
        name_for_shells()
    assert "\n" not in str(error.value) and sys.executable == path
