"""The picture of a ledger: every claim, its numbers and its verdict, readable without colour."""

import xml.etree.ElementTree as ElementTree

import numpy as np
import pandas as pd
import pytest
from made_studies import Shape, made_claims, made_context, made_frames

from incbayes.claims.ledger import EXPLORATORY, VERDICTS, judge
from incbayes.figures.claims import LOOKS, claim_numbers, write_claims_figure
from incbayes.study.model import claims_of_plain

SHAPE = Shape(methods=3, experiments=2, parts=(1, 3), replicates=4, layers=1)


@pytest.fixture(scope="module")
def entries():
    """The entries of the made claims, one of which is exploratory."""
    claims = made_claims(SHAPE)
    claims["later"] = claims["surer"] | {"status": "exploratory", "sentence": "Added $later$."}
    return judge(claims_of_plain(claims), made_frames(SHAPE).records, reduced=False)


@pytest.fixture(scope="module")
def drawn(entries, tmp_path_factory):
    return write_claims_figure(entries, made_context(SHAPE), tmp_path_factory.mktemp("f"), ["svg"])


def words(svg):
    root = ElementTree.fromstring(svg.read_text(encoding="utf-8"))
    return [node.text.strip() for node in root.iter() if node.tag.endswith("text") and node.text]


def test_every_claim_has_its_row_with_verdict_and_numbers(entries, drawn):
    shown = " ".join(words(drawn.svg))
    for entry in entries:
        for word in entry["sentence"].split():
            assert word in shown
        assert entry["verdict"] in shown
    assert {entry["verdict"] for entry in entries} == {*VERDICTS, EXPLORATORY}
    numbers = pd.read_csv(drawn.csv)
    for _, row in numbers.dropna(subset="effect").iterrows():
        effect = f"{row['effect']:+.{int(row['decimals'])}f}".replace("-", "−")
        assert f"{effect} [" in shown


def test_numbers_are_those_of_the_ledger_in_the_unit_of_reports(entries):
    numbers = claim_numbers(entries, made_context(SHAPE))
    behind = numbers[numbers["claim"] == "falls_behind"]
    (entry,) = (e for e in entries if e["claim"] == "falls_behind")
    found = [100 * c["evidence"]["effect"] for c in entry["comparisons"]]
    np.testing.assert_allclose(behind["effect"], found)
    assert behind["region_low"].isna().all() and (behind["region_high"] == 0).all()
    absent = numbers[numbers["claim"] == "absent"]
    assert len(absent) == 1 and absent["effect"].isna().all() and (absent["n"] == 0).all()


def test_exploratory_claims_stand_last_and_apart(drawn):
    shown = words(drawn.svg)
    lead = [place for place, text in enumerate(shown) if text.startswith("Exploratory, no verdict")]
    assert len(lead) == 1
    assert [text for text in shown if text == "Added $later$."], "dollar signs are no formula"


def test_verdicts_differ_in_more_than_colour():
    looks = {(look["marker"], look["markerfacecolor"] == "white") for look in LOOKS.values()}
    assert len(looks) == len(LOOKS)


def test_equal_ledgers_give_equal_pictures(entries, drawn, tmp_path):
    again = write_claims_figure(entries, made_context(SHAPE), tmp_path, ["svg"])
    assert again.svg.read_bytes() == drawn.svg.read_bytes()
    assert again.csv.read_bytes() == drawn.csv.read_bytes()


def test_wide_and_missing_intervals_are_drawn(tmp_path):
    claims = {
        name: claim
        | {"relation": claim["relation"] | ({"by": 1e-4} if "by" in claim["relation"] else {})}
        for name, claim in made_claims(SHAPE).items()
    }
    records = made_frames(SHAPE).records.query("replicate < 2")
    found = judge(claims_of_plain(claims), records, reduced=True)
    shown = words(write_claims_figure(found, made_context(SHAPE), tmp_path, ["svg"]).svg)
    assert any("powers of ten" in text for text in shown)
