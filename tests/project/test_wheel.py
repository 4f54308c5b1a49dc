"""A built wheel, away from the checkout, reads a study and has its command; so has an sdist's."""

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DATA = (".yaml", ".j2", ".css", ".js")
"""Endings of what the package holds beside its modules."""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel"]
    subprocess.run([*build, "--directory", str(folder)], cwd=ROOT, check=True)
    (path,) = folder.glob("incbayes-*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory) -> Path:
    """Install it into an empty folder; what it depends on is the environment's."""
    folder = tmp_path_factory.mktemp("site")
    install = [sys.executable, "-m", "uv", "pip", "install", "--no-deps", "--offline", "--quiet"]
    command = [*install, "--python", sys.executable, "--target", str(folder), str(wheel)]
    subprocess.run(command, cwd=folder, check=True)
    return folder


def run(installed: Path, folder: Path, *command: str) -> subprocess.CompletedProcess:
    """Run Python in an empty folder, with the installed package and without the checkout's."""
    environment = os.environ | {"PYTHONPATH": str(installed)}
    return subprocess.run(
        [sys.executable, *command], cwd=folder, env=environment, capture_output=True, text=True
    )


def test_the_wheel_holds_every_file_of_the_package(wheel: Path):
    package = ROOT / "workflow" / "incbayes"
    files = {
        f"incbayes/{path.relative_to(package)}"
        for path in package.rglob("*")
        if path.suffix in (".py", *DATA)
    }
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if name.startswith("incbayes/")}
    assert held == files
    assert {Path(name).suffix for name in held} == {".py", *DATA}


def test_a_wheel_made_of_the_sdist_holds_the_same(wheel: Path, tmp_path: Path):
    build = [sys.executable, "-m", "hatchling", "build", "--directory", str(tmp_path), "--target"]
    subprocess.run([*build, "sdist"], cwd=ROOT, check=True)
    (sdist,) = tmp_path.glob("incbayes-*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    unpacked = tmp_path / sdist.name.removesuffix(".tar.gz")
    for name in ("Snakefile", "workflow/Snakefile", "config.yaml", "requirements.lock", "Makefile"):
        assert (unpacked / name).is_file(), "the workflow runs from it, too"
    subprocess.run([*build, "wheel"], cwd=unpacked, check=True)
    (again,) = tmp_path.glob("incbayes-*.whl")
    with zipfile.ZipFile(wheel) as one, zipfile.ZipFile(again) as other:
        assert one.namelist() == other.namelist()


def test_it_resolves_the_default_study(installed: Path, tmp_path: Path):
    program = (
        "import incbayes, sys; print(incbayes.__file__); "
        "from incbayes.study.sources import load_study; "
        "print(load_study(sys.argv[1:], {}).study_id); "
        "from incbayes.report.templates import environment; "
        "print(environment(autoescape=True).get_template('report.html.j2').name)"
    )
    done = run(installed, tmp_path, "-c", program, str(ROOT / "config.yaml"))
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        str(installed / "incbayes" / "__init__.py"),
        "digits",
        "report.html.j2",
    ]


def test_it_has_the_command(installed: Path, tmp_path: Path):
    command = installed / "bin" / "incbayes"
    done = run(installed, tmp_path, str(command), "--help")
    assert done.returncode == 0 and "verify results" in done.stdout, done.stderr


def test_what_is_generated_in_a_checkout_says_so_elsewhere(installed: Path, tmp_path: Path):
    done = run(installed, tmp_path, "-m", "incbayes.docgen", "--check")
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.endswith(": no checkout of incbayes; the generated files are only in one")
