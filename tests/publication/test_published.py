"""The page of a published study, and its ledger in the project's README."""

import dataclasses
import re

import pandas as pd
import pytest
from made_provenance import made_provenance
from made_studies import Shape, made_claims, made_context, made_frames, made_ledger, made_study

from incbayes.claims.ledger import VERDICTS
from incbayes.figures.claims import claims_file
from incbayes.figures.write import describe_figure
from incbayes.kinds import FIGURES
from incbayes.publication.page import BEGIN, END, published_page, with_ledgers
from incbayes.report.advice import Advice
from incbayes.report.html import Numbers
from incbayes.report.templates import environment

FULL = Shape(methods=3, experiments=2, parts=(1, 3), replicates=4, layers=1)
REDUCED = Shape(methods=1, experiments=1, parts=(1,), replicates=1, reduced=True, points_only=True)


def page_of(shape, folder, **changes):
    """Return the page of a made study, whose ledger is written in `folder`."""
    study = made_study(shape, **changes)
    figures = [describe_figure(name, folder / "figures") for name in FIGURES]
    ledger = dataclasses.replace(made_ledger(shape, folder), picture=claims_file(folder))
    return published_page(study, numbers_of(shape, figures, ledger))


def numbers_of(shape, figures, ledger, advice=()):
    """Return what a page shows of a made study."""
    frames, nothing = made_frames(shape), pd.DataFrame()
    provenance = made_provenance(shape)
    return Numbers(frames.records, nothing, figures, nothing, provenance, ledger, advice=advice)


def tables_of(page):
    """Return the cells of every table of a page in Markdown, its ruler left out."""
    blocks = re.findall(r"(?:^\|.*\|\n)+", page, flags=re.MULTILINE)
    split = re.compile(r"(?<!\\)\|")
    rows = [[split.split(line)[1:-1] for line in block.splitlines()] for block in blocks]
    return [[[cell.strip() for cell in row] for row in table[:1] + table[2:]] for table in rows]


@pytest.mark.parametrize("shape", [FULL, REDUCED], ids=["full", "reduced"])
def test_tables_are_whole_and_every_claim_has_its_row(shape, tmp_path):
    found = tables_of(page_of(shape, tmp_path))
    for table in found:
        assert len({len(row) for row in table}) == 1, table
    ledger = found[0]
    assert ledger[0] == ["claim", "verdict", "effect, 95 % interval", "paper", "shown in"]
    claims = made_claims(shape)
    assert [row[0] for row in ledger[1:]] == [claim["sentence"] for claim in claims.values()]
    results = [table for table in found[1:] if table[0][0] == "Method"]
    assert len(results) == shape.experiments * (2 if len(shape.parts) > 1 else 1)


def test_every_verdict_is_shown_with_its_effect_and_the_value_of_the_paper(tmp_path):
    _, *rows = tables_of(page_of(FULL, tmp_path))[0]
    shown = {re.match(r"\*\*(.+?)\*\*", row[1]).group(1) for row in rows}
    assert shown == set(VERDICTS)
    behind = next(row for row in rows if "falls behind" in row[0])
    *effects, claimed = behind[2].split("<br>")
    assert len(effects) == 2, "one line a comparison"
    effect = r"[+−]\d+\.\d\d \[.+, .+\] points: Fine-tuning.*minus [FC]FG.*; n = 4"
    assert all(re.fullmatch(effect, found.strip()) for found in effects)
    assert claimed.strip() == "claimed: below 0 (any difference counts)"
    assert behind[3].startswith("98.50 FFG")
    assert behind[4] == "[figure](figures/accuracy_by_parts.svg)"


def test_a_reduced_budget_is_said_first_and_in_the_ledger(tmp_path):
    page = page_of(REDUCED, tmp_path)
    assert page.index("**Reduced budget: quick.**") < page.index(BEGIN)
    assert "reduced budget `quick`" in page.partition(BEGIN)[2].partition(END)[0]
    assert "educed" not in page_of(FULL, tmp_path)


def test_what_did_not_run_is_named(tmp_path):
    titles = made_context(FULL).experiments
    assert f"not run: {titles['e1']}" in page_of(FULL, tmp_path, only=["e0"])
    in_part = page_of(FULL, tmp_path, only=["e0", "e1.m0"])
    assert re.search(rf"not run: {re.escape(titles['e1'])} \(.+\)\.", in_part)
    assert "not run:" not in page_of(FULL, tmp_path).partition(BEGIN)[0]


def test_a_figure_without_content_is_a_line_in_its_place(tmp_path):
    figure = describe_figure("stages", tmp_path)
    left_out = dataclasses.replace(figure, reason="Every experiment has one stage.")
    page = published_page(made_study(FULL), numbers_of(FULL, [left_out], None))
    assert "No figure here: Every experiment has one stage.\n" in page
    assert "stages.svg" not in page and figure.caption not in page
    template = environment(autoescape=True).from_string(
        '{% from "macros.html.j2" import figure %}{{ figure(item) }}'
    )
    left_out = template.render(item={"reason": "One & only."})
    assert "No figure here: One &amp; only." in left_out and "<img" not in left_out
    words = dict.fromkeys(("title", "alt", "caption", "module", "source"), "")
    assert "<img" in template.render(item={**words, "reason": "", "files": []})


def test_what_is_to_be_looked_after_stands_before_all_numbers():
    line = "MNIST: no better than a guess. Try a tenth of `objective.kl_scale`."
    found = [Advice("chance", "e0", line), Advice("narrow", "e0", "σ | has not moved.")]
    page = published_page(made_study(FULL), numbers_of(FULL, [], None, found))
    head, _, rest = page.partition("## ")
    said = line.replace("`", "").replace("kl_scale", r"kl\_scale")
    assert f"> **Look at this first.**\n>\n> - {said}\n> - σ \\| has not moved.\n" in head
    assert "Look at this" not in rest
    assert "Look at this" not in published_page(made_study(FULL), numbers_of(FULL, [], None))


def test_the_readme_takes_every_ledger_with_links_from_where_it_lies(tmp_path):
    for name, shape in (("a", FULL), ("b", REDUCED)):
        folder = tmp_path / "results" / "published" / name
        folder.mkdir(parents=True)
        (folder / "README.md").write_text(page_of(shape, folder), encoding="utf-8")
    readme = with_ledgers(f"before\n{BEGIN}\nold\n{END}\nafter\n", tmp_path)
    assert readme.startswith("before\n") and readme.endswith("after\n") and "old" not in readme
    assert with_ledgers(readme, tmp_path) == readme
    assert tables_of(readme) == [], "the table is on the page of the study"
    assert "5 primary claims: 1 supported, 1 contradicted, 2 inconclusive, 1 not run." in readme
    assert "1 primary claim: 1 not run. All at the reduced budget `quick`." in readme
    assert "- **" not in readme, "sentences are on the page of the study"
    for name in "ab":
        assert f"](results/published/{name}/README.md)" in readme
        assert f"](results/published/{name}/figures/claims.svg)" in readme
    assert "](figures/" not in readme


def test_a_readme_without_marks_stays_as_it_is(tmp_path):
    assert with_ledgers("no marks\n", tmp_path) == "no marks\n"
