"""The Croissant file of a data set: valid by its library, and of the files that jobs read."""

import json
import shutil

import numpy as np
import pytest
from made_publications import TIMINGS, measured
from mlcroissant import Dataset, ValidationError
from running import ROOT
from safetensors.numpy import load_file

from incbayes.core.files import sha256_file
from incbayes.data.origin import Origin
from incbayes.data.prepared import prepare
from incbayes.kinds import DATASETS
from incbayes.publication.croissant import data_sets_of, write_croissants
from incbayes.publication.publish import publish, read_published
from incbayes.report.provenance import images_of
from incbayes.study.resolve import resolve_study

PUBLISHED = sorted(path.parent for path in (ROOT / "results/published").glob("*/study.yaml"))
OWN = {"digits", "breast_cancer", "diabetes"}
"""Kinds that need no file and no network."""

TABLE = {"kind": "table", "source": "~/private/a.csv", "target": "y", "features": ["x", "z"]}
MADE = {"train": "a" * 64, "test": "b" * 64}


def study(*datasets, **changes):
    """Return a study with an experiment on each data set, in two parts and in one."""
    experiments = {
        f"e{number}": {"dataset": dataset, "parts": [1, 2], "model": {"kind": "mlp", "widths": [4]}}
        for number, dataset in enumerate(datasets)
    }
    methods = {"ft": {"family": "point"}}
    return resolve_study({"study": "described", "experiments": experiments, "methods": methods})


def validated(path):
    """Return a data set as the library of Croissant reads it, which raises where it is not one."""
    found = Dataset(str(path))
    assert not found.metadata.ctx.issues.errors
    return found


def records(found, name):
    """Return the records of a set by the last part of their keys, texts decoded."""
    return [
        {
            key.partition("/")[2]: value.decode() if isinstance(value, bytes) else value
            for key, value in record.items()
        }
        for record in found.records(name)
    ]


@pytest.mark.parametrize("kind", sorted(OWN))
def test_files_splits_and_records_are_those_that_jobs_read(kind, tmp_path):
    prepared, folder = tmp_path / "data" / kind, tmp_path / "published" / "described"
    facts = prepare({"kind": kind}, tmp_path, prepared)
    images = {"e0": images_of(prepared / "checksums.json")}
    made = study(kind)
    write_croissants(folder, made, [{"images": images}])
    (path,) = (folder / "data").iterdir()
    assert path.name == f"{kind}.croissant.json"
    found = validated(path)
    splits = records(found, "splits")
    assert [(row["name"], row["records"]) for row in splits] == [
        (split, facts[split]["images"]) for split in ("train", "test")
    ]
    for file in found.metadata.distribution:
        there = path.parent / json_of(path, file.id)["contentUrl"]
        assert sha256_file(there) == file.sha256
        described = next(item for item in found.metadata.record_sets if f"{item.id}." in file.id)
        tensors = load_file(there)
        for field in described.fields:
            tensor = tensors[field.source.extract.column]
            assert field.source.file_object == file.id
            assert np.dtype(field.data_type) == tensor.dtype
            if field.is_array:
                assert field.array_shape_tuple == tensor.shape[1:]
    target = "target" if kind == "diabetes" else "label"
    assert [field.name for field in described.fields][1] == target
    if target == "label":
        names = [row["name"] for row in records(found, "classes")]
        assert names == facts["classes"]
    parts = [(row["experiment"], row["parts"], row["seed"]) for row in records(found, "parts")]
    assert parts == [("e0", 1, made.seed), ("e0", 2, made.seed)]


def json_of(path, name):
    return next(
        file for file in json.loads(path.read_text())["distribution"] if file["@id"] == name
    )


@pytest.mark.parametrize(
    "kind", [kind for kind in DATASETS if "source" not in DATASETS[kind].__dataclass_fields__]
)
def test_what_comes_with_the_project_says_whose_it_is(kind, tmp_path):
    assert isinstance(DATASETS[kind].origin, Origin)
    write_croissants(tmp_path, study(kind), [{"images": {"e0": MADE}}])
    metadata = validated(tmp_path / "data" / f"{kind}.croissant.json").metadata
    origin = DATASETS[kind].origin
    assert (metadata.url, metadata.cite_as) == (origin.url, origin.citation)
    assert metadata.license == ([origin.license] if origin.license else None)


def test_of_ones_own_data_the_folder_they_lie_in_is_not_told(tmp_path):
    write_croissants(tmp_path, study(TABLE), [{"images": {"e0": MADE}}])
    (path,) = (tmp_path / "data").iterdir()
    metadata = validated(path).metadata
    assert "a.csv" in metadata.description and "private" not in path.read_text()
    assert metadata.license is None and metadata.url is None
    (row, _) = next(item for item in metadata.record_sets if item.id == "train").fields
    assert "x, z" in row.description and row.array_shape_tuple == (2, 1, 1)
    with pytest.raises(StopIteration):
        next(row for row in records(validated(path), "splits") if "records" in row)


def test_experiments_share_a_description_unless_they_were_made_of_other_bytes():
    made = study("digits", "digits", "digits", "mnist")
    other = MADE | {"train": "c" * 64}
    run, later = {"e0": MADE, "e1": MADE, "e3": MADE}, {"e2": other}
    found = data_sets_of(made, [{"images": run}, {"images": later}])
    assert {path: used.experiments for path, used in found.items()} == {
        "data/digits_aaaaaaaa.croissant.json": ["e0", "e1"],
        "data/digits_cccccccc.croissant.json": ["e2"],
        "data/mnist.croissant.json": ["e3"],
    }


def test_the_library_finds_what_is_wrong(tmp_path):
    write_croissants(tmp_path, study("digits"), [{"images": {"e0": MADE}}])
    path = tmp_path / "data" / "digits.croissant.json"
    whole = json.loads(path.read_text())
    for damage in ("sha256", "contentUrl", "encodingFormat"):
        broken = json.loads(json.dumps(whole))
        del broken["distribution"][0][damage]
        path.write_text(json.dumps(broken))
        with pytest.raises(ValidationError, match="train.safetensors"):
            validated(path)


@pytest.mark.parametrize("folder", PUBLISHED, ids=lambda path: path.name)
def test_the_data_sets_of_the_papers_are_described(folder, tmp_path):
    published = read_published(folder)
    write_croissants(tmp_path, published.study, published.provenance["sources"])
    described = set()
    for path in (tmp_path / "data").iterdir():
        described |= {row["experiment"] for row in records(validated(path), "parts")}
    assert described == {run["experiment"] for run in published.provenance["runs"]}


def test_what_is_published_carries_them_sealed_and_named_in_its_crate(tmp_path):
    publish(tmp_path, measured(None), TIMINGS)
    paths = {path.relative_to(tmp_path).as_posix() for path in (tmp_path / "data").iterdir()}
    assert paths and all(path.endswith(".croissant.json") for path in paths)
    graph = json.loads((tmp_path / "ro-crate-metadata.json").read_text())["@graph"]
    named = [entity["subjectOf"]["@id"] for entity in graph if "subjectOf" in entity]
    assert set(named) == paths and len(named) == 2, "each experiment's data"
    shutil.rmtree(tmp_path / "data")
    with pytest.raises(ValueError, match=r"croissant\.json"):
        read_published(tmp_path)
