"""The RO-Crate of a published folder: valid by its profiles, and of the files that are there."""

import io
import json
import shutil
from datetime import UTC, datetime
from email.message import Message
from pathlib import Path
from types import SimpleNamespace
from urllib.response import addinfourl

import pytest
import rdflib.parser
import rocrate
from rocrate_validator.models import Severity
from rocrate_validator.services import ValidationSettings, validate
from rocrate_validator.utils.http import HttpRequester
from running import ROOT

from incbayes.core.files import sha256_file
from incbayes.publication.crate import METADATA, TERMS, WORKFLOW, span_of, write_crate
from incbayes.publication.publish import SEAL, read_published

PUBLISHED = sorted(path.parent for path in (ROOT / "results/published").glob("*/study.yaml"))
PROFILE = "workflow-run-crate-0.5"
BASE = "https://w3id.org/ro/crate/1.1/context"


def contexts():
    """Return what the two addresses of a crate hold, for there is no network.

    The terms are those of a later RO-Crate, which the library brings along; of Bioschemas, whose
    addresses it changed, they are those of 1.1.
    """
    later = json.loads((Path(rocrate.__file__).parent / "data/ro-crate.jsonld").read_text())
    terms = later["@context"] | {
        name: f"https://bioschemas.org/{name}"
        for name in ("ComputationalWorkflow", "FormalParameter", "input", "output")
    }
    ours = {"sha256": "https://w3id.org/ro/terms/workflow-run#sha256"}
    return {BASE: {"@context": terms}, TERMS: {"@context": ours}}


@pytest.fixture
def problems(monkeypatch):
    """Return a function that returns what the validator finds wrong, by its checks' names."""
    held = contexts()

    def opened(request):
        headers = Message()
        headers["Content-Type"] = "application/ld+json"
        body = json.dumps(held[request.full_url]).encode()
        return addinfourl(io.BytesIO(body), headers, request.full_url, 200)

    def got(_, url, **__):
        return SimpleNamespace(
            status_code=200,
            json=lambda: held[url],
            headers={"Content-Type": "application/ld+json"},
            url=url,
        )

    monkeypatch.setattr(rdflib.parser, "_urlopen", opened)
    monkeypatch.setattr(HttpRequester, "get", got, raising=False)

    def found(folder):
        settings = ValidationSettings(
            rocrate_uri=str(folder),
            profile_identifier=PROFILE,
            requirement_severity=Severity.REQUIRED,
        )
        issues = validate(settings).get_issues()
        return [f"{issue.check.identifier}: {issue.message}" for issue in issues]

    return found


@pytest.fixture(params=PUBLISHED, ids=lambda path: path.name)
def published(request, tmp_path):
    """A copy of a published folder."""
    return shutil.copytree(request.param, tmp_path / "published")


def graph_of(folder):
    return {
        entity["@id"]: entity for entity in json.loads((folder / METADATA).read_text())["@graph"]
    }


def test_what_is_published_is_a_valid_workflow_run_crate(published, problems):
    folder = published
    assert problems(folder) == []
    graph = graph_of(folder)
    files = {name: entity for name, entity in graph.items() if "File" in entity["@type"]}
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert set(files) == there - {METADATA, SEAL}
    for name, entity in files.items():
        assert entity["sha256"] == sha256_file(folder / name)
        assert int(entity["contentSize"]) == (folder / name).stat().st_size
    runs = [entity for entity in graph.values() if entity["@type"] == "CreateAction"]
    commands = [source["command"] for source in read_published(folder).provenance["sources"]]
    assert [run["name"].partition(", by ")[2] for run in runs] == commands


def test_the_description_depends_on_what_is_described_alone(published):
    found, before = read_published(published), (published / METADATA).read_bytes()
    for name in (METADATA, SEAL, WORKFLOW):
        (published / name).unlink()
    write_crate(published, found.study, found.provenance)
    assert (published / METADATA).read_bytes() == before


@pytest.mark.parametrize(
    ("entity", "key"),
    [("./", "mainEntity"), ("./", "license"), ("#run-1", "instrument"), (WORKFLOW, "@type")],
)
def test_a_description_that_lacks_something_is_not_valid(entity, key, problems, tmp_path):
    folder = shutil.copytree(PUBLISHED[0], tmp_path / "published")
    whole = json.loads((folder / METADATA).read_text())
    of = next(found for found in whole["@graph"] if found["@id"] == entity)
    of[key] = "File" if key == "@type" else of.pop(key) and []
    (folder / METADATA).write_text(json.dumps(whole))
    assert problems(folder)


def test_a_run_lasted_from_its_first_stage_to_the_end_of_its_last():
    def stage(method, began, seconds):
        started = datetime(2026, 1, 1, began, tzinfo=UTC).isoformat()
        named = {"experiment": "e", "method": method, "T": 1}
        return named | {"started": started, "seconds": seconds}

    runs = [stage("a", 3, 7200.0), stage("a", 4, 60.0), stage("b", 1, 1.0)]
    sources = [{"chains": ["e.a.T1"]}, {"chains": ["e.b.T1"]}]
    begun, ended = span_of(["e.a.T1"], runs, sources)
    assert (begun.hour, ended.hour) == (3, 5)
    both = [*sources, {"chains": ["e.a.T1"]}]  # replicates of one chain, made by two runs
    assert span_of(["e.a.T1"], runs, both) is None
