"""The schema, what is generated from it and the studies of the repository, all in step."""

import os
import re
import subprocess
import sys

import pytest
import yaml
from jsonschema import Draft202012Validator
from msgspec.structs import replace
from shipped_studies import ROOT, STUDIES
from snakemake.utils import update_config

from incbayes.docgen import generate as schema_docs
from incbayes.study.chains import all_chains
from incbayes.study.resolve import resolve_study
from incbayes.study.schema import KINDS, STUDY, schema_document, study_schema
from incbayes.study.settings import chain_settings, method_settings
from incbayes.study.tuning import candidates
from incbayes.study.yaml import read_yaml

CHOSEN = sorted((ROOT / "studies" / "chosen").glob("*.yaml"))


@pytest.mark.parametrize("path", STUDIES, ids=[path.stem for path in STUDIES])
def test_studies_resolve_in_each_budget(path):
    raw = read_yaml(path)
    for budget in ["full", *raw.get("budgets", {})]:
        study = resolve_study(raw | {"budget": budget})
        assert study.reduced == (budget not in ("full", "paper"))
        for name, experiment in study.experiments.items():
            for method in experiment.methods:
                method_settings(study, name, method)


@pytest.mark.parametrize("path", STUDIES, ids=[path.stem for path in STUDIES])
def test_studies_mean_the_same_to_the_loader_of_snakemake(path):
    raw = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.FullLoader)
    assert resolve_study(raw) == resolve_study(read_yaml(path))


@pytest.mark.parametrize("path", CHOSEN, ids=[path.stem for path in CHOSEN])
def test_the_outcome_of_a_search_that_is_kept_is_what_the_study_uses(path):
    raw = read_yaml(ROOT / "studies" / path.name)
    plain = resolve_study(raw)
    update_config(raw, read_yaml(path))
    tuned = resolve_study(raw)
    assert tuned.tuned
    used, stated = (
        {chain: chain_settings(study, *chain[:2]) for chain in all_chains(study)}
        for study in (tuned, plain)
    )
    assert used == stated
    # Else they differ in `settings` alone, where the outcome repeats what a method has anyway.
    experiments = {
        name: replace(experiment, settings=plain.experiments[name].settings)
        for name, experiment in tuned.experiments.items()
    }
    assert replace(tuned, experiments=experiments) == replace(plain, tuned=tuned.tuned)
    searched = [(c.experiment, c.method) for c in tuned.tuned.candidates]
    assert searched == [(c.experiment, c.method) for c in candidates(plain)]


def test_generated_files_are_current():
    assert schema_docs.main(["--check"]) == 0, "run python -m incbayes.docgen"


def test_check_writes_nothing_and_fails_on_a_stale_file(tmp_path, monkeypatch, capsys):
    stale, absent = tmp_path / "stale.yaml", tmp_path / "docs" / "absent.md"
    stale.write_text("old")
    monkeypatch.setattr(schema_docs, "generated_files", lambda: {stale: "new", absent: "new"})
    assert schema_docs.main(["--check"]) == 1
    assert stale.read_text() == "old" and not absent.exists()
    assert "stale.yaml: out of date" in capsys.readouterr().err
    assert schema_docs.main([]) == 0
    assert stale.read_text() == absent.read_text() == "new"


def test_example_of_the_page_is_a_study(tmp_path):
    page = (ROOT / "docs" / "config.md").read_text(encoding="utf-8")
    (example_text,) = re.findall(r"```yaml\n(.*?)```", page, flags=re.DOTALL)
    path = tmp_path / "example.yaml"
    path.write_text(example_text, encoding="utf-8")
    assert not resolve_study(read_yaml(path)).reduced
    assert resolve_study(read_yaml(path) | {"budget": "quick"}).reduced


def test_page_names_every_key():
    page = (ROOT / "docs" / "config.md").read_text(encoding="utf-8")
    for where, _ in properties(study_schema()):
        key = where[-1]
        assert f"`{key}`" in page or f".{key}`" in page or key == "kind", where


def properties(node, where=()):
    """Yield path and node of every property of a schema, at any depth."""
    if isinstance(node, list):
        for item in node:
            yield from properties(item, where)
    elif isinstance(node, dict):
        for key, child in node.items():
            # The `properties` of a condition describe nothing.
            if key == "properties" and where[-1:] != ("if",):
                for name, inner in child.items():
                    yield (*where, name), inner
            yield from properties(child, (*where, key))


@pytest.mark.parametrize("name", [STUDY, KINDS])
def test_every_key_of_the_schema_has_a_description(name):
    document = schema_document(name)
    Draft202012Validator.check_schema(document)
    found = list(properties(study_schema() if name == STUDY else document))
    assert len(found) > 20
    for where, node in found:
        assert node.get("description", "").strip(), where


def test_objects_of_the_schema_know_their_keys():
    def check_objects(node, where):
        if isinstance(node, dict):
            if "properties" in node and where[-1:] not in ("if", "else"):
                assert node.get("additionalProperties") is False, where
            for key, child in node.items():
                check_objects(child, [*where, key])

    check_objects(schema_document(STUDY), [])
    kinds = schema_document(KINDS)["$defs"]
    for key, node in kinds.items():
        check_objects(node["$defs"], [key])


def test_planning_imports_neither_torch_nor_pandas():
    code = (
        "import sys; from incbayes.study.resolve import resolve_study;"
        "from incbayes.study.yaml import read_yaml;"
        f"resolve_study(read_yaml({str(STUDIES[0])!r}));"
        "print(sorted({'torch', 'torchvision', 'sklearn', 'pandas'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": str(ROOT / "workflow")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"
