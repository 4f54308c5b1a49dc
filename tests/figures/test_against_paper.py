"""The paper's differences beside ours: numbers of the ledger, and a picture that has them all."""

import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from made_studies import Shape, made_claims, made_context, made_frames

from incbayes.claims.ledger import judge
from incbayes.figures.against_paper import (
    NOTHING,
    against_paper_file,
    paper_numbers,
    write_against_paper,
)
from incbayes.study.model import claims_of_plain

SHAPE = Shape(methods=3, experiments=2, parts=(1, 3), replicates=4, layers=1)
CONTEXT = made_context(SHAPE)


def entries(**changes):
    """Return the entries of the made claim that fine-tuning falls behind, changed."""
    claim = made_claims(SHAPE)["falls_behind"]
    groups = [group | {"reported": None} for group in claim["groups"]]
    claims = {"behind": claim | {"groups": groups} | changes}
    return judge(claims_of_plain(claims), made_frames(SHAPE).records, reduced=False)


def with_values(*reported):
    groups = made_claims(SHAPE)["falls_behind"]["groups"]
    pairs = zip(groups, reported, strict=True)
    return entries(groups=[group | {"reported": value} for group, value in pairs])


def words(svg):
    root = ElementTree.fromstring(svg.read_text(encoding="utf-8"))
    return [node.text.strip() for node in root.iter() if node.tag.endswith("text") and node.text]


def test_where_the_paper_prints_both_values_their_difference_stands_beside_ours():
    found = with_values(0.9, 0.95, 0.99)
    numbers = paper_numbers(found, CONTEXT)
    np.testing.assert_allclose(numbers["paper"], [-5, -9], atol=1e-9)
    effects = [100 * c["evidence"]["effect"] for c in found[0]["comparisons"]]
    np.testing.assert_allclose(numbers["effect"], effects)
    assert numbers[["region_low", "region_high"]].isna().all(axis=None)
    assert (numbers["n"] == 4).all() and set(numbers["unit"]) == {"points"}


def test_where_it_does_not_the_claimed_region_stands_there():
    numbers = paper_numbers(with_values(None, 0.95, 0.99), CONTEXT)
    assert numbers["paper"].isna().all()
    assert numbers["region_low"].isna().all() and (numbers["region_high"] == 0).all()
    later = entries(status="exploratory")
    assert paper_numbers(later, CONTEXT).empty, "no paper claims what was added later"
    assert paper_numbers(entries(paper=None), CONTEXT).empty, "nor what a study claims by itself"


def test_what_both_sides_share_is_said_once():
    first, second = paper_numbers(entries(), CONTEXT)["difference"]
    (a, b, c) = (CONTEXT.labels[g["method"]] for g in made_claims(SHAPE)["falls_behind"]["groups"])
    shared = "T\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}3"
    assert [first, second] == [f"{a} minus {b}, {shared}", f"{a} minus {c}, {shared}"]
    one = made_claims(SHAPE)["falls_behind"]["groups"][0]
    two = [one, one | {"T": 1, "t": 1}]
    claim = made_claims(SHAPE)["falls_behind"] | {"groups": two}
    found = judge(claims_of_plain({"x": claim}), made_frames(SHAPE).records, reduced=False)
    (said,) = paper_numbers(found, CONTEXT)["difference"]
    assert said == f"{a}, {shared} minus {a}, {shared.replace('3', '1')}"


@pytest.mark.parametrize("reported", [(0.9, 0.95, 0.99), (None, None, None)])
def test_the_picture_has_every_number(reported, tmp_path):
    drawn = write_against_paper(with_values(*reported), CONTEXT, tmp_path, ["svg"])
    shown = words(drawn.svg)
    numbers = paper_numbers(with_values(*reported), CONTEXT)
    papers = [text for text in shown if text.startswith(("paper: ", "claimed: "))]
    if reported[0] is None:
        assert papers == ["claimed: below 0"] * 2
    else:
        assert papers == [f"paper: {value:+.2f}".replace("-", "−") for value in numbers["paper"]]
    for effect in numbers["effect"]:
        start = f"here: {effect:+.2f} [".replace("-", "−")
        assert any(text.startswith(start) for text in shown)
    assert drawn.reason == "" == against_paper_file(tmp_path).reason
    again = write_against_paper(with_values(*reported), CONTEXT, tmp_path / "again", ["svg"])
    assert again.svg.read_bytes() == drawn.svg.read_bytes()


def test_of_claims_about_single_values_it_says_that_there_is_nothing(tmp_path):
    claim = made_claims(SHAPE)["falls_behind"]
    groups = [claim["groups"][0], {"constant": 0.5}]
    found = judge(
        claims_of_plain({"x": claim | {"groups": groups}}), made_frames(SHAPE).records, False
    )
    drawn = write_against_paper(found, CONTEXT, tmp_path, ["svg"])
    assert drawn.reason == NOTHING == against_paper_file(tmp_path).reason
    assert any(NOTHING.split()[0] in text for text in words(drawn.svg))
