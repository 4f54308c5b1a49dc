"""Files of results that no seal covers are named, wherever they lie and whatever is called so."""

import pytest
from sealing import seal_training

from incbayes.core.seal import write_seal
from incbayes.results.verification import seals_in, unsealed

IDENTITY = {"study": "s", "experiment": "e", "method": "m", "T": 2, "t": 1, "replicates": [0, 1]}


def made(path):
    """Write a file of some bytes; return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"bytes")
    return path


def sealed_stage(results, **names):
    """Seal an empty stage of a study in results; return its folder."""
    identity = IDENTITY | names
    stage = "{study}/{experiment}/{method}/T2/r0-1/t01".format(**identity)
    folder = results / stage
    folder.mkdir(parents=True)
    seal_training(folder, identity, {})
    return folder


def found(folder):
    return unsealed(folder, seals_in(folder))


@pytest.fixture
def results(tmp_path):
    """Results of one sealed stage, of one data set, and of all that has no seal."""
    root = tmp_path / "results"
    sealed_stage(root)
    images = made(root / "data" / "digits" / "train.safetensors")
    write_seal(images.with_name("checksums.json"), "images", {"data": "digits"}, [images])
    for without in (
        *("s/logs/fit/e/m.log", "s/benchmarks/fit/e.tsv", "s/stated.yaml", ".hidden/x"),
        *("s/tuning/candidates.csv", "s/tuning/chosen.yaml", "other/logs/fit/x.log"),
        *("data/logs/digits.log", "data/benchmarks/digits.tsv", "data/logs/stream/01.log"),
    ):
        made(root / without)
    return root


@pytest.mark.parametrize("of", ["", "s", "data", "s/e"])
def test_what_has_no_seal_where_results_keep_it_is_passed_over(of, results):
    assert found(results / of) == []


@pytest.mark.parametrize("name", ["tuning", "logs", "benchmarks", "stated.yaml"])
@pytest.mark.parametrize(
    "place",
    [
        "s/e/{}/T2/r0-1/t01/posterior.safetensors",
        "s/{}x/m/T2/r0-1/t01/posterior.safetensors",
        "s/e/m/T2/r0-1/t01/{}",
        "{}/e/m/T2/r0-1/t01/metrics.json",
        "published/{}/page.html",
    ],
)
def test_whatever_is_called_so_elsewhere_is_named(place, name, results):
    path = made(results / place.format(name))
    assert found(results) == [path]


def test_what_a_search_leaves_of_its_candidates_is_sealed_like_any_stage(results):
    sealed_stage(results, experiment="tuning/e")
    path = made(results / "s/tuning/e/m_1/T2/r0-1/t01/posterior.safetensors")
    assert found(results) == found(results / "s") == [path]


def test_a_method_that_is_called_so_counts_from_its_study_too(results):
    folder = sealed_stage(results, method="tuning")
    path = made(folder / "extra.bin")
    assert found(results / "s") == [path] == found(results)
