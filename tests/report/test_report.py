"""The report: its tables against numbers by hand, and the page in a real browser."""

import copy
import dataclasses
import hashlib
import re
import subprocess
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from made_provenance import COMMAND, made_provenance
from made_studies import (
    Shape,
    made_claims,
    made_context,
    made_frames,
    made_ledger,
    made_study,
)
from msgspec.structs import replace
from scipy import stats
from sealing import seal_scores, seal_training

from incbayes.claims.ledger import VERDICTS
from incbayes.core.seal import SealError, write_seal
from incbayes.figures.write import figure_numbers, write_figure
from incbayes.kinds import FIGURES
from incbayes.report import claims_table as ledger
from incbayes.report import html, methods, provenance, tables
from incbayes.report.advice import Advice
from incbayes.report.convergence import stage_ends
from incbayes.report.findings import against_paper
from incbayes.results.collect import Collected, CollectError, seal_records
from incbayes.results.records import records_digest
from incbayes.study.model import KindSpec

FULL = Shape(methods=3, experiments=1, parts=(1, 3), replicates=4, layers=1)
LONG = Shape(methods=14, experiments=1, parts=(1, 2), replicates=2, layers=1, name_length=160)
REDUCED = Shape(methods=1, experiments=1, parts=(1,), replicates=1, reduced=True, points_only=True)


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


def test_a_claim_in_words_and_numbers(tmp_path):
    context = made_context(FULL)
    rows = [ledger.ledger_row(e, context) for e in made_ledger(FULL, tmp_path).entries]
    near, behind, surer, early, absent = rows
    records = made_frames(FULL).records
    difference = values(records, "m0", 3, "accuracy") - values(records, "m2", 3, "accuracy")
    low, high = stats.ttest_1samp(difference, 0).confidence_interval()
    number = tables.number
    assert behind["effects"][1] == {
        "value": number(100 * difference.mean(), 2, True),
        "interval": f"[{number(100 * low, 2, True)}, {number(100 * high, 2, True)}] points",
        "difference": "Fine-tuning, T\xa0=\xa03 minus CFG, T\xa0=\xa03, KL\xa0×\xa00.1",
        "n": 4,
        "others": "",
    }
    assert behind["claimed"] == "claimed: below 0 (any difference counts)"
    assert behind["reported"] == [{"value": "98.50", "label": "FFG, T\xa0=\xa03, KL\xa0×\xa00.1"}]
    assert near["claimed"] == "claimed: between \u22122.00 and +2.00 (two standard errors)"
    assert near["effects"][0]["difference"].endswith("minus 97.00")
    assert near["measured"] == "Accuracy (%), Digits 0 in parts"
    assert near["source"] == "A paper (2018) & its <i>appendix</i>"
    assert surer["effects"][0]["interval"].endswith("] nats")
    assert "after part 1, on part 01" in early["effects"][0]["difference"]
    assert absent["effects"] == [] and absent["figure"] == "accuracy_by_parts"


def test_groups_of_two_experiments_are_named_with_them():
    context = made_context(Shape(methods=2, experiments=2))
    group = made_claims(FULL)["near_known"]["groups"][0]
    labels = ledger.labels([group, group | {"experiment": "e1"}], tables.METRICS["nll"], context)
    assert labels[0].startswith("Digits 0 in parts, FFG, T")
    assert labels[1].startswith("Digits 1 in parts, pretrained on the others, FFG")


def values(records: pd.DataFrame, method: str, parts: int, metric: str) -> np.ndarray:
    """Return the values over replicates of the first experiment, by hand."""
    chosen = records.query(
        "experiment == 'e0' and method == @method and T == @parts and t == @parts "
        "and split == 'test' and predictor == 'predictive' and metric == @metric"
    )
    return chosen.sort_values("replicate")["value"].to_numpy()


def half_width(sample: np.ndarray) -> float:
    """Return half of the 95 % t-interval."""
    return stats.t.ppf(0.975, len(sample) - 1) * sample.std(ddof=1) / np.sqrt(len(sample))


def test_the_summary_is_of_the_last_stage():
    records, context = made_frames(FULL).records, made_context(FULL)
    table = tables.summary_table(tables.summarise(records, context), "e0", "predictive", context)
    assert [row[:2] for row in table.rows[:3]] == [
        ["Fine-tuning", "1"], ["Fine-tuning", "3"], ["FFG", "1"],
    ]  # fmt: skip
    row = table.rows[3]
    accuracy, nll = values(records, "m1", 3, "accuracy"), values(records, "m1", 3, "nll")
    assert row == [
        "FFG", "3", "0.1 (tempered)", "4",
        f"{100 * accuracy.mean():.2f} ± {100 * half_width(accuracy):.2f}",
        f"{nll.mean():.4f} ± {half_width(nll):.4f}",
        *row[6:],
    ]  # fmt: skip
    mean = tables.summary_table(tables.summarise(records, context), "e0", "mean", context)
    assert {row[0] for row in mean.rows} == {"FFG", "CFG"}  # a point has one network


def test_methods_are_compared_in_pairs():
    records, context = made_frames(FULL).records, made_context(FULL)
    compared = tables.compare_methods(records, context)
    assert set(compared["baseline"]) == {"m0"} and "m0" not in set(compared["method"])
    row = compared.query("experiment == 'e0' and method == 'm2' and T == 3 and metric == 'nll'")
    difference = values(records, "m2", 3, "nll") - values(records, "m0", 3, "nll")
    np.testing.assert_allclose(row["mean"].item(), difference.mean())
    np.testing.assert_allclose(row["half_width"].item(), half_width(difference))
    assert row["n"].item() == 4


def test_only_complete_pairs_count():
    records, context = made_frames(FULL).records, made_context(FULL)
    records = records[(records["method"] != "m1") | (records["replicate"] != 2)]
    compared = tables.compare_methods(records, context)
    assert set(compared.query("method == 'm1'")["n"]) == {3}
    parts = tables.compare_parts(records, context)
    difference = np.delete(values(records, "m0", 3, "ece") - values(records, "m0", 1, "ece"), [])
    row = parts.query("experiment == 'e0' and method == 'm0' and T == 3 and metric == 'ece'")
    np.testing.assert_allclose(row["mean"].item(), difference.mean())
    assert set(parts["T"]) == {3}


def test_a_replicate_without_a_value_counts_in_no_mean_and_no_n():
    records, context = made_frames(FULL).records, made_context(FULL)
    whole = values(records, "m1", 3, "nll")
    lacking = (records["method"] == "m1") & (records["metric"] == "nll")
    without = {1: lacking & (records["replicate"] == 2), 4: lacking}
    shown = {}
    for number, rows in without.items():
        changed = records.assign(value=records["value"].mask(rows))
        summary = tables.summarise(changed, context)
        table = tables.summary_table(summary, "e0", "predictive", context)
        shown[number] = dict(zip(table.headings, table.rows[3], strict=True))
        assert shown[number]["n"] == "4"
    rest = np.delete(whole, 2)
    text = f"{rest.mean():.4f} ± {half_width(rest):.4f} (n = 3)"
    assert [shown[number]["NLL (nats)"] for number in without] == [text, "–"]


@pytest.mark.parametrize(
    ("sample", "metric", "expected"),
    [
        ([0.9, 0.8], "accuracy", "80.00, 90.00"),
        ([0.99, 0.98, 1.0], "accuracy", "99.00 [96.52, 100.00]"),
        ([0.5, 0.1, 0.9], "ece", "50.00 [0.00, 100.00]"),
        ([0.5, 0.52, 0.54], "accuracy", "52.00 ± 4.97"),
        ([0.1, 0.9, 0.2], "nll", "0.4000 [0.0000, 1.4828]"),
        ([0.25], "ece", "25.00"),
    ],
)
def test_an_interval_stays_in_the_range_of_its_metric(sample, metric, expected):
    chosen = made_frames(REDUCED).records.query("T == 1 and t == 1 and split == 'test'")
    row = chosen[chosen["metric"] == "accuracy"].iloc[:1]
    records = pd.concat(
        [row.assign(replicate=r, metric=metric, value=v) for r, v in enumerate(sample)]
    )
    context = made_context(REDUCED)
    table = tables.summary_table(tables.summarise(records, context), "e0", "predictive", context)
    assert table.rows[0][-1] == expected


def test_a_difference_stays_in_the_range_of_differences():
    records, context = made_frames(FULL).records, made_context(FULL)
    chosen = (records["metric"] == "accuracy") & (records["method"] == "m1")
    apart = records["replicate"].map({0: 0.0, 1: 1.0, 2: 0.0, 3: 1.0})
    records = records.assign(value=records["value"].mask(chosen, apart))
    compared = tables.compare_methods(records, context)
    table = tables.comparison_table(compared, "e0", context)
    cell = table.rows[0][table.headings.index("Accuracy (%)")]
    difference = np.array([0.0, 1.0, 0.0, 1.0]) - values(records, "m0", 1, "accuracy")
    assert difference.mean() - half_width(difference) < -1, "no accuracy is so much lower"
    high = 100 * (difference.mean() + half_width(difference))
    mean = 100 * difference.mean()
    assert cell == f"\u2212{-mean:.2f} [\u2212100.00, +{high:.2f}]"


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
    assert said.endswith("They leave 2 open, as there are too few of them; 1 was not run.")


def test_advice_is_at_the_head_of_the_page(tmp_path):
    line = "Digits: no better than a guess <b>. Try more `training.epochs`."
    records, study = made_frames(FULL).records, made_study(FULL)
    ends = stage_ends(made_frames(FULL).training, study)
    advice = [Advice("chance", "e0", line)]
    shown = html.Numbers(records, ends, [], TIMINGS, made_provenance(FULL), advice=advice)
    html.write_report(tmp_path / "page.html", study, shown)
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert page.index("no better than a guess &lt;b&gt;") < page.index("<nav")


def test_the_papers_differences_stand_beside_ours(tmp_path):
    made, context = made_ledger(FULL, tmp_path), made_context(FULL)
    assert against_paper(made, context) == [], "one value of a pair is no difference"
    entries = copy.deepcopy(list(made.entries))
    surer = entries[2]
    surer["groups"][0]["reported"], surer["groups"][1]["reported"] = 0.5, 0.3
    ((sentence, difference, paper, ours),) = against_paper(ledger.Ledger(entries, ""), context)
    assert sentence == "Fine-tuning predicts better than FFG."
    assert difference.startswith("Fine-tuning, T\xa0=\xa03 minus FFG")
    assert paper == "+0.2000 nats"
    found = values(made_frames(FULL).records, "m0", 3, "nll") - values(
        made_frames(FULL).records, "m1", 3, "nll"
    )
    assert ours.startswith(f"+{found.mean():.4f} [") and ours.endswith("] nats")


def test_tables_of_one_replicate_one_method_and_a_new_metric():
    records, context = made_frames(REDUCED).records, made_context(REDUCED)
    new = records[records["metric"] == "nll"].assign(metric="auroc", value=0.5)
    records = pd.concat([records, new], ignore_index=True)
    table = tables.summary_table(tables.summarise(records, context), "e0", "predictive", context)
    assert table.headings[-1] == "auroc" and table.rows[0][-1] == "0.5000"
    assert "±" not in " ".join(table.rows[0])
    assert table.rows[0][2] == "–"
    assert tables.comparison_table(tables.compare_methods(records, context), "e0", context) is None
    assert tables.parts_table(tables.compare_parts(records, context), "e0", context) is None


def test_a_method_that_is_scored_on_a_share_of_the_test_set_says_so():
    records, whole = made_frames(FULL).records, made_context(FULL)
    partly = dataclasses.replace(
        whole, scored_shares=whole.scored_shares | {("e0", "m1"): 0.1, ("e1", "m0"): 0.5}
    )
    summary = tables.summarise(records, whole)
    alike, apart = (tables.summary_table(summary, "e0", "predictive", c) for c in (whole, partly))
    assert "Test set" not in alike.headings
    place = apart.headings.index("Test set")
    label = whole.methods["m1"]
    assert {(row[0] == label, row[place]) for row in apart.rows} == {
        (True, "10 %"),
        (False, "100 %"),
    }
    without = [[*row[:place], *row[place + 1 :]] for row in apart.rows]
    assert without == list(alike.rows)


def test_numbers_have_a_true_minus():
    assert tables.number(-0.126, 2, signed=True) == "\u22120.13"
    assert tables.number(0.126, 2, signed=True) == "+0.13"
    assert tables.number(-0.001, 2) == "0.00" and tables.number(-0.001, 2, signed=True) == "+0.00"


def test_settings_in_words():
    spec = {"kind": "grid", "variances": [1e-3, 0.1], "exact": True, "limit": None}
    assert (
        methods.options(KindSpec.of(spec)) == "grid (variances [0.001, 0.1], exact yes, limit none)"
    )
    study = made_study(REDUCED)
    assert methods.overrides(study) == [("replicates", "1"), ("training.epochs", "12")]
    *_, objective, scoring = methods.describe_method(study, "e0", "m0")
    assert objective == "NLL alone: no KL"
    assert scoring.startswith("samples 100, ") and "test_images all" in scoring
    assert methods.replicates(study) == "1 replicate"
    more = replace(study.experiments["e0"], replicates=3)
    study = replace(study, experiments={**study.experiments, "more": more})
    assert methods.replicates(study) == "1 or 3 replicates"
    penalised = replace(study.methods["m0"], family=KindSpec("point", {"l2": 2.0}))
    study = replace(study, methods={**study.methods, "m0": penalised})
    assert "kl_scale 0.1 × the penalty of l2" in methods.describe_method(study, "e0", "m0")[-2]


def test_benchmarks_are_collected(tmp_path):
    header = "s\th:m:s\tmax_rss\tmax_vms\tmax_uss\tmax_pss\tio_in\tio_out\tmean_load\tcpu_time\n"
    job = tmp_path / "fit" / "digits" / "ffg.tsv"
    job.parent.mkdir(parents=True)
    job.write_text(header + "12.5\t0:00:12\t300.5\t1\t1\t1\t0\t0\t99\t12.1\n")
    (tmp_path / "plot.tsv").write_text(header + "0.1\t0:00:00\tNA\tNA\tNA\tNA\tNA\tNA\tNA\tNA\n")
    timings = provenance.collect_timings(tmp_path)
    assert timings[["rule", "job", "seconds"]].values.tolist() == [
        ["fit", "digits/ffg", 12.5], ["plot", "", 0.1],
    ]  # fmt: skip
    costs = provenance.rule_costs(timings).set_index("rule")
    assert costs.loc["fit", "max_rss_mb"] == 300.5 and np.isnan(costs.loc["plot", "max_rss_mb"])
    job.write_text("nothing of the kind\n")
    with pytest.raises(CollectError, match="ffg.tsv: not a Snakemake benchmark"):
        provenance.collect_timings(tmp_path)


def test_a_study_without_benchmarks_has_no_timings(tmp_path):
    assert provenance.collect_timings(tmp_path / "absent").empty


def test_runs_are_read_beside_their_posteriors(tmp_path):
    stage = tmp_path / "made/e0/m1/T3/r0-3/t02"
    stage.mkdir(parents=True)
    posterior = stage / "posterior.safetensors"
    posterior.write_bytes(b"weights")
    made = made_provenance(FULL)["runs"][0]
    names = {"study": "made", "experiment": "e0", "method": "m1", "family": "ffg", "T": 3, "t": 2}
    identity = names | {"replicates": [0, 1, 2, 3]}
    volatile = {key: made[key] for key in ("seconds", "device", "host", "torch", "threads")}
    seal = seal_training(stage, identity, volatile)
    scores = Collected(
        pd.DataFrame(), {"e0/m1/T3/r0-3/t02": seal_scores(stage, identity, seal, [])}
    )
    records = seal_records(tmp_path / "made/metrics.seal.json", "made", scores, [])
    images = tmp_path / "images"
    images.mkdir()
    splits = [images / f"{split}.safetensors" for split in ("train", "test")]
    for path in splits:
        path.write_text(path.name)
    facts = {"images": {"train": 2, "test": 1}}
    checksums = {"e0": images / "checksums.json"}
    code = provenance.Code(COMMAND, "c0de", tmp_path)
    arguments = (code, [posterior], checksums, records, {"files": 9})
    with pytest.raises(SealError, match="checksums.json: no such file"):
        provenance.collect_provenance(*arguments)
    write_seal(checksums["e0"], "images", {"data": "images"}, splits, facts=facts)
    found = provenance.collect_provenance(*arguments)
    assert found["runs"][0]["sha256"] == hashlib.sha256(b"weights").hexdigest()
    assert found["runs"][0]["records"] == records_digest([])
    said = {key: names[key] for key in names if key != "family"} | volatile | {"block": "r0-3"}
    assert found["runs"][0] | said == found["runs"][0]
    (source,) = found["sources"]
    assert (source["command"], source["chains"]) == (COMMAND, ["e0.m1.T3"])
    assert source["verified"] == {"files": 9}
    digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in splits]
    assert source["images"] == {"e0": dict(zip(("train", "test"), digests, strict=True))}
    assert {"python", "torch", "snakemake"} <= set(source["versions"])
    assert {"system", "processor", "cores"} <= set(source["hardware"])
    run = (stage / "run.json").read_text()
    (stage / "run.json").write_text(run.replace("60.0", "6.0"))
    with pytest.raises(SealError, match=r"run.json: its content does not match its own"):
        provenance.run_of(posterior, records)
    (stage / "run.json").write_text(run)
    posterior.write_bytes(b"Weights")
    with pytest.raises(SealError, match=r"posterior.safetensors: its checksum is"):
        provenance.run_of(posterior, records)
    seal_training(stage, identity, volatile)  # fitted again, and not scored
    with pytest.raises(SealError, match="its records of e0/m1/T3/r0-3/t02 are not of the post"):
        provenance.run_of(posterior, records)


def test_the_commit_of_a_clone_and_of_none(tmp_path):
    def git(*command):
        names = ("-c", "user.name=a", "-c", "user.email=a@example.org")
        subprocess.run(["git", "-C", str(tmp_path), *names, *command], check=True)

    assert provenance.git_commit(tmp_path) is None
    for name in ("code.py", "results/published/page.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("first")
    git("init", "-q")
    git("add", ".")
    git("commit", "-q", "-m", "first")
    commit = provenance.git_commit(tmp_path)
    assert re.fullmatch("[0-9a-f]{40}", commit)
    (tmp_path / "results/published/page.md").write_text("made again")
    (tmp_path / "notes.txt").write_text("not in git")
    assert provenance.git_commit(tmp_path) == commit
    (tmp_path / "code.py").write_text("changed")
    assert provenance.git_commit(tmp_path) == f"{commit}-dirty"
