"""The posterior before a part is of the same classes, columns and decoding, or it is refused."""

from pathlib import Path

import pytest
from refusals import refusal
from stream_images import CLASSES, SHAPE, images, put
from tiny_chain import SETTINGS, SILENT

from incbayes.core.seal import Seal, SealError, any_seal
from incbayes.jobs.fit import Lineage, StageOutputs
from incbayes.jobs.meaning import check_inputs
from incbayes.jobs.part import PartRequest, run_part
from incbayes.jobs.part_data import prepare_part
from incbayes.jobs.request import Machine
from incbayes.jobs.sources import SourceFiles
from incbayes.posterior.file import PosteriorError
from incbayes.study.datasets import data_name
from incbayes.study.model import KindSpec
from incbayes.study.stream_seals import other_data, stated_data

SPEC = {
    "kind": "image_stream",
    "source": "photos",
    "shape": SHAPE,
    "classes": CLASSES,
    "held_out": 0.0,
    "largest_part": 1000,
    "resize": "crop",
    "convert": "refuse",
    "background": 255,
    "without": [],
}
TABLE = {
    "kind": "table_stream",
    "source": "rents",
    "target": "rent",
    "features": ["area", "rooms"],
    "classes": None,
    "categories": {},
    "missing": [],
    "held_out": 0.0,
    "largest_part": 1000,
    "without": [],
}


def prepared(folder, t, spec, name="photos_a"):
    """Prepare part t; return its folder."""
    place = folder / "data" / name / "parts" / f"p{t}"
    prepare_part(spec, folder, f"p{t}", place)
    return place


def fit(folder, t, data, dataset):
    """Fit stage t to a prepared part."""
    before = f"p{t - 1}" if t > 1 else None
    number = "target" in dataset
    request = PartRequest(
        study="s",
        experiment="e",
        method="ffg",
        replicates=[0],
        seed=0,
        budget="full",
        settings=SETTINGS
        if not number
        else type(SETTINGS)(**vars(SETTINGS) | {"likelihood": KindSpec("gaussian")}),
        pixels=KindSpec("columns" if number else "standard", {"statistics": "first"}),
        code="c",
        part=f"p{t}",
        data=data,
        before=before,
        dataset=dataset,
    )
    stage = folder / "s/e/ffg/stream/r0-0"

    def outputs(of):
        place = stage / f"t{of:02d}"
        return StageOutputs(*(place / n for n in ("posterior.safetensors", "training.csv", "run")))

    lineage = Lineage(outputs(t - 1).posterior if t > 1 else None, SourceFiles())
    run_part(request, t, lineage, outputs(t), Machine("cpu", 1, 1e9, listener=SILENT))
    return outputs(t)


@pytest.fixture
def photos(tmp_path):
    for t in (1, 2):
        put(tmp_path / "photos" / "parts" / f"p{t}", images(t))
    return tmp_path


def stated(spec):
    return stated_data(KindSpec.of(spec))


def test_a_stage_says_of_which_data_set_it_is_and_another_one_is_refused(photos):
    first = fit(photos, 1, prepared(photos, 1, SPEC), stated(SPEC))
    assert any_seal(first.seal).identity["dataset"] == stated(SPEC)
    other = SPEC | {"classes": CLASSES[::-1]}
    second = prepared(photos, 2, other)
    text = refusal(lambda: fit(photos, 2, second, stated(other)), SealError)
    assert "dataset is " in text and str(first.seal) in text


def test_classes_of_another_order_are_refused_whatever_the_seals_say(photos):
    first = fit(photos, 1, prepared(photos, 1, SPEC), stated(SPEC))
    second = prepared(photos, 2, SPEC | {"classes": CLASSES[::-1]})
    text = refusal(lambda: fit(photos, 2, second, stated(SPEC)), PosteriorError)
    assert text.startswith(f"{first.posterior}: the classes of replicate 0 are {CLASSES}, expected")


def test_another_way_to_cut_images_is_refused(photos):
    first = fit(photos, 1, prepared(photos, 1, SPEC), stated(SPEC))
    second = prepared(photos, 2, SPEC | {"resize": "pad"})
    text = refusal(lambda: fit(photos, 2, second, stated(SPEC)), PosteriorError)
    assert text.startswith(f"{first.posterior}: resize of its images is 'crop', expected 'pad'")


def test_columns_of_another_order_are_refused(tmp_path):
    parts = tmp_path / "rents" / "parts"
    parts.mkdir(parents=True)
    for t in (1, 2):
        rows = [f"{30 + 7 * i + t},{1 + i % 4},{300 + 50 * i}" for i in range(12)]
        (parts / f"p{t}.csv").write_text("\n".join(["area,rooms,rent", *rows]))
    first = fit(tmp_path, 1, prepared(tmp_path, 1, TABLE), stated(TABLE))
    second = prepared(tmp_path, 2, TABLE | {"features": ["rooms", "area"]})
    text = refusal(lambda: fit(tmp_path, 2, second, stated(TABLE)), PosteriorError)
    assert text.startswith(f"{first.posterior}: the columns are ")


def test_a_stage_of_an_earlier_release_is_known_by_the_folder_of_its_part(photos):
    first = fit(photos, 1, prepared(photos, 1, SPEC), {})
    assert "dataset" not in any_seal(first.seal).identity
    elsewhere = prepared(photos, 2, SPEC, "photos_b")
    text = refusal(lambda: fit(photos, 2, elsewhere, stated(SPEC)), SealError)
    assert "was fitted to the data set photos_a, expected photos_b" in text
    second = fit(photos, 2, prepared(photos, 2, SPEC), stated(SPEC))
    assert any_seal(second.seal).parents["parent"].digest == any_seal(first.seal).digest


def _seal(spec, said):
    place = {"path": f"../../../data/{data_name(KindSpec.of(spec))}/parts/p1/checksums.json"}
    parents = {"images": type("Parent", (), {**place, "digest": "0"})}
    identity = {"dataset": stated(spec)} if said else {}
    return Seal(Path("x"), "posterior", identity, parents, {}, {}, "0")


@pytest.mark.parametrize("said", [True, False], ids=["stated", "earlier release"])
def test_what_differs_is_named_and_what_may_change_does_not(said):
    seal = _seal(SPEC, said)
    assert other_data(seal, KindSpec.of(SPEC)) is None
    free = SPEC | {"largest_part": 5, "without": ["p2"]}
    assert other_data(seal, KindSpec.of(free)) is None
    text = other_data(seal, KindSpec.of(SPEC | {"resize": "refuse"}))
    if said:
        assert text == "it was fitted with dataset.resize 'crop', and the study says 'refuse'"
    else:
        assert data_name(KindSpec.of(SPEC)) in text


class _Images:
    table, decoding = None, {"resize": "crop", "convert": "refuse", "background": 255}


@pytest.mark.parametrize("was", [{}, {"resize": "refuse"}, {"resize": "crop", "convert": "grey"}])
def test_images_that_were_taken_as_they_are_go_together_with_any(was):
    check_inputs(Path("x"), {"decoding": was}, _Images())
