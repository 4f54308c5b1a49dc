"""Every command of the pages works as typed, and every study is planned by the profiles.

What would run for long is planned; what writes into the project has its command line read.
"""

import itertools
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from documented import OURS, UnknownCommandError, commands, placeholders
from running import ROOT, environment, typed
from shipped_studies import make_images
from stage_files import as_files, changed, images_of_test, two_replicates

from incbayes.cli.main import main
from incbayes.core.files import sha256_file
from incbayes.data.prepared import prepare

IN_ORDER = {"your-data.md", "your-table.md"}
"""Pages whose commands build on one another; tests of their own run them in order."""

PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "config/README.md")),
    *sorted(page for page in (ROOT / "docs").glob("*.md") if page.name not in IN_ORDER),
]
COMMANDS = [command for page in PAGES for command in commands(page)]
STUDIES = ["config.yaml", *sorted(f"studies/{path.name}" for path in ROOT.glob("studies/*.yaml"))]
PROFILES = sorted(f"profiles/{path.parent.name}" for path in ROOT.glob("profiles/*/config.yaml"))
assert PROFILES[0] == "profiles/default", "which Snakemake finds by itself"

SUBSTITUTES = {
    "data_root=DIR": "data_root=raw",
    "studies/NAME.yaml": "studies/wohlert2017.yaml",
    "results/kochurov2018/tuning/chosen.yaml": "studies/chosen/kochurov2018.yaml",
    "results/STUDY/EXPERIMENT/METHOD/T10/r0-4/t07/posterior.safetensors": (
        "results/digits/digits/ffg/T3/r0-2/t02/posterior.safetensors"
    ),
    "CHECKOUT/Snakefile": "Snakefile",
    "study.yaml": "config.yaml",
    "FILE": "results/data/digits/checksums.json",
    "FOLDER": "photos",
    "results/published/STUDY": "results/published/kochurov2018",
}
"""What a reader would put in the place of a word that names something of theirs."""

NOT_PLANNED = ("--report",)
"""Options that need the results of a run; `test_snakemake_report` tries them on some."""

OF_RESULTS = {"partial=true", "--generate-unit-tests"}
"""What needs the results of a run; `test_partial` and `test_generated_tests` try it on some."""

OF_A_POSTERIOR = ("predict", "show", "export")
"""Commands of `incbayes` that need a posterior, and images that are a reader's own."""

PREDICTION, TUTORIAL, DESIGN = (
    ROOT / "docs" / f"{name}.md" for name in ("predict", "tutorial", "how-it-works")
)
PYTHON = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)

PLUGIN = "cluster-generic"
"""An executor that is not among the locked packages, with its options."""

WITHOUT = "without_plugin"
"""Folder of copies of the profiles that name it, less that."""


def settings_of(profile):
    return yaml.safe_load((ROOT / profile / "config.yaml").read_text(encoding="utf-8"))


WITH_PLUGIN = [profile for profile in PROFILES if settings_of(profile).get("executor") == PLUGIN]
SUBSTITUTES |= {profile: f"{WITHOUT}/{profile}" for profile in WITH_PLUGIN}


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """A folder that looks like a fresh clone, with raw data that nothing reads while it plans."""
    folder = tmp_path_factory.mktemp("clone")
    for name in ("Snakefile", "config.yaml", "workflow", "studies", "profiles", "envs"):
        (folder / name).symlink_to(ROOT / name)
    (folder / "raw").mkdir()
    (folder / "raw/cifar10-jpeg.tar.gz").touch()
    make_images(folder / "raw/photos", ["cat", "dog"])
    assert main(["new", str(folder / "raw/photos"), "--out", str(folder / "photos.yaml")]) == 0
    for profile in WITH_PLUGIN:
        kept = {
            key: value
            for key, value in settings_of(profile).items()
            if value != PLUGIN and not key.startswith(PLUGIN)
        }
        (folder / WITHOUT / profile).mkdir(parents=True)
        (folder / WITHOUT / profile / "config.yaml").write_text(yaml.safe_dump(kept))
    return folder


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """A folder with a posterior of digits as the default study has one, images, and own code."""
    folder = tmp_path_factory.mktemp("fitted")
    chain = two_replicates(tmp_path_factory.mktemp("chain"))
    block = folder / "results/digits/digits/ffg/T3/r0-2"
    shutil.copytree(chain.folder, block)
    second, third = (block / t / "posterior.safetensors" for t in ("t02", "t03"))
    third.parent.mkdir()
    changed(second, third, T=3, t=3, parent=sha256_file(second))
    photos = as_files(folder / "photos", images_of_test(chain)[0][:5])
    shutil.copy(photos / "000.png", folder / "one.png")
    shutil.make_archive(str(folder / "more"), "zip", photos)
    (code,) = (c for c in PYTHON.findall(PREDICTION.read_text("utf-8")) if "class MyNet" in c)
    (folder / "mynet.py").write_text(code)
    prepare({"kind": "digits"}, folder, folder / "results/data/digits")
    run_python(TUTORIAL, folder)
    return folder


def substituted(words):
    """Return a command with a reader's own names in it."""
    return tuple(SUBSTITUTES.get(word, word) for word in words[1:])


def plannable(options):
    """Return options without those that need results or a plugin, and their values."""
    kept, skip = [], False
    for option in options:
        if option.startswith("-"):
            skip = option in NOT_PLANNED or option.startswith(f"--{PLUGIN}")
        if option == PLUGIN:
            kept.pop()
        elif not skip:
            kept.append(option)
    return tuple(kept)


def plans():
    """Return the options of every plan to make, each once, and what it is for.

    First the commands of the pages; what the text mentions of a longer one in a block is that
    one. Then every study by every profile, and with the pages' `--groups`.
    """
    found = {}

    def add(options, purpose):
        found.setdefault(frozenset(options) - {"--dry-run", "-n"}, (options, purpose))

    for command in sorted(snakemake_commands(), key=lambda command: command.mentioned):
        options = plannable(substituted(command.words))
        if not (command.mentioned and any(set(options) <= of_block for of_block in found)):
            add(options, str(command))
    groups = [groups_of(options) for options, _ in found.values() if "--groups" in options]
    for study in STUDIES:
        options = ["--configfile", study, "--config", "data_root=raw"]
        add(["--cores", "all", *options], f"{study} by itself")
        if "quick" in stated_in(study, "budgets"):  # a profile is the same for the fewer jobs
            options.append("budget=quick")
        for profile in (profile for profile in PROFILES[1:] if profile not in WITH_PLUGIN):
            add(["--profile", profile, *options], f"{study} by {profile}")
            for of_page in groups:
                everything = ["publish", *(["tune"] if stated_in(study, "tune") else [])]
                add([*everything, "--profile", profile, *options, *of_page], f"{study} in groups")
    return list(found.values())


def snakemake_commands():
    typed_ones = [command for command in COMMANDS if command.words[0] == "snakemake"]
    return [command for command in typed_ones if OF_RESULTS.isdisjoint(command.words)]


def groups_of(options):
    """Return the option `--groups` with its values."""
    values = options[options.index("--groups") + 1 :]
    return ["--groups", *itertools.takewhile(lambda value: "=" in value, values)]


def stated_in(study, key):
    """Return what a study states under a key; an empty mapping where that is nothing."""
    return yaml.safe_load((ROOT / study).read_text(encoding="utf-8")).get(key, {})


def assert_planned(folder, options):
    done = typed(folder, "--dry-run", *options)
    assert done.returncode == 0, f"snakemake {shlex.join(options)}\n{done.stdout}"
    if {"--unlock", "--lint"}.isdisjoint(options):
        assert re.search(r"^total +\d+$", done.stdout, flags=re.MULTILINE), done.stdout


def test_every_placeholder_has_a_substitute():
    for command in COMMANDS:
        if command.words[0] in ("snakemake", "incbayes"):
            assert not placeholders(substituted(command.words)), str(command)
        else:
            assert not placeholders(command.words), str(command)


@pytest.mark.parametrize(
    "options", [pytest.param(options, id=purpose[:90]) for options, purpose in plans()]
)
def test_every_command_of_the_pages_and_every_study_by_every_profile_is_planned(options, clone):
    assert_planned(clone, options)


def make(target):
    """Return what `make` would do for a target."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("MAKE")}
    return subprocess.run(
        ["make", "--dry-run", *target], cwd=ROOT, env=kept, capture_output=True, text=True
    )


def test_every_make_command_of_the_pages_is_a_target_whose_commands_are_planned(clone):
    run = set()
    for words in {command.words for command in COMMANDS if command.words[0] == "make"}:
        done = make(words[1:])
        assert done.returncode == 0, f"{words}\n{done.stderr}"
        run |= set(re.findall(r"^\S+ -m (snakemake .*)$", done.stdout, flags=re.MULTILINE))
    assert run
    for line in run:
        assert_planned(clone, shlex.split(line)[1:])


def python_commands():
    return sorted({command.words[1:] for command in COMMANDS if command.words[0] == "python"})


def test_every_program_of_the_pages_takes_the_arguments_as_typed():
    read = [words for words in python_commands() if words[0] == "-m" or words[1:]]
    for words in set(python_commands()) - set(read):
        compile((ROOT / words[0]).read_text(encoding="utf-8"), words[0], "exec")
    done = subprocess.run(
        [sys.executable, "tests/parse_command.py", json.dumps(read)],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    "words",
    sorted({substituted(command.words) for command in COMMANDS if command.words[0] == "incbayes"}),
    ids=" ".join,
)
def test_what_is_done_by_hand_works_as_typed(words, tmp_path, request):
    program = Path(sys.executable).with_name("incbayes")
    folder = request.getfixturevalue("fitted") if words[0] in OF_A_POSTERIOR else ROOT
    if words[0] == "new":  # which writes
        folder = tmp_path
        make_images(folder / "photos", ["cat", "dog"])
    done = subprocess.run(
        [program, *words], cwd=folder, env=environment(), capture_output=True, text=True
    )
    assert done.returncode == 0 and done.stdout, done.stdout + done.stderr


def run_python(page, folder):
    """Run every block of Python of a page, as it stands."""
    for code in PYTHON.findall(page.read_text(encoding="utf-8")):
        command = [sys.executable, "-c", code]
        done = subprocess.run(
            command, cwd=folder, env=environment(), capture_output=True, text=True
        )
        assert done.returncode == 0 and not done.stderr, done.stderr


def test_the_python_of_the_pages_works_as_written(fitted):
    path = "results/digits/digits/ffg/T3/r0-2/t03/posterior.safetensors"
    program = Path(sys.executable).with_name("incbayes")
    export = ["export", path, "network.pt2", "--replicate", "0", "--format", "torch-export"]
    subprocess.run([program, *export], cwd=fitted, check=True)
    run_python(PREDICTION, fitted)
    run_python(DESIGN, fitted)


def test_commands_are_found_wherever_a_page_has_them(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "# Title\n\nOf `make`, and `snakemake tune\n--cores 1`, but not `results/`:\n\n"
        "```\nsnakemake --cores all \\\n  --config only='[a, b]'   # a comment\n"
        "cd there && make test\n```\n\n    python benchmarks/noise.py\n\n"
        "```yaml\nmake: 1\n```\n\n```\nSnakefile   entry\nmake        no command\n```\n"
    )
    assert [command.words for command in commands(page)] == [
        ("snakemake", "--cores", "all", "--config", "only=[a, b]"),
        ("make", "test"),
        ("python", "benchmarks/noise.py"),
        ("make",),
        ("snakemake", "tune", "--cores", "1"),
    ]
    page.write_text("```sh\nsnakemake -n\nfrobnicate results\n```\n")
    with pytest.raises(UnknownCommandError, match="frobnicate"):
        commands(page)
    for page in PAGES:  # none is missed for its form
        lines = page.read_text(encoding="utf-8").splitlines()
        typed_there = [line for line in lines if line.strip().startswith("snakemake -")]
        seen = [command for command in COMMANDS if command.page == page.name]
        assert len(typed_there) <= sum(command.words[0] in OURS for command in seen)


def test_what_a_reader_has_to_replace_is_seen():
    words = ("snakemake", "--configfile", "PATH/X.yaml", "T10", "data_root=DIR", "fit=chain")
    assert placeholders(words) == {"PATH", "X", "DIR"}
    assert placeholders(("make", "STUDY=studies/wohlert2017.yaml")) == set()
