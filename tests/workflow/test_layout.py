"""The checkout has the layout of the workflow catalog: both of its entries are one workflow."""

import re

import pytest
import yaml
from running import ROOT, TINY, jobs_of, typed

ENTRIES = ("Snakefile", "workflow/Snakefile")


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """A folder that looks like a fresh clone."""
    folder = tmp_path_factory.mktemp("clone")
    for name in ("Snakefile", "config.yaml", "workflow", "profiles", "envs"):
        (folder / name).symlink_to(ROOT / name)
    return folder


def test_both_entries_plan_the_same_jobs(clone):
    plans = []
    for entry in ENTRIES:
        done = typed(clone, "--dry-run", "--cores", "1", "--snakefile", entry)
        assert done.returncode == 0, done.stdout
        plans.append(jobs_of(done.stdout))
    assert plans[0] == plans[1] and "all" in plans[0]
    assert any(job.startswith("fit ") for job in plans[0])


@pytest.mark.parametrize("entry", ENTRIES)
def test_either_entry_refuses_a_study_that_cannot_be_read_in_one_line(entry, clone):
    (clone / "broken.yaml").write_text("study: [\n")
    study = ("--configfile", "broken.yaml")
    done = typed(clone, "--dry-run", "--cores", "1", "--snakefile", entry, *study)
    assert done.returncode == 1 and "Traceback" not in done.stdout
    assert done.stdout.strip().splitlines()[-1].startswith("broken.yaml, line ")


def test_the_catalog_finds_what_it_reads():
    entry = (ROOT / "workflow/Snakefile").read_text(encoding="utf-8")
    assert re.search(r"^rule all:", entry, re.MULTILINE)
    assert (ROOT / "config/README.md").is_file()
    usage = yaml.safe_load((ROOT / ".snakemake-workflow-catalog.yml").read_text())["usage"]
    assert usage["report"] and usage["software-stack-deployment"]["conda"]
    assert 'report: "report/workflow.rst"' in entry


MODULE = """
module incbayes:
    snakefile:
        "{snakefile}"
    config:
        {study!r}

use rule * from incbayes as incbayes_*

rule mine:
    default_target: True
    input:
        rules.incbayes_report.output.page,
"""


@pytest.mark.parametrize("entry", ENTRIES)
def test_either_entry_is_a_module_of_another_workflow(entry, tmp_path):
    text = MODULE.format(snakefile=ROOT / entry, study=TINY)
    (tmp_path / "Snakefile").write_text(text)
    done = typed(tmp_path, "--dry-run", "--cores", "1")
    assert done.returncode == 0, done.stdout
    jobs = jobs_of(done.stdout)
    assert (
        "mine" in jobs
        and "incbayes_fit experiment=digits, method=ft, T=2, block=r0-1, t=02" in jobs
    )
