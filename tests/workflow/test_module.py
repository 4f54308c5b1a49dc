"""Another workflow takes this one as a module: with its own study, in its own folder."""

import copy
import re
import shlex
import shutil
import subprocess
import sys

import pandas as pd
import pytest
import yaml
from running import ROOT, TINY, copied_checkout, environment, jobs_of, typed

PAGE = (ROOT / "docs/reuse.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)
FILES = ("Snakefile", "widths.py", "config.yaml")
"""What the blocks of the page are, in their order."""

SMALLER = "{replicates: 1, training: {epochs: 1}, experiments: {digits: {parts: [2]}}}"
CHAIN = "incremental/results/mine/digits/ffg/T2/r0-0"

STUDY = copy.deepcopy(TINY) | {"replicates": 1, "training": {"epochs": 1}, "claims": {}}
STUDY["experiments"]["digits"] |= {"parts": [1], "methods": ["ft"]}
PARTS = "results/tiny/digits/parts/T1/r0-0.safetensors"

BY_HAND = """
module incbayes:
    snakefile:
        "{checkout}/Snakefile"
{config}

use rule * from incbayes

rule mine:
    default_target: True
    input:
        "{target}",
    output:
        "mine.txt",
    shell:
        "cp {{input}} {{output}}"
"""


def by_hand(folder, study=STUDY, target=PARTS, checkout=ROOT):
    """Write a workflow with the study in it, and no file of config."""
    config = "" if study is None else f"    config:\n        {study!r}"
    text = BY_HAND.format(checkout=checkout, config=config, target=target)
    (folder / "Snakefile").write_text(text)
    return folder


@pytest.fixture(scope="module")
def documented(tmp_path_factory):
    """The folder of the page's workflow beside a clone, in which it was run, smaller."""
    folder = tmp_path_factory.mktemp("documented")
    assert [language for language, _ in BLOCKS] == ["python", "python", "yaml"]
    for name, (_, text) in zip(FILES, BLOCKS, strict=True):
        (folder / name).write_text(text)
    (folder / "incbayes").symlink_to(ROOT)
    done = typed(folder, "--cores", "2", "--config", f"incremental={SMALLER}")
    assert done.returncode == 0, done.stdout
    return folder


def planned(folder, *options):
    done = typed(folder, "--dry-run", *options)
    assert done.returncode == 0, done.stdout
    return jobs_of(done.stdout)


def test_the_workflow_of_the_page_reads_posteriors_of_its_own_study(documented):
    lines = (documented / "widths.csv").read_text().splitlines()
    read = {line.split(",")[0] for line in lines}
    assert read == {f"{CHAIN}/t0{t}/posterior.safetensors" for t in (1, 2)}
    assert not (documented / "results").exists()


def test_a_second_run_does_nothing_and_changed_replicates_add_a_block(documented):
    again = ["--config", f"incremental={SMALLER}"]
    assert planned(documented, *again) == set()
    more = SMALLER.replace("replicates: 1", "replicates: 2, replicates_per_block: 1")
    jobs = planned(documented, "--config", f"incremental={more}")
    fits = {job for job in jobs if job.startswith("incbayes_fit")}
    chain = "incbayes_fit experiment=digits, method=ffg, T=2, block=r1-1"
    assert fits == {f"{chain}, t=01", f"{chain}, t=02"}


def test_all_that_the_workflow_writes_is_under_the_prefix(documented):
    targets = ["incbayes_all", "incbayes_publish"]
    again = ["--config", f"incremental={SMALLER}"]
    done = typed(documented, *targets, "--cores", "2", *again)
    assert done.returncode == 0, done.stdout
    written = {path.name for path in documented.iterdir()} - {".snakemake", "__pycache__"}
    assert written == {*FILES, "incbayes", "incremental", "widths.csv"}
    results = documented / "incremental/results"
    assert set(pd.read_parquet(results / "mine/metrics.parquet").method) == {"ffg"}
    page = (results / "published/mine/README.md").read_text(encoding="utf-8")
    command = shlex.split(re.search(r"```\n(snakemake .*)\n```", page)[1])
    assert command[-2:] == ["--", "incremental/results/mine/report.html"]
    assert planned(documented, *command[1:]) == set()
    report = (results / "mine/report.html").read_text(encoding="utf-8")
    assert '<th scope="row">fit</th>' in report, "times of jobs are found under the prefix"
    assert planned(documented, "incbayes_all", *again) == set()


def test_its_jobs_can_be_run_alone(documented):
    log = documented / "incremental/results/mine/logs/partition/digits/T2/r0-0.log"
    command = re.search(r"to run this job alone: (.*)", log.read_text())[1]
    done = subprocess.run(
        [sys.executable, *shlex.split(command)[1:]],
        cwd="/",
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "1 of 1 steps (100%) done" in done.stderr


def test_checks_at_the_start_and_causes_at_the_end_are_those_of_a_plain_run(documented, tmp_path):
    folder = tmp_path / "again"
    shutil.copytree(documented, folder, symlinks=True)
    again = ["--forcerun", "widths", "--cores", "1", "--config", f"incremental={SMALLER}"]
    first = folder / CHAIN / "t01/posterior.safetensors"
    first.unlink()
    done = typed(folder, *again)
    assert done.returncode == 1
    line = rf"^{CHAIN}/t02/posterior.safetensors is there and would be fitted again, only because"
    assert re.search(line, done.stdout, flags=re.MULTILINE), done.stdout
    assert "Rule: incbayes_fit" not in done.stdout, "before anything is run"

    shutil.rmtree(folder / "incremental/results/mine")
    checksums = folder / "incremental/results/data/digits/checksums.json"
    checksums.write_text(checksums.read_text().replace('"digest": "', '"digest": "0'))
    done = typed(folder, *again)
    assert done.returncode == 1
    ending = done.stdout[done.stdout.index("Exiting because a job execution failed") :]
    assert re.search(r"^digits parts T2 r0-0: error: ", ending, flags=re.MULTILINE), ending


def test_a_mapping_in_the_snakefile_is_the_study_without_any_file(tmp_path):
    done = typed(by_hand(tmp_path), "--cores", "1")
    assert done.returncode == 0, done.stdout
    assert (tmp_path / PARTS).read_bytes() == (tmp_path / "mine.txt").read_bytes()
    steps = re.findall(r"^(?:[^:\n]+: )?\d of 3 steps done.*$", done.stdout, flags=re.MULTILINE)
    assert len(steps) == 3, "progress is told once a step"


def test_several_statements_use_one_module(tmp_path):
    by_hand(tmp_path, target="results/tiny/metrics.csv")
    with open(tmp_path / "Snakefile", "a") as file:
        file.write("\nuse rule fit, collect from incbayes as again_* with:\n    threads: 2\n")
        file.write("\nruleorder: fit > again_fit\nruleorder: collect > again_collect\n")
    jobs = planned(tmp_path)
    assert {"collect", "mine"} <= jobs and not any(job.startswith("again") for job in jobs)


def test_without_a_config_it_is_the_default_study_and_files_of_the_run_count(tmp_path):
    default = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))
    target = f"results/{default['study']}/metrics.csv"
    assert "collect" in planned(by_hand(tmp_path, None, target))
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(STUDY))
    by_hand(tmp_path, None, "results/tiny/metrics.csv")
    jobs = planned(tmp_path, "--configfile", "study.yaml")
    assert sum(job.startswith("fit") for job in jobs) == 1


def test_a_prefix_is_not_set_before_the_data_that_are_there(tmp_path):
    photos = {
        **{"kind": "image_folder", "source": "photos.zip", "shape": [1, 8, 8]},
        **{"classes": ["a", "b"], "train": 20, "test": 10},
    }
    study = copy.deepcopy(STUDY) | {"data_root": "raw"}
    study["experiments"]["digits"]["dataset"] = photos
    by_hand(tmp_path, study, "there/results/tiny/metrics.csv")
    text = (tmp_path / "Snakefile").read_text()
    text = text.replace('Snakefile"\n', 'Snakefile"\n    prefix:\n        "there"\n')
    (tmp_path / "Snakefile").write_text(text)
    done = typed(tmp_path, "--dry-run")
    assert "there is no raw/photos.zip" in done.stdout
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw/photos.zip").touch()
    done = typed(tmp_path, "--dry-run")
    assert done.returncode == 0, done.stdout
    assert f"input: {tmp_path}/raw/photos.zip\n" in done.stdout


@pytest.mark.parametrize(
    ("study", "line"),
    [
        (STUDY | {"sead": 1}, "sead: unknown key (did you mean 'seed'?)"),
        ({}, "study: "),
    ],
)
def test_a_mistake_in_what_a_module_is_given_ends_in_its_line(study, line, tmp_path):
    done = typed(by_hand(tmp_path, study), "--dry-run")
    assert done.returncode == 1
    assert [said for said in done.stdout.splitlines() if said][-1].startswith(line), done.stdout


def test_what_a_module_is_given_stays_as_it_was(tmp_path):
    by_hand(tmp_path, None)
    text = (tmp_path / "Snakefile").read_text()
    text = text.replace('Snakefile"\n', 'Snakefile"\n    config:\n        config\n')
    (tmp_path / "Snakefile").write_text(
        f"config.update({STUDY!r})\ngiven = str(config)\n{text}\nassert str(config) == given\n"
    )
    assert "mine" in planned(tmp_path)


@pytest.mark.parametrize("name", ["other", "an:other"])
def test_planning_and_jobs_use_the_library_of_the_modules_own_checkout(name, tmp_path, monkeypatch):
    other = copied_checkout(tmp_path / name)
    study, console = (
        other / "workflow/incbayes" / name for name in ("study/resolve.py", "jobs/console.py")
    )
    with open(study, "a", encoding="utf-8") as file:
        file.write('\nprint("planned by the other checkout")\n')
    text = console.read_text(encoding="utf-8").replace("{title}: started", "{title}: started there")
    console.write_text(text, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "workflow"))  # as if another were installed
    folder = tmp_path / "parent"
    folder.mkdir()
    done = typed(by_hand(folder, checkout=other), "--cores", "1")
    assert done.returncode == 0, done.stdout
    assert "planned by the other checkout" in done.stdout
    log = folder / "results/tiny/logs/partition/digits/T1/r0-0.log"
    assert "started there" in log.read_text()


def test_two_checkouts_in_one_run_are_refused(tmp_path):
    other = copied_checkout(tmp_path / "other")
    by_hand(tmp_path)
    with open(tmp_path / "Snakefile", "a") as file:
        file.write(f'\nmodule second:\n    snakefile: "{other}/Snakefile"\n    config: {STUDY!r}\n')
        file.write("\nuse rule * from second as second_*\n")
    done = typed(tmp_path, "--dry-run")
    assert done.returncode == 1
    assert f"{other}: its library is not the one already imported, " in done.stdout
