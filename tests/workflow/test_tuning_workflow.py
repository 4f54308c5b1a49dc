"""A search through Snakemake, without test images, and the study that uses its outcome."""

import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest
import yaml
from running import TINY, command, environment, planned, run
from tiny_chain import plain_cut

from incbayes.data.partition import read_partition
from incbayes.data.prepared import read_labels
from incbayes.data.validation import read_validation

TUNED_TINY = TINY | {
    "study": "searched",
    "experiments": {"digits": TINY["experiments"]["digits"] | {"parts": [2]}},
    "tune": {
        "search": {
            "digits": {
                "ft": {"training.learning_rate": [1e-3, 1e-2]},
                "ffg": {"family.initial_sigma": [0.01, 0.1]},
            }
        }
    },
    "budgets": {"quick": {"training": {"epochs": 1}}},
}


def run_with(folder, study, file, *options):
    """Run Snakemake with a further config file and return what it said."""
    arguments = command(folder, study, *options)
    arguments.insert(arguments.index("--cores"), str(file))
    return subprocess.run(
        arguments,
        cwd=folder,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
    )


@pytest.fixture(scope="module")
def search(tmp_path_factory):
    """A folder in which the tiny study's search was run while there were no test images."""
    folder = tmp_path_factory.mktemp("search")
    data = folder / "results/data/digits"
    made = run(folder, TUNED_TINY, "--", "results/data/digits/checksums.json")
    assert made.returncode == 0, made.stdout
    shutil.move(data / "test.safetensors", folder / "test.safetensors")
    done = run(folder, TUNED_TINY, "--", "tune")
    assert done.returncode == 0, done.stdout
    assert not (data / "test.safetensors").exists()
    shutil.move(folder / "test.safetensors", data / "test.safetensors")
    return folder


def test_the_search_chooses_the_best_of_its_records(search):
    results = search / "results/searched/tuning"
    chosen = yaml.safe_load((results / "chosen.yaml").read_text(encoding="utf-8"))
    tuned = chosen["tuned"]
    assert (tuned["budget"], tuned["reduced"], tuned["metric"]) == ("full", False, "accuracy")
    assert len(tuned["candidates"]) == 4
    for method, key in (("ft", "learning_rate"), ("ffg", "initial_sigma")):
        values = []
        for number in (1, 2):
            chain = results / f"digits/{method}-{number}/T2/r0-0"
            records = pd.read_json(chain / "t02/metrics.json")
            assert set(records["split"]) == {"validation"}
            found = records.query("predictor == 'predictive' and metric == 'accuracy'")
            values.append(found["value"].mean())
        of_method = [c for c in tuned["candidates"] if c["method"] == method]
        assert [c["chosen"] for c in of_method] == [place == np.argmax(values) for place in (0, 1)]
        winner = of_method[int(np.argmax(values))]
        section = {"ft": "training", "ffg": "family"}[method]
        assert chosen["experiments"]["digits"]["settings"][method] == {
            section: {key: winner["settings"][f"{section}.{key}"]}
        }


def test_a_search_can_be_run_method_by_method(search):
    chosen = search / "results/searched/tuning/chosen.yaml"
    whole = chosen.read_bytes()
    first = run(search, TUNED_TINY, "--config", "only=[digits.ffg]", "--", "tune")
    assert first.returncode == 0, first.stdout
    assert len(yaml.safe_load(chosen.read_text(encoding="utf-8"))["tuned"]["candidates"]) == 2
    earlier = shutil.copy(chosen, search / "earlier.yaml")
    then = run_with(search, TUNED_TINY, earlier, "--config", "only=[digits.ft]", "--", "tune")
    assert then.returncode == 0, then.stdout
    assert chosen.read_bytes() == whole
    at_once = run(search, TUNED_TINY, "--", "tune")
    assert at_once.returncode == 0 and chosen.read_bytes() == whole, at_once.stdout


def test_the_search_leaves_the_partitions_of_the_study_as_they_are(search):
    target = "results/searched/digits/parts/T2/r0-1.safetensors"
    assert run(search, TUNED_TINY, "--", target).returncode == 0
    labels = read_labels(search / "results/data/digits/train.safetensors")
    found = read_partition(search / target, 1)
    expected = plain_cut(labels, 10, parts=2, replicate=1)
    assert all(map(np.array_equal, found.parts, expected.parts))
    path = search / "results/searched/tuning/digits/parts/T2/r0-0.safetensors"
    held_out, used = read_validation(path, 0), np.concatenate(read_partition(path, 0).parts)
    assert not set(held_out) & set(used)
    assert sorted([*held_out, *used]) == list(range(len(labels)))


def test_a_study_has_the_same_jobs_with_a_search_as_without(tmp_path):
    without = {key: value for key, value in TUNED_TINY.items() if key != "tune"}
    assert planned(tmp_path, TUNED_TINY) == planned(tmp_path, without)


def test_no_job_of_a_search_but_the_preparation_names_the_test_images(tmp_path):
    done = run(tmp_path, TUNED_TINY, "--dry-run", "--config", "budget=quick", "--", "tune")
    assert done.returncode == 0, done.stdout
    assert "results/searched-quick/tuning/chosen.yaml" in done.stdout
    inputs = [line for line in done.stdout.splitlines() if line.strip().startswith("input:")]
    assert any("train.safetensors" in line for line in inputs)
    assert not any("test.safetensors" in line for line in inputs)


def test_a_study_without_a_search_says_so_in_one_line(tmp_path):
    done = run(tmp_path, TINY, "--", "tune")
    assert done.returncode != 0 and "Traceback" not in done.stdout
    assert "tune: the study states no search for what it runs" in done.stdout


def test_the_outcome_of_a_search_is_used_and_shown(search):
    chosen = search / "results/searched/tuning/chosen.yaml"
    tuned = yaml.safe_load(chosen.read_text(encoding="utf-8"))["tuned"]
    done = run_with(search, TUNED_TINY, chosen)
    assert done.returncode == 0, done.stdout
    page = (search / "results/searched/report.html").read_text(encoding="utf-8")
    section = page[page.index('id="tuning"') : page.index('<section id="methods"')]
    for candidate in tuned["candidates"]:
        ((key, value),) = candidate["settings"].items()
        assert f"<td>{key} {value:g}</td>" in section
        for score in candidate["scores"]:
            assert f">{100 * score['accuracy']:.2f}<" in section
    assert section.count("<td>chosen</td>") == 2
    rate = next(
        c["settings"]["training.learning_rate"]
        for c in tuned["candidates"]
        if c["chosen"] and c["method"] == "ft"
    )
    methods = page[page.index('<section id="methods"') : page.index('<section id="reproduce"')]
    assert f"ft: training.learning_rate {rate:g}" in methods
    training = pd.read_csv(search / "results/searched/digits/ft/T2/r0-1/t01/training.csv")
    assert training["learning_rate"].max() == pytest.approx(rate / 2)  # cosine, after 1 of 2 epochs
    again = run_with(search, TUNED_TINY, chosen, "--dry-run", "--", "tune")
    assert "Nothing to be done" in again.stdout, again.stdout
