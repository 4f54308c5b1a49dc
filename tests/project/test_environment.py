"""The lock, the ranges of pyproject.toml and the conda environments tell the same story."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
LOCK = (ROOT / "requirements.lock").read_text()
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = PYPROJECT["project"]
CONDA_ENVIRONMENTS = sorted((ROOT / "envs").glob("*.yaml"))
PYPI_NAMES = {"pytorch": "torch", "matplotlib-base": "matplotlib"}
"""Packages that conda-forge calls otherwise."""

RUNTIME = [Requirement(text) for text in PROJECT["dependencies"]]
EXTRAS = PROJECT["optional-dependencies"]
DEVELOPMENT = [Requirement(text) for extra in ("dev", "docs") for text in EXTRAS[extra]]


def locked() -> dict[str, Version]:
    pins = re.findall(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", LOCK, re.MULTILINE)
    return {canonicalize_name(name): Version(version) for name, version in pins}


def conda_pins(path: Path) -> dict[str, str]:
    """Return the version by the name on PyPI of every package but Python."""
    packages = [text.split(" =") for text in yaml.safe_load(path.read_text())["dependencies"]]
    pins = {PYPI_NAMES.get(name, name): version for name, version in packages}
    del pins["python"]
    return pins


def test_every_locked_package_has_its_hashes():
    packages = re.split(r"^(?=[A-Za-z0-9])", LOCK, flags=re.MULTILINE)[1:]
    assert len(packages) == len(locked())
    without = [text.split()[0] for text in packages if "--hash=sha256:" not in text]
    assert without == []


def test_the_lock_names_no_place_to_install_from():
    assert "://" not in LOCK
    options = re.findall(r"^\s*(-[^\s=]*)", LOCK, re.MULTILINE)
    assert set(options) == {"--hash"}


@pytest.mark.parametrize("requirement", RUNTIME + DEVELOPMENT, ids=lambda r: r.name)
def test_the_lock_holds_what_the_project_asks_for(requirement: Requirement):
    assert locked()[canonicalize_name(requirement.name)] in requirement.specifier


def test_the_ranges_admit_five_releases_of_torch():
    (torch,) = (requirement for requirement in RUNTIME if requirement.name == "torch")
    admitted = [minor for minor in range(30) if f"2.{minor}.1" in torch.specifier]
    assert admitted == [11, 12, 13, 14, 15]


def test_the_locked_torch_is_the_one_that_was_chosen():
    (chosen,) = PYPROJECT["tool"]["uv"]["constraint-dependencies"]
    assert locked()["torch"] in Requirement(chosen).specifier
    # Some machines hold a local build of 2.13.0, with other hashes than the index has.
    assert locked()["torch"] != Version("2.13.0")
    assert [name for name, version in locked().items() if version.local] == []


@pytest.mark.parametrize("path", CONDA_ENVIRONMENTS, ids=lambda path: path.name)
def test_conda_installs_the_locked_versions(path: Path):
    pins = conda_pins(path)
    assert pins == {name: str(locked()[name]) for name in pins}


def test_conda_installs_all_that_a_job_imports():
    names = {requirement.name for requirement in RUNTIME}
    outside_of_jobs = {"psutil", *(name for name in names if name.startswith("snakemake"))}
    assert set(conda_pins(ROOT / "envs" / "incbayes.yaml")) == names - outside_of_jobs


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_make_says_what_it_needs_where_no_python_fits(tmp_path: Path):
    run = subprocess.run(
        ["make", "environment", "PYTHON=python2 no-python", f"VENV={tmp_path}/venv"],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if not name.startswith("MAKE")},
        capture_output=True,
        text=True,
    )
    assert run.returncode != 0
    assert "No Python >= 3.11 with the venv module among: python2 no-python." in run.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_make_prints_the_path_of_a_report_that_is_there(tmp_path: Path):
    """With a Python in place of the environment's that runs no Snakemake."""
    for name in ("Makefile", "config.yaml", "pyproject.toml", "requirements.lock"):
        shutil.copy(ROOT / name, tmp_path)
    python = tmp_path / "venv/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\ntest "$2" = snakemake || exec {sys.executable} "$@"\n')
    python.chmod(0o755)
    (tmp_path / "venv/.ready").touch()

    def made(*settings):
        command = ["make", "--silent", f"VENV={tmp_path}/venv", *settings]
        environment = {k: v for k, v in os.environ.items() if not k.startswith("MAKE")}
        environment["PYTHONPATH"] = str(ROOT / "workflow")
        run = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
        )
        return run.stdout

    assert made("ARGS=-nq") == ""
    for study in ("digits", "digits-quick"):
        report = tmp_path / "results" / study / "report.html"
        report.parent.mkdir(parents=True)
        report.touch()
    assert made() == "Report: results/digits/report.html\n"
    assert made("CONFIG=budget=quick") == "Report: results/digits-quick/report.html\n"
