"""Figures: their marks, bytes, colours and captions, and that nothing in them covers anything."""

import html
import itertools
import re
import subprocess
import sys
import textwrap
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import pytest
from drawn_boxes import assert_words_are_apart, boxes_of, overlap, shown_texts
from drawn_figures import SHAPES, draw, frames_of
from made_studies import Shape, made_context, made_study
from matplotlib.axes import Axes
from matplotlib.legend import Legend
from matplotlib.text import Text

from incbayes.figures import kl_and_scale, style, texts
from incbayes.figures.context import context_of, shortened
from incbayes.figures.scales import choose_scale, view_limits
from incbayes.figures.write import describe_figure, draw_figure, figure_numbers, write_figure
from incbayes.kinds import FIGURES
from incbayes.orchestration import code_digest
from incbayes.orchestration.captions import caption_of, write_captions
from incbayes.orchestration.code_digest import CodeError
from incbayes.results.collect import collect_calibration, collect_records, collect_training
from incbayes.results.frames import Frames

EMPTY = Frames(collect_records([]).frame, collect_training([]).frame, collect_calibration([]).frame)
CAPTIONS = Path(__file__).parents[2] / "workflow" / "report"


@pytest.mark.parametrize("shape", [shape for shape in SHAPES if shape != "small"])
@pytest.mark.parametrize("name", FIGURES)
def test_nothing_covers_anything(name, shape):
    figure, _ = draw(name, shape)
    boxes = boxes_of(figure)
    assert_words_are_apart(figure, boxes)
    plots = [ax.get_window_extent() for ax in boxes.axes if ax.axison]
    for first, second in itertools.combinations(plots, 2):
        assert not overlap(first, second)
    beside = [(text, box) for text, box in boxes.texts.items() if text.get_gid() != "cell"]
    for (text, box), plot in itertools.product(beside, plots):
        assert not overlap(box, plot), f"{text.get_text()!r} lies on the data"
    for legend, plot in itertools.product(figure.findobj(Legend), plots):
        assert not overlap(legend.get_window_extent(), plot)


@pytest.mark.parametrize("name", FIGURES)
def test_files_their_marks_and_their_bytes(name, tmp_path):
    context = made_context(SHAPES["small"])
    before = dict(matplotlib.rcParams)
    numbers = figure_numbers(name, frames_of("small"), context)
    file = write_figure(name, numbers, context, tmp_path)
    assert dict(matplotlib.rcParams) == before
    assert file == describe_figure(name, tmp_path)
    assert file.png.read_bytes().startswith(b"\x89PNG")
    assert file.pdf.read_bytes().startswith(b"%PDF")
    text = " ".join(" ".join(ElementTree.parse(file.svg).getroot().itertext()).split())
    assert FIGURES[name].title in text and context.title in text
    assert "reduced budget: quick" in text
    assert "KL × 0.1 in every method that has a KL term" in text
    columns = pd.read_csv(file.csv).columns
    assert {"experiment", "method", "label"} <= set(columns)
    again = write_figure(name, numbers, context, tmp_path / "again")
    for kind in ("svg", "png", "pdf", "csv"):
        assert getattr(file, kind).read_bytes() == getattr(again, kind).read_bytes(), kind


@pytest.mark.parametrize("name", FIGURES)
def test_a_full_budget_carries_no_mark(name):
    assert all("reduced" not in text.get_text() for text in shown_texts(draw(name, "usual")[0]))


@pytest.mark.parametrize("name", FIGURES)
def test_without_results_a_figure_says_so(name):
    with style.theme():
        data = figure_numbers(name, EMPTY, made_context(SHAPES["usual"]))
        figure = draw_figure(name, data, made_context(SHAPES["usual"]))
    assert data.empty and {"experiment", "method"} <= set(data.columns)
    said = " ".join(" ".join(text.get_text() for text in figure.findobj(Text)).split())
    assert FIGURES[name].lacking(data, made_context(SHAPES["usual"])) in said
    assert re.search("No |no ", said)


@pytest.mark.parametrize("name", ["stages", "accuracy_by_parts", "training"])
def test_results_of_another_study_are_refused(name):
    with pytest.raises(ValueError, match="'e1' has results but study"):
        figure_numbers(name, frames_of("usual"), made_context(SHAPES["least"]))


def test_axes_hold_values_and_are_not_ruled_by_wide_intervals():
    low, high = view_limits([98.0, 98.5], [60.0, np.nan], [130.0, np.nan], bounds=(0, 100))
    assert 97 < low < 98 and 98.5 < high < 100
    low, high = view_limits([99.9, 100.0], bounds=(0, 100))
    assert low < 99.9 and 100 < high < 100.01
    low, high = view_limits([1e-3, 10], [np.nan, -1], [np.nan, 20], scale="log")
    assert 0 < low < 1e-3 and high > 20
    assert choose_scale([1, 30]) == "log" and choose_scale([-1, 30]) == "linear"


def test_the_context_of_a_study():
    shape = SHAPES["usual"]
    assert context_of(made_study(shape)) == made_context(shape)


def test_tempering_names_what_differs():
    context = made_context(Shape(methods=3, experiments=2, kl_scale=1.0))
    assert context.tempering == ""
    one = {**context.kl_scales, ("e0", "m1"): 0.05}
    for scales, end in (
        (one, "KL × 0.05 for FFG (Digits 0 in parts)."),
        (one | {("e1", "m1"): 0.05}, "KL × 0.05 for FFG."),
    ):
        mixed = type(context)(**{**vars(context), "kl_scales": scales})
        assert mixed.tempering.endswith(end)


def test_stages_of_fewer_draws_than_the_last_are_told_apart():
    shape = SHAPES["usual"]
    scoring = {"samples": 100, "earlier_samples": 10, "calibration_bins": 10}
    context = context_of(made_study(shape, evaluation=scoring))
    assert context.draws == {"e0": (10, 100), "e1": (10, 100)}
    assert "with 10 draws of the weights, the last with 100. The more" in context.draws_apart
    some = replace(context, draws={"e0": (10, 100)}).draws_apart
    assert "the last with 100 (Digits 0 in parts). The more" in some
    for name in ("stages", "forgetting"):
        data = figure_numbers(name, frames_of("usual"), context)
        with style.theme():
            figure = draw_figure(name, data, context)
        said = " ".join(text.get_text() for band in figure.subfigs for text in band.texts)
        assert context.draws_apart in " ".join(said.split())
    for other in (
        made_study(shape, evaluation=scoring | {"earlier_samples": 100}),
        made_study(shape, evaluation=scoring | {"earlier_samples": None}),
        made_study(replace(shape, points_only=True), evaluation=scoring),
        made_study(replace(shape, parts=(1,)), evaluation=scoring),
    ):
        assert context_of(other).draws_apart == ""


def test_methods_scored_on_other_images_are_named_and_their_legend_spans_both():
    context = made_context(SHAPES["usual"])
    frames = frames_of("usual")
    shares = {chain: 0.1 if chain == ("e0", "m1") else 1.0 for chain in context.scored_shares}
    apart = replace(context, scored_shares=shares)
    fewer = frames.calibration["method"].eq("m1") & frames.calibration["experiment"].eq("e0")
    counts = frames.calibration["count"]
    bins = frames.calibration.assign(count=counts.mask(fewer, counts // 10))
    bins = bins[~(bins["method"].eq("m2") & bins["replicate"].eq(3))]
    for name in ("accuracy_by_parts", "reliability"):
        said = {}
        for which, calibration in ((context, frames.calibration), (apart, bins)):
            data = figure_numbers(name, Frames(frames.records, frames.training, calibration), which)
            with style.theme():
                figure = draw_figure(name, data, which)
            words = (text.get_text() for text in figure.findobj(Text))
            said[which is apart] = " ".join(" ".join(words).split())
        note = "Scored on fewer of the test images than others of the experiment: 10 % for FFG (Di"
        assert note in said[True] and "Scored on fewer" not in said[False]
    assert "(10 000 images × 4)" in said[False]
    assert re.search("\\(99[0-9]\u201310 000 images × 3\u20134\\)", said[True])
    assert context.scored_apart(data) == ""


MACHADO = {
    "none": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
"""Machado et al. (2009), severity 1, on linear sRGB."""


def linear(colour: str) -> np.ndarray:
    """Return linear RGB of a hexadecimal colour."""
    rgb = np.array(matplotlib.colors.to_rgb(colour))
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def lab(rgb: np.ndarray) -> np.ndarray:
    """Return CIE L*a*b* (D65) of linear RGB."""
    to_xyz = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    xyz = np.array(to_xyz) @ np.clip(rgb, 0, 1) / [0.9505, 1, 1.089]
    x, y, z = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("sight", MACHADO)
def test_colours_differ_to_every_eye(sight):
    seen = [lab(np.array(MACHADO[sight]) @ linear(colour)) for colour in style.PALETTE]
    assert min(np.linalg.norm(a - b) for a, b in itertools.combinations(seen, 2)) > 13
    dozen = itertools.combinations(seen[:12], 2)
    assert min(np.linalg.norm(a - b) for a, b in dozen) > 15


def test_colours_stand_out_from_white():
    for colour in style.PALETTE:
        luminance = linear(colour) @ [0.2126, 0.7152, 0.0722]
        assert 1.05 / (luminance + 0.05) > 2.4


def test_looks_repeat_only_after_every_colour_with_every_dash_and_mark():
    names = {f"m{place}": f"M {place}" for place in range(84)}
    context = replace(made_context(SHAPES["usual"]), methods=names)
    lines = [str(style.line_look(name, context)) for name in names]
    marks = [(style.colour(name, context), style.marker(name, context)) for name in names]
    assert [len(set(looks)) for looks in (lines, marks)] == [84, 84]


@pytest.mark.parametrize("name", ["stages", "training"])
def test_a_figure_of_many_methods_is_taller(name):
    heights = {
        shape: max(ax.get_window_extent().height for ax in draw(name, shape)[0].findobj(Axes))
        for shape in ("usual", "crowd")
    }
    assert heights["crowd"] > 1.2 * heights["usual"]


def test_long_names_are_shortened_apart_and_the_figure_says_so():
    long = "/a/path/that/has/no/blanks/and/never/ends/" * 3
    names = {"a": f"{long}1", "b": f"{long}2", "c": "short", "d": "word " * 40, "e": "x" * 99}
    names |= {"f": "x" * 99}
    short = shortened(names, 54)
    assert all(len(name) <= 54 for name in short.values()) and short["c"] == "short"
    assert len(set(short.values())) == len(names)
    assert short["a"].endswith("1") and "[e]" in short["e"]
    assert shortened({"c": "short"}, 54) == {"c": "short"}
    said = {
        shape: [text.get_text() for text in shown_texts(draw("stages", shape)[0])]
        for shape in ("usual", "long names")
    }
    sentence = made_context(SHAPES["long names"]).shortening
    assert sentence in said["long names"] and sentence not in said["usual"]


def test_text_is_cut_where_it_is_too_wide():
    lines = texts.cut("a few words and averyveryverylongwordthatisnone", 1.0, 9)
    assert "".join(lines).replace(" ", "") == "afewwordsandaveryveryverylongwordthatisnone"
    assert all(0 < texts.width(line, 9) <= 1.0 for line in lines)
    assert "T\u00a0=\u00a02" in texts.cut("digits in parts, T\u00a0=\u00a02", 0.7, 9)
    assert texts.cut("", 1.0, 9) == [""] and texts.cut("数", 0.001, 9) == ["数"]
    assert texts.width("word", 9, bold=True) > texts.width("word", 9) > texts.width("wor", 9)


@pytest.mark.parametrize("name", FIGURES)
def test_the_caption_of_snakemakes_report_is_the_figures(name):
    assert caption_of(name) == FIGURES[name].caption


def test_a_figure_without_a_caption_in_words_is_named(tmp_path, monkeypatch):
    path = tmp_path / "figures" / "stages.py"
    path.parent.mkdir()
    path.write_text("FIGURE = StudyFigure(title='T', caption=words())\n")
    monkeypatch.setattr(code_digest, "ROOT", tmp_path)
    with pytest.raises(CodeError, match=rf"^{re.escape(str(path))}: FIGURE has no caption="):
        caption_of("stages")


OTHER_CAPTIONS = sorted({path.stem for path in CAPTIONS.glob("*.rst")} - {"figure"})


@pytest.fixture(scope="module")
def figure_captions(tmp_path_factory):
    folder = tmp_path_factory.mktemp("captions")
    written = write_captions(CAPTIONS / "figure.rst", folder)
    before = {name: path.stat().st_mtime_ns for name, path in written.items()}
    again = write_captions(CAPTIONS / "figure.rst", folder)
    assert before == {name: path.stat().st_mtime_ns for name, path in again.items()}
    return written


@pytest.mark.parametrize(
    "name",
    [*FIGURES, *sorted(path.stem for path in CAPTIONS.glob("*.rst") if path.stem != "figure")],
)
@pytest.mark.parametrize("reduced", [False, True])
def test_captions_are_valid(name, reduced, figure_captions):
    path = figure_captions.get(name, CAPTIONS / f"{name}.rst")
    docutils = pytest.importorskip("docutils.core", reason="docutils comes with Snakemake")
    jinja2 = pytest.importorskip("jinja2")
    template = jinja2.Template(path.read_text(encoding="utf-8"), undefined=jinja2.StrictUndefined)
    config = {"reduced": reduced, "caption": {"title": "Made", "budget": "quick"}}
    text = template.render(snakemake=type("Snakemake", (), {"config": config}))
    settings = {"halt_level": 2, "report_level": 2}
    page = docutils.publish_string(text, writer="html5", settings_overrides=settings)
    if name in FIGURES:
        shown = " ".join(re.sub("<[^>]*>", "", page.decode()).split())
        assert FIGURES[name].caption in html.unescape(shown)
    if name in (*FIGURES, "workflow"):
        assert ("Reduced budget" in text) == reduced


def test_figures_need_no_torch_and_their_names_nothing():
    code = """
        import sys
        from incbayes.kinds import FIGURES
        from incbayes.figures.context import (context_of,)
        assert not {"pandas", "matplotlib", "torch"} & set(sys.modules)
        [FIGURES[name] for name in FIGURES]
        import incbayes.results.collect, incbayes.report.html
        assert "torch" not in sys.modules
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True)


def test_layers_stand_in_the_order_of_their_numbers():
    names = ["3", "10", "1", kl_and_scale.WHOLE, "body.2", "body.10"]
    ordered = [kl_and_scale.WHOLE, "1", "3", "10", "body.2", "body.10"]
    assert kl_and_scale._in_order(names + names) == ordered
