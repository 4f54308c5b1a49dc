"""The study as types: frozen, validated, read from JSON values and written back as they were."""

import json
from pathlib import Path

import msgspec
import pytest
from small_study import SMALL, changed

from incbayes.orchestration import code_digest
from incbayes.study import model
from incbayes.study.model import (
    EvaluationSettings,
    KindSpec,
    MachineSettings,
    ObjectiveSettings,
    Overrides,
    PartitionSettings,
    PlateauSettings,
    Section,
    TrainingSettings,
    claims_of_plain,
    plain_claims,
    plain_study,
    read,
    shown_study,
    study_of,
    to_plain,
)
from incbayes.study.resolve import claims_of, resolve_study
from incbayes.study.yaml import read_yaml

ROOT = Path(__file__).parents[2]
STUDIES = [ROOT / "config.yaml", *sorted((ROOT / "studies").glob("*.yaml"))]
SECTIONS = [value for value in vars(model).values() if isinstance(value, type)]


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_a_study_and_its_claims_come_back_from_json_as_they_were(path):
    raw = read_yaml(path)
    for budget in ["full", *raw.get("budgets", {})]:
        study = resolve_study(raw | {"budget": budget})
        text = json.dumps(plain_study(study))
        assert study_of(json.loads(text)) == study
        assert json.dumps(plain_study(study_of(json.loads(text)))) == text
        claims = claims_of(study)
        assert claims_of_plain(json.loads(json.dumps(plain_claims(claims)))) == claims


def test_what_a_report_shows_of_a_study_is_enough_to_read_it():
    study = resolve_study(changed(("machine", {"device": "cpu"})))
    shown = shown_study(study)
    assert not {"machine", "data_root", "partial"} & set(shown)
    assert shown_study(study_of(shown)) == shown


@pytest.mark.parametrize("published", sorted(ROOT.glob("results/published/*/study.yaml")), ids=str)
def test_the_keys_of_a_published_study_stay_in_their_order(published):
    written, complete = read_yaml(published), read_yaml(published)
    for described in complete["experiments"].values():  # what was published before these keys
        described.setdefault("likelihood", {"kind": "categorical"})
    for method in complete["methods"].values():
        method.setdefault("inference", {"kind": "vi"})
    found = plain_study(study_of(complete))
    for name, described in written["experiments"].items():
        kept = [key for key in found["experiments"][name] if key in described]
        assert kept == list(described)


@pytest.mark.parametrize(
    ("section", "key"),
    [
        (TrainingSettings, "training"),
        (ObjectiveSettings, "objective"),
        (EvaluationSettings, "evaluation"),
        (MachineSettings, "machine"),
    ],
)
def test_the_defaults_of_the_types_are_those_of_a_study(section, key):
    written = {name: value for name, value in SMALL.items() if name != key}
    assert getattr(resolve_study(written), key) == section()


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.__name__)
def test_no_section_changes(section):
    assert section in (KindSpec, Overrides) or section.__struct_config__.frozen


def test_neither_kinds_nor_overrides_change():
    spec, overrides = KindSpec("ffg", {"initial_sigma": 0.1}), Overrides({"epochs": 3})
    for value, key in ((spec, "kind"), (overrides, "values"), (TrainingSettings(), "epochs")):
        with pytest.raises(AttributeError):
            setattr(value, key, None)
    assert spec.changed({"initial_sigma": 0.2}).options["initial_sigma"] == 0.2
    assert dict(spec) == {"kind": "ffg", "initial_sigma": 0.1}
    plain = to_plain(spec)
    plain["initial_sigma"] = 1.0
    assert spec.options["initial_sigma"] == 0.1


def test_overrides_win_key_by_key():
    training = TrainingSettings(plateau=PlateauSettings(patience=3, min_delta=0.1))
    changes = Overrides[TrainingSettings]({"epochs": 7, "plateau": {"patience": 5}})
    found = changes.over(training)
    assert (found.epochs, found.batch_size) == (7, training.batch_size)
    assert found.plateau == PlateauSettings(patience=5, min_delta=0.1)
    assert Overrides[TrainingSettings]({"plateau": None}).over(training).plateau is None
    assert Overrides[TrainingSettings]().over(training) is training


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("training", "epochs"), 0),
        (("training", "epochs"), "3"),
        (("training", "epoch"), 3),
        (("objective", "beta"), "even"),
        (("experiments", "plain", "training"), {"epoch": 3}),
        (("experiments", "plain", "parts"), []),
        (("experiments", "plain", "title"), "two\nlines"),
    ],
    ids=str,
)
def test_what_is_no_study_is_refused(place, value):
    plain = plain_study(resolve_study(SMALL))
    *path, key = place
    inner = plain
    for name in path:
        inner = inner[name]
    inner[key] = value
    with pytest.raises(msgspec.ValidationError):
        study_of(plain)


def test_a_partition_of_a_search_alone_has_a_validation_cut():
    assert "validation" not in to_plain(PartitionSettings())
    cut = read(PartitionSettings, {"validation": 0.1, "source_classes": [1, 2]})
    assert cut.is_of_search and cut.source_size == 2
    assert read(PartitionSettings, to_plain(cut)) == cut


def test_a_fit_does_not_depend_on_what_a_study_claims_or_searches():
    reached = code_digest._closure(("scripts.fit", "scripts.evaluate"))
    assert "incbayes.study.model.fitting" in reached
    for name in ("claims", "search", "study", "machine"):
        assert f"incbayes.study.model.{name}" not in reached
    assert issubclass(TrainingSettings, Section)
