"""The page of a report: what it says and, in a real browser, what is seen of it."""

import io
import re
from html.parser import HTMLParser
from urllib.parse import unquote

import numpy as np
import pandas as pd
import pytest
from made_provenance import made_provenance
from made_studies import (
    FULL,
    REDUCED,
    Shape,
    made_claims,
    made_context,
    made_frames,
    made_ledger,
    made_study,
)

from incbayes.claims.ledger import VERDICTS
from incbayes.figures.write import figure_numbers, write_figure
from incbayes.kinds import FIGURES
from incbayes.report import html, provenance
from incbayes.report.advice import Advice
from incbayes.report.convergence import stage_ends

LONG = Shape(methods=14, experiments=1, parts=(1, 2), replicates=2, layers=1, name_length=160)


TIMINGS = pd.DataFrame(
    [
        ["fit", "a", 61.0, 60.0, 512.0],
        ["fit", "b", 59.0, 58.0, np.nan],
        ["plot", "", 2.0, 1, np.nan],
    ],
    columns=provenance.TIMING_COLUMNS,
)


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Return the pages of a full, a reduced and a wordy study, with their figures beside them.

    All have a ledger; `plain` is the full one without.
    """
    pages = {}
    for name, shape in (("full", FULL), ("reduced", REDUCED), ("long", LONG)):
        folder = tmp_path_factory.mktemp(name)
        frames, context = made_frames(shape), made_context(shape)
        figures = [
            write_figure(f, figure_numbers(f, frames, context), context, folder / "figures")
            for f in FIGURES
        ]
        pages[name] = folder / "report.html"
        ends = stage_ends(frames.training, made_study(shape))
        arguments = (frames.records, ends, figures, TIMINGS, made_provenance(shape))
        html.write_report(folder / "plain.html", made_study(shape), html.Numbers(*arguments))
        arguments = (*arguments, made_ledger(shape, folder))
        html.write_report(pages[name], made_study(shape), html.Numbers(*arguments))
        again = folder / "again.html"
        html.write_report(again, made_study(shape), html.Numbers(*arguments))
        assert again.read_bytes() == pages[name].read_bytes()
    return pages | {"plain": pages["full"].with_name("plain.html")}


@pytest.mark.parametrize(
    ("name", "width", "scheme"),
    [
        ("full", 1280, "light"),
        ("full", 400, "dark"),
        ("reduced", 1280, "dark"),
        ("reduced", 400, "light"),
        ("long", 1280, "light"),
        ("long", 400, "light"),
    ],
)
def test_the_page_in_a_browser(browser, pages, name, width, scheme):
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    console, requests = [], []
    page.on("console", lambda message: console.append(message.text))
    page.on("pageerror", lambda error: console.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(pages[name].as_uri())
    assert console == []
    assert [url for url in requests if not url.startswith("data:")] == [pages[name].as_uri()]
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    images = page.locator("img")
    assert images.count() + page.locator(".left-out").count() == len(FIGURES)
    for image in images.all():
        assert image.is_visible()
        assert image.evaluate("i => i.complete && i.naturalWidth > 0 && i.naturalHeight > 0")
        box = image.bounding_box()
        assert box["width"] > 300 and box["height"] > 50
    for row in page.locator("tbody th").all():
        if row.is_visible():  # not within what is folded up
            assert row.bounding_box()["width"] > 40, (
                "a name is not squeezed into a column of letters"
            )
    for link in page.locator("nav a").all():
        assert page.locator(link.get_attribute("href")).is_visible()
    page.close()


class Outline(HTMLParser):
    """Collects the headings, the links, the images and the cells of a page."""

    def __init__(self, content: str):
        super().__init__()
        self.headings, self.links, self.images, self.cells, self.ids = [], [], [], [], []
        self.language = None
        self.feed(content)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if re.fullmatch(r"h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if tag == "html":
            self.language = attributes.get("lang")
        if tag == "th":
            self.cells.append(attributes.get("scope"))
        if tag == "img":
            self.images.append(attributes)
        self.ids += [attributes["id"]] if "id" in attributes else []
        self.links += [attributes[key] for key in ("href", "src") if key in attributes]


@pytest.mark.parametrize("name", ["full", "reduced"])
def test_the_page_is_self_contained_and_accessible(pages, name):
    outline = Outline(pages[name].read_text(encoding="utf-8"))
    assert outline.language == "en"
    assert outline.headings[0] == 1 and outline.headings.count(1) == 1
    assert all(b - a <= 1 for a, b in zip(outline.headings, outline.headings[1:], strict=False))
    assert all(len(image["alt"]) > 20 for image in outline.images)
    assert all(image["src"].startswith("data:image/svg+xml;base64,") for image in outline.images)
    assert set(outline.cells) == {"col", "row"}
    assert len(outline.ids) == len(set(outline.ids))
    for link in outline.links:
        assert re.match(r"data:|#|figures/[a-z_]+\.(csv|pdf|png|svg)$", link), link
        if link.startswith("#"):
            assert link[1:] in outline.ids
        elif not link.startswith("data:"):
            assert (pages[name].parent / link).is_file()


def test_the_page_says_what_it_must(pages):
    page = pages["full"].read_text(encoding="utf-8")
    assert "Made numbers &lt;b&gt;that&lt;/b&gt; measure nothing &amp; only" in page
    assert "Reduced budget" not in page and "(reduced)" not in page
    assert "KL × 0.1 in every method that has a KL term" in page
    assert "snakemake --cores all --configfile &#39;studies/made.yaml&#39;" in page
    assert "c0de" * 16 in page and "calibration_bins: 10" in page
    for run in made_provenance(FULL)["runs"]:
        assert run["sha256"] in page
    for name in FIGURES:
        assert f"incbayes.figures.{name}</code>" in page
    assert "2 min 00 s" in page  # two jobs of rule fit
    assert "15.0" in page  # seconds a stage and replicate


def test_the_page_of_a_reduced_budget_says_so(pages):
    page = pages["reduced"].read_text(encoding="utf-8")
    assert "Reduced budget: quick." in page
    assert "<code>training.epochs</code> = 12" in page
    assert "(reduced budget: quick)</title>" in page
    assert "<code>quick</code> (reduced)" in page
    assert "Tempered" not in page


def test_the_page_opens_with_the_ledger(pages):
    page = pages["full"].read_text(encoding="utf-8")
    assert page.index('id="claims"') < page.index('id="about"')
    assert "5 primary claims: 1 supported, 1 contradicted, 2 inconclusive, 1 not run." in page
    for name, claim in made_claims(FULL).items():
        assert f'id="claim-{name}"' in page and claim["sentence"] in page
    for verdict in VERDICTS:
        assert f">{verdict}</span>" in page
    assert "A paper (2018) &amp; its &lt;i&gt;appendix&lt;/i&gt;, §3, Figure 1" in page
    assert '<a href="#stages">' in page and re.search(r"\d+ replicates would decide it", page)
    assert "no accuracy of e0 m1 T=6 t=6 among the records" in page
    assert "reduced budget" not in page


def test_a_ledger_of_a_reduced_budget_says_so_on_the_page(pages):
    page = pages["reduced"].read_text(encoding="utf-8")
    assert "1 primary claim: 1 not run." in page
    assert "None of them was judged on the full study" in page
    assert page.count("<small>reduced budget: quick</small>") == 1


def test_without_claims_the_page_is_the_same_but_for_the_ledger(pages):
    page = pages["full"].read_text(encoding="utf-8")
    section = re.compile(
        r'<section id="claims".*?</section>\n\n|<p class="found">.*?</p>\n', re.DOTALL
    )
    without = section.sub("", page).replace(
        '<li><a href="#claims">Claims and their verdicts</a></li>\n', ""
    )
    assert without == pages["plain"].read_text(encoding="utf-8")
    words = without.replace("\nclaims: {}\n", "\n")  # the study as it was run has the key
    assert "laims" not in re.sub("<style>.*</style>", "", words, flags=re.DOTALL)


def test_the_variants_of_a_table_are_behind_a_switch_and_rows_can_be_sorted(browser, pages):
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.goto(pages["full"].as_uri())
    variants = page.locator("#results .variant")
    assert variants.count() == 4
    assert [v.is_visible() for v in variants.all()] == [True, False, False, False]
    page.locator("#results .variants label").nth(2).click()
    assert [v.is_visible() for v in variants.all()] == [False, False, True, False]
    page.locator("#results .variants label").nth(0).click()
    table = variants.nth(0).locator("table")
    cells = table.locator("tbody td:nth-child(5)")
    place = table.locator("thead th button").nth(4)
    for factor in (1, -1):
        place.click()
        numbers = [factor * float(text.split()[0]) for text in cells.all_inner_texts()]
        assert len(numbers) == 6 and numbers == sorted(numbers)
    page.close()


def test_without_script_every_table_can_be_reached(browser, pages):
    page = browser.new_context(java_script_enabled=False).new_page()
    page.goto(pages["full"].as_uri())
    for place in range(4):
        page.locator("#results .variants label").nth(place).click()
        assert page.locator("#results .variant").nth(place).is_visible()
    page.close()


def test_a_narrow_page_says_where_it_scrolls(browser, pages):
    page = browser.new_page(viewport={"width": 400, "height": 900})
    page.goto(pages["full"].as_uri())
    hint = "a => getComputedStyle(a, '::before').content"
    assert "scroll sideways" in page.locator("#results .variant .scroll").first.evaluate(hint)
    page.set_viewport_size({"width": 1280, "height": 900})
    page.wait_for_function(
        "!document.querySelector('#results .variant .scroll').classList.contains('wide')"
    )
    page.close()


def test_the_page_opens_with_what_was_found(pages):
    page = pages["full"].read_text(encoding="utf-8")
    said = re.search(r'<p class="found">(.*?)</p>', page)[1]
    assert page.index('class="found"') < page.index("<nav")
    assert said.startswith("Of 5 claims the replicates support 1: “A method reaches 97 %”.")
    assert "They contradict 1: “Fine-tuning predicts better than FFG”." in said
    assert said.endswith("2 stay open; 1 was not run.")


def test_advice_is_at_the_head_of_the_page(tmp_path):
    line = "Digits: no better than a guess <b>. Try more `training.epochs`."
    records, study = made_frames(FULL).records, made_study(FULL)
    ends = stage_ends(made_frames(FULL).training, study)
    advice = [Advice("chance", "e0", line)]
    shown = html.Numbers(records, ends, [], TIMINGS, made_provenance(FULL), advice=advice)
    html.write_report(tmp_path / "page.html", study, shown)
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert page.index("no better than a guess &lt;b&gt;") < page.index("<nav")


def test_what_a_cost_counts_is_said_of_stages_and_of_rules(pages):
    page = " ".join(pages["full"].read_text(encoding="utf-8").split())
    of_rules, of_stages = re.findall("<caption><span>([^<]*wall time[^<]*)<", page, re.IGNORECASE)
    assert "ever run in this study&#39;s folder, of chains that are not on this" in of_rules
    assert "went on counts from its last start, and jobs may" in of_rules
    assert "up to the checkpoint that it went on from, and since; where an earlier" in of_stages


@pytest.mark.parametrize("file", ["summary_e0_predictive", "difference_e0", "parts_e0"])
def test_a_table_to_download_names_the_unit_of_its_values(pages, file):
    page = pages["full"].read_text(encoding="utf-8")
    (content,) = re.findall(f'"{file}.csv" href="data:text/csv;charset=utf-8,([^"]*)"', page)
    frame = pd.read_csv(io.StringIO(unquote(content)))
    units = frame.groupby("metric")["unit"].first()
    assert units[["accuracy", "ece", "nll"]].tolist() == ["fraction"] * 2 + ["nats per image"]
    assert frame.loc[frame["metric"] == "accuracy", "mean"].abs().max() <= 1


def test_the_page_says_of_how_many_draws_the_stages_are(tmp_path):
    frames = made_frames(FULL)
    scoring = {"samples": 100, "earlier_samples": 10, "calibration_bins": 10}
    for study, said in (
        (made_study(FULL), False),
        (made_study(FULL, evaluation=scoring), True),
    ):
        ends = stage_ends(frames.training, study)
        shown = html.Numbers(frames.records, ends, [], TIMINGS, made_provenance(FULL))
        html.write_report(tmp_path / "report.html", study, shown)
        page = (tmp_path / "report.html").read_text()
        assert ("Stages before the last are scored with 10 draws" in page) == said
