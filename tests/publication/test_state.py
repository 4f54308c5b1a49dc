"""Stating claims: the date, what was there by then, and what makes a statement void."""

import copy

import pytest
import yaml
from small_study import changed

from incbayes.publication.publish import PublicationError
from incbayes.publication.state import FILE, StatementError, state_claims
from incbayes.study import statement
from incbayes.study.resolve import resolve_study
from incbayes.study.schema import study_schema
from incbayes.study.statement import stated, statement_digest

CLAIM = {
    "sentence": "A sentence.",
    "relation": {"kind": "greater", "by": 0.0, "reason": "any difference counts"},
    "groups": [{"experiment": "plain", "method": name, "T": 5} for name in ("ffg", "ft")],
}
CLAIMS = {"good": CLAIM, "later": CLAIM | {"status": "exploratory"}}


def study(*changes, **keys):
    return resolve_study(changed(("claims", copy.deepcopy(CLAIMS)), *changes) | keys)


def state(of, tmp_path):
    """State the claims of a study, and return what its file says and the lines."""
    lines = state_claims(of, tmp_path / "published", tmp_path / "results")
    return yaml.safe_load((tmp_path / "results" / FILE).read_text())["stated"], lines


def test_a_stated_claim_stays_stated_and_knows_what_was_there(tmp_path):
    (tmp_path / "results/plain/ffg/T5/r0-2/t01").mkdir(parents=True)
    (tmp_path / "results/plain/ffg/T1/r0-8").mkdir(parents=True)  # no chain of the claim
    said, lines = state(study(), tmp_path)
    assert set(said) == {"good"}, "an exploratory claim cannot be stated any more"
    assert said["good"]["first"] == 3 and "evidence from replicate 3 on is new" in lines[0]
    again = study(stated=said)
    assert set(stated(again).current) == {"good"} and not stated(again).changed
    assert again.stated["good"].digest == statement_digest(again, "good")
    kept, lines = state(again, tmp_path)
    assert kept == said and "as it is" in lines[0]


def test_one_that_is_exploratory_now_keeps_its_statement(tmp_path):
    said, _ = state(study(), tmp_path)
    out = [("claims.good.status", "exploratory"), ("claims.later.status", "primary")]
    kept, lines = state(study(*out, stated=said), tmp_path)
    assert kept["good"] == said["good"] and set(kept) == {"good", "later"}
    assert lines[0].endswith("exploratory now")


@pytest.mark.parametrize(
    ("change", "void"),
    [
        (("claims.good.sentence", "Another."), True),
        (("claims.good.relation.by", 0.01), True),
        (("claims.good.level", 0.01), True),
        (("training", {"epochs": 9}), True),
        (("methods.ffg.objective", {"kl_scale": 0.5}), True),
        (("seed", 99), True),
        (("claims.good.place", "§2"), False),
        (("replicates", 50), False),
        (("title", "Another"), False),
        (("methods.ffg_grid.training", {"epochs": 9}), False),
        (("experiments.plain.outliers", {"turned": "rotated"}), False),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_what_a_claim_says_cannot_change_unseen(change, void, tmp_path):
    said, _ = state(study(), tmp_path)
    found = stated(study(change, stated=said))
    assert found.changed == (frozenset({"good"}) if void else frozenset())
    assert set(found.current) == (set() if void else {"good"})


@pytest.mark.parametrize(("setting", "void"), [(3, False), (4, True)])
@pytest.mark.parametrize("section", ["training", "objective", "evaluation"])
def test_a_key_that_a_later_release_adds_voids_nothing(
    section, setting, void, tmp_path, monkeypatch
):
    said, _ = state(study(), tmp_path)
    later, found = copy.deepcopy(study_schema()), statement.chain_settings
    later["properties"][section]["properties"]["later"] = {"type": "integer", "default": 3}

    def with_later(*chain):
        settings = found(*chain)
        return settings | {section: settings[section] | {"later": setting}}

    current = study(stated=said)
    monkeypatch.setattr(statement, "study_schema", lambda: later)
    monkeypatch.setattr(statement, "chain_settings", with_later)
    assert set(stated(current).current) == (set() if void else {"good"})


def test_a_changed_claim_is_stated_anew(tmp_path):
    said, _ = state(study(), tmp_path)
    (tmp_path / "results/plain/ft/T5/r0-4").mkdir(parents=True)
    other = study(("claims.good.relation.by", 0.01), stated=said)
    again, lines = state(other, tmp_path)
    assert again["good"]["digest"] != said["good"]["digest"] and again["good"]["first"] == 5
    assert "anew, as it has changed" in lines[0]


def test_nothing_to_state_and_an_unreadable_publication_are_said(tmp_path):
    with pytest.raises(StatementError, match="small has no primary claim to state"):
        state(resolve_study(changed(("claims", {}))), tmp_path)
    (tmp_path / "published").mkdir()
    (tmp_path / "published" / "metrics.csv").write_text("damaged")
    with pytest.raises(PublicationError, match="published"):
        state(study(), tmp_path)
