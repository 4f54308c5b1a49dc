"""What pages say of the project's own facts is so, and they keep to the length they promise."""

import json
import re
import subprocess
import sys
import tomllib

import pytest
import yaml
from running import ROOT, environment

from incbayes import __version__, kinds
from incbayes.core.registry import Registry

PUBLISHED = ROOT / "results" / "published" / "kochurov2018"
BLOCKS = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
MOST_WORDS, MOST_LINES = 900, 6
REGISTRIES = {
    entry.noun: name for name, entry in vars(kinds).items() if isinstance(entry, Registry)
}
CALLED = {"relation of a claim": "relation"}


def page(name):
    return (ROOT / name).read_text(encoding="utf-8")


def rows(text, columns):
    """Return the cells of every row of a page's tables with so many columns."""
    lines = [line.strip("| \n").split(" | ") for line in text.splitlines() if line[:2] == "| "]
    return [cells for cells in lines if len(cells) == columns]


def paragraphs(text):
    """Yield the paragraphs of a page and the points of its lists; no code and no table."""
    for block in re.split(r"\n\s*\n|\n(?=- )", BLOCKS.sub("", text)):
        if not block.lstrip().startswith(("|", "<!--")):
            yield block.strip().splitlines()


def test_the_readme_is_short():
    assert len(page("README.md").split()) <= MOST_WORDS


WRITTEN = ["README.md", "CONTRIBUTING.md", "SECURITY.md"]
WRITTEN += [f"docs/{path.name}" for path in sorted(ROOT.glob("docs/*.md"))]


@pytest.mark.parametrize("name", WRITTEN)
def test_no_paragraph_is_long(name):
    assert [lines[0] for lines in paragraphs(page(name)) if len(lines) > MOST_LINES] == []


def test_what_the_page_on_reproducing_shows_is_what_was_published():
    read = [path.read_text(encoding="utf-8") for path in PUBLISHED.rglob("*.csv")]
    known = set("\n".join(read).splitlines())
    blocks = BLOCKS.findall(page("docs/reproduce.md"))
    (entry,) = (json.loads(text) for kind, text in blocks if kind == "json")
    runs = json.loads((PUBLISHED / "provenance.json").read_text(encoding="utf-8"))["runs"]
    assert [run for run in runs if entry.items() <= run.items()]
    stage = "{experiment}/{method}/T{T}/{block}/t{t:02d}".format(**entry)
    seal = json.loads((PUBLISHED / "publication.seal.json").read_text(encoding="utf-8"))
    sealed = {"posterior": entry["sha256"], "records": entry["records"]}
    assert seal["facts"]["stages"][stage] == sealed
    lines = [line for kind, text in blocks for line in text.splitlines() if kind == "text"]
    compared = [line for line in lines if line.startswith(("accuracy: ", "nll: "))]
    files = [line for line in lines if line.endswith(".safetensors")]
    for line in set(lines) - {*compared, *files}:  # a row may have further columns
        assert any(row.startswith(line) for row in known), line
    assert files == [f"results/kochurov2018/{stage}/posterior.safetensors"]
    records = [row[1] for row in rows(page("docs/reproduce.md"), 3)[1:]]
    assert all(any(line.endswith(f",{value},full") for line in known) for value in records)
    groups = ["mnist.ft_tuned.T10", "mnist.ffg.T10"]
    done = subprocess.run(
        [sys.executable, "-m", "incbayes", "compare", PUBLISHED / "metrics.csv", *groups],
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert done.stdout.splitlines() == compared


def test_the_page_on_choosing_names_every_family_and_prior_with_the_costs_of_the_other_page():
    text = page("docs/choosing.md")
    named = set(re.findall(r"`(\w+)`", text))
    assert {*kinds.FAMILIES, *kinds.PRIORS} <= named
    measured = {row[0]: (row[1], row[3]) for row in rows(page("docs/families.md"), 4)[1:9]}
    estimators = {"one draw of weights a minibatch": "weight", "one draw of weights": "weight"}
    shown = [row for row in rows(text, 3) if row[1].startswith("×")]
    assert {row[0].split("`")[1] for row in shown} == {name.split()[0] for name in measured}
    for name, step, parameters in shown:
        family, _, estimator = name.partition(", ")
        short = estimators.get(estimator, "local" if estimator else "")
        assert measured[f"{family.strip('`')} {short}".strip()] == (step, parameters)


def test_every_kind_has_its_row_on_contributing_with_a_test_over_its_registry():
    table = {CALLED.get(row[0], row[0]): row for row in rows(page("CONTRIBUTING.md"), 5)[1:]}
    assert set(table) == set(REGISTRIES)
    for noun, (_, _, folder, example, test) in table.items():
        text = (ROOT / test.strip("`")).read_text(encoding="utf-8")
        assert re.search(rf"\b{REGISTRIES[noun]}\b", text), f"{test} does not run over {noun}"
        place = ROOT / "workflow" / "incbayes" / folder.strip("`")
        begun = example.strip("`")
        assert (place / begun).is_file() if place.is_dir() else begun in place.read_text("utf-8")


def test_all_that_states_a_version_states_the_same():
    project = tomllib.loads(page("pyproject.toml"))["project"]
    stated = {
        project["version"],
        yaml.safe_load(page("CITATION.cff"))["version"],
        json.loads(page(".zenodo.json"))["version"],
        re.findall(r"^## \[(\d\S*)\]", page("CHANGELOG.md"), re.MULTILINE)[0],
    }
    assert stated == {__version__}


def test_all_that_states_authors_states_those_of_the_licence():
    (holder,) = re.findall(r"^Copyright \(c\) \d+ (.+)$", page("LICENSE"), re.MULTILINE)
    project = tomllib.loads(page("pyproject.toml"))["project"]
    people = [
        project["authors"],
        yaml.safe_load(page("CITATION.cff"))["authors"],
        json.loads(page(".zenodo.json"))["creators"],
    ]
    assert [[one["name"] for one in some] for some in people] == [[holder]] * 3


FOLDERS = ("workflow", "tests", "benchmarks")
CODE = re.compile(r"`((?:[\w-]+/)+[\w-]+\.py)(?:::(\w+))?(?:\[[^`]*\])?`")


@pytest.mark.parametrize("name", WRITTEN)
def test_the_code_that_a_page_names_is_there(name):
    files = [file for folder in FOLDERS for file in (ROOT / folder).rglob("*.py")]
    for path, test in CODE.findall(page(name)):
        found = [file for file in files if file.as_posix().endswith(f"/{path}")]
        assert found, path
        assert f"def {test}(" in found[0].read_text(encoding="utf-8") if test else True, test
