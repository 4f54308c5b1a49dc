"""Words of a study that are markup elsewhere: every page shows them as they are, and runs none."""

import copy
import json
import re
from html.parser import HTMLParser

import pytest
from docutils.core import publish_parts
from hypothesis import given, settings
from hypothesis import strategies as st
from running import ROOT, TINY, run
from small_study import changed

from incbayes.report.escapes import for_markdown, for_rst, for_scripts, from_scripts
from incbayes.report.templates import FOLDER
from incbayes.study.model import plain_claims, plain_study
from incbayes.study.resolve import claims_of, resolve_study
from incbayes.study.yaml import StudyError, read_yaml

WORDS = (
    "</script><script>hit()</script><img src=x onerror=hit()><!-- `a <javascript:hit()>`_ |raw| "
    "{{ 7 * 7 }} {% raw %} **b** [c](javascript:hit()) & &lt; $\\frac{$ 'q' \"λ – ü\" http://a.org"
)
PLAIN = "Plain words"


def study_of(words):
    """Return a study of seconds in which all that may be said is said in these words."""
    study = copy.deepcopy(TINY)
    study |= {"study": "words", "title": words, "replicates": 1, "training": {"epochs": 1}}
    study["experiments"]["digits"] |= {"parts": [1], "title": words}
    for name, method in study["methods"].items():
        method["label"] = f"{words} ({name})"
    claim = study["claims"]["alike"]
    claim |= {"sentence": words, "paper": words, "place": words}
    claim["relation"]["reason"] = words
    for group in claim["groups"]:
        group["T"] = 1
    return study


class Page(HTMLParser):
    """The elements of a page in their order, its text, and what its scripts hold."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.scripts, self.text, self._within = [], {}, "", None
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, sorted(name for name, _ in attributes)))
        self._within = dict(attributes).get("id", tag) if tag == "script" else None

    def handle_endtag(self, tag):
        self._within = None

    def handle_data(self, data):
        if self._within:
            self.scripts[self._within] = self.scripts.get(self._within, "") + data
        else:
            self.text += data


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Return the pages of a real run with such words, and Snakemake's report of it without."""
    folder = tmp_path_factory.mktemp("words")
    study = study_of(WORDS)
    options = ["--config", f"title={WORDS}"]
    done = run(folder, study, "publish", "all", *options)
    assert done.returncode == 0, done.stdout
    for name, said in (("hostile", study), ("plain", study_of(PLAIN))):
        given = options if name == "hostile" else []
        done = run(folder, said, "--report", f"{name}.html", *given)
        assert done.returncode == 0 and "Report created" in done.stdout, done.stdout
    published = folder / "results/published/words"
    return {
        "snakemake": folder / "hostile.html",
        "plain": folder / "plain.html",
        "own": folder / "results/words/report.html",
        "published": published / "report.html",
        "markdown": published / "README.md",
    }


def test_snakemakes_report_has_the_elements_that_it_has_with_plain_words(pages):
    hostile, plain = (Page(pages[name].read_text("utf-8")) for name in ("snakemake", "plain"))
    assert hostile.tags == plain.tags
    assert hostile.scripts.keys() == plain.scripts.keys()
    description = json.loads(re.search(r"= (.*);", hostile.scripts["workflow-desc"])[1])
    shown = Page(description)
    assert WORDS in " ".join(shown.text.split())
    assert {tag for tag, _ in shown.tags} <= {"div", "p", "em", "tt", "span"}
    results = json.loads(re.search(r"= (.*);", hostile.scripts["results"])[1])
    assert "results/words/report.html" in results
    for result in results.values():
        assert {tag for tag, _ in Page(result["caption"]).tags} <= {
            "p",
            "em",
            "tt",
            "strong",
            "span",
        }


@pytest.mark.parametrize("name", ["own", "published"])
def test_the_studys_own_page_shows_the_words_and_runs_none_of_them(name, pages):
    page = Page(pages[name].read_text("utf-8"))
    own = (FOLDER / "report.js").read_text(encoding="utf-8")
    assert {key: text.strip() for key, text in page.scripts.items()} == {"script": own.strip()}
    assert [tag for tag, _ in page.tags].count("script") == 1
    assert page.text.count(WORDS) > 10
    sources = [names for tag, names in page.tags if tag == "img"]
    assert sources and all(names == ["alt", "src"] for names in sources)


@pytest.mark.parametrize("name", ["snakemake", "own", "published"])
def test_in_a_browser_nothing_of_the_words_is_run(name, pages, browser):
    page, dialogs, errors = browser.new_page(), [], []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.add_init_script("window.hits = 0; window.hit = () => { window.hits += 1; }")
    page.goto(pages[name].as_uri(), timeout=120_000)
    page.wait_for_timeout(500)
    assert page.evaluate("window.hits") == 0 and dialogs == [] and errors == []
    # innerText has several blanks as one.
    assert WORDS in re.sub(r"\s+", " ", page.evaluate("document.body.innerText"))
    assert page.locator("a[href^='javascript:hit']").count() == 0
    assert page.locator("img[src='x']").count() == 0
    for image in page.locator("img").all():
        assert image.evaluate("i => i.complete && i.naturalWidth > 0")
    page.close()


def test_the_published_page_has_the_words_only_as_text(pages):
    text = pages["markdown"].read_text("utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("snakemake ")]
    assert for_markdown(WORDS) in "\n".join(lines)
    # Advice has them cut, so that what is left of them is looked for as markup.
    left = re.sub(r"\\[^A-Za-z0-9\s]", "", "\n".join(lines).replace(for_markdown(WORDS), ""))
    assert not re.search(r"<[^>]*(script|img|onerror)|\]\([^)]*(javascript|hit)", left)


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1).filter(str.strip))
def test_any_text_comes_out_of_restructured_text_as_it_was(text):
    body = publish_parts(f"{for_rst(text)}: that.", writer_name="html")["html_body"]
    page = Page(body)
    assert page.text.strip() == f"{text}: that."
    assert [tag for tag, _ in page.tags] == ["div", "p"]


@settings(deadline=None)
@given(st.text())
def test_any_text_is_escaped_for_markdown_and_nothing_is_lost(text):
    escaped = for_markdown(text)
    assert not set(re.sub(r"\\.", "", escaped)) & set("\\|<>[]*_`~$&")
    assert re.sub(r"\\([^A-Za-z0-9\s])", r"\1", escaped) == " ".join(text.split())
    assert "\n" not in escaped


@settings(deadline=None)
@given(st.recursive(st.none() | st.booleans() | st.text() | st.floats(allow_nan=False), st.lists))
def test_any_value_comes_back_from_a_script(value):
    text = for_scripts(value)
    assert from_scripts(text) == value and not set("<>&") & set(text)


@pytest.mark.parametrize(
    "file", ["config.yaml", "studies/kochurov2018.yaml", "studies/wohlert2017.yaml"]
)
def test_studies_and_claims_come_back_from_a_script_as_they_were(file):
    study = resolve_study(read_yaml(ROOT / file))
    for value in (plain_study(study), plain_claims(claims_of(study))):
        assert json.dumps(from_scripts(for_scripts(value))) == json.dumps(value)
        assert from_scripts(for_scripts(value)) == value


@pytest.mark.parametrize("sign", ["\a", "\x1b[31m", "\x85", "\u2028", "\ufffe", "\t", "\n"])
def test_a_control_character_is_no_text(sign):
    with pytest.raises(StudyError, match="^title: found .* (control|with a) character"):
        resolve_study(changed(("title", f"Digits{sign} in parts")))
