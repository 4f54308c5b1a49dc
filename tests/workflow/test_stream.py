"""Parts that arrive, through the real workflow: what is done on the day, and what may be gone."""

import copy
import json
import shutil

import pandas as pd
import pytest
from fault_table import survived
from running import planned
from stream_images import CLASSES, arrive, forget, images, picture, put, stream
from stream_study import A_DAY, STUDY, counted, digests, done, refused, study


@pytest.fixture(scope="module")
def four(three, tmp_path_factory):
    """The same chain with a fourth part, undisturbed."""
    folder = shutil.copytree(three, tmp_path_factory.mktemp("four") / "chain")
    arrive(folder, 4)
    done(folder)
    return digests(folder)


def test_a_new_part_costs_its_own_stage_and_touches_nothing_else(chain, four):
    before = digests(chain)
    assert not counted(planned(chain, STUDY))
    arrive(chain, 4)
    assert counted(planned(chain, STUDY)) == A_DAY
    done(chain)
    after = digests(chain)
    stages = [path for path in before if "/t0" in path]
    assert stages and all(after[path] == before[path] for path in stages)
    assert after == four
    assert not planned(chain, STUDY)
    records = pd.read_csv(chain / "results" / "arriving" / "metrics.csv")
    assert set(records["T"]) == {4} and sorted(set(records["t"])) == [1, 2, 3, 4]
    page = (chain / "results" / "arriving" / "report.html").read_text("utf-8")
    assert "Parts as they arrived" in page and "p4" in page
    drift = json.loads(next((chain / "results").rglob("r0-0/t04/drift.json")).read_text())
    assert drift and {row["differs"] for row in drift} == {None}, "of images that it was fitted to"


def test_with_all_but_the_last_posterior_and_the_records_gone_the_bits_are_the_same(chain, four):
    for number in (1, 2, 3):
        forget(chain, number)
    shutil.rmtree(chain / "photos" / "test")  # what was prepared of it is there
    for path in (chain / "results" / "arriving").rglob("t0[12]/posterior.safetensors"):
        path.unlink()
    assert not counted(planned(chain, STUDY))
    arrive(chain, 4)
    assert counted(planned(chain, STUDY)) == A_DAY
    done(chain)
    after = digests(chain)
    gone = [f"t0{t}/posterior.safetensors" for t in (1, 2)]
    kept = {path: bits for path, bits in four.items() if not path.endswith(tuple(gone))}
    assert after == kept
    survived(
        "all parts of a stream deleted, and all posteriors but the last; then a part arrives",
        1,
        "one stage a chain; the same bits as undisturbed, and the records of all stages",
    )


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"training": {"epochs": 3}}, "its settings, or a part before it, are not those"),
        ({"seed": 5}, "its settings, or a part before it, are not those"),
        ({"methods": {"ffg": {"family": "ffg"}, "ft": {"family": "point"}}}, "it was never fitted"),
    ],
)
def test_what_would_need_a_part_that_is_gone_is_refused_by_name(chain, change, why):
    forget(chain, 1)
    before = digests(chain)
    said = refused(chain, STUDY | change, "--dry-run")
    assert "stage 1 of f" in said and why in said and "the part 'p1' is gone" in said
    assert digests(chain) == before


def test_a_last_posterior_that_is_gone_is_made_again_or_refused_where_its_part_is_gone(chain, four):
    arrive(chain, 4)
    done(chain)
    (last,) = (chain / "results" / "arriving").rglob("r0-0/t04/posterior.safetensors")
    bits = last.read_bytes()
    last.unlink()
    arrive(chain, 5)
    done(chain)
    assert last.read_bytes() == bits
    (later,) = (chain / "results" / "arriving").rglob("r0-0/t05/posterior.safetensors")
    later.unlink()
    last.unlink()
    forget(chain, 4)
    assert "its posterior and every later one are gone" in refused(chain, STUDY, "--dry-run")


def test_a_stream_goes_on_from_another_and_outlives_it(chain):
    later = copy.deepcopy(STUDY) | {"study": "later"}
    later["experiments"]["photos"]["dataset"] |= {"source": "more"}
    earlier = "results/arriving/photos/ffg/stream"
    later["methods"]["ffg"]["prior"] = {"kind": "posterior", "continue_from": earlier}
    put(chain / "more" / "parts" / "p4", images(4))
    put(chain / "more" / "test", images(99))
    done(chain, later)
    (first,) = (chain / "results" / "later").rglob("r1-1/t01/posterior.seal.json")
    parent = json.loads(first.read_text())["parents"]["continued 2"]["path"]
    assert parent.endswith("arriving/photos/ffg/stream/r1-1/t03/posterior.seal.json")
    shutil.rmtree(chain / "results" / "arriving")
    assert not counted(planned(chain, later))
    again = counted(planned(chain, later | {"evaluation": {"samples": 4}}))
    assert again == {"evaluate_part": 2}  # settled, and yet all that scoring takes is there
    put(chain / "more" / "parts" / "p5", images(5))
    assert counted(planned(chain, later)) == A_DAY
    assert "neither a posterior nor" in refused(chain, later | {"seed": 3}, "--dry-run")


def test_scores_that_are_gone_with_their_part_are_refused_by_name(chain):
    forget(chain, 2)
    (scores,) = (chain / "results" / "arriving").rglob("r1-1/t02/metrics.json")
    scores.unlink()
    assert "its metrics.json is gone" in refused(chain, STUDY, "--dry-run")


def test_a_part_is_taken_back(chain, four):
    arrive(chain, 4)
    done(chain)
    back = study(without=["p3"])
    assert counted(planned(chain, back)) == {"fit_part": 2, "evaluate_part": 2}
    done(chain, back)
    results = chain / "results" / "arriving"
    assert "Taken back in photos: p3" in (results / "report.html").read_text("utf-8")
    seal = json.loads(next(results.rglob("r0-0/t03/posterior.seal.json")).read_text())
    assert (seal["identity"]["part"], seal["identity"]["t"]) == ("p4", 3)
    assert set(pd.read_csv(results / "metrics.csv")["T"]) == {3}
    late = "the part 'p3' has a name before 'p4', which was fitted already"
    assert late in refused(chain, STUDY, "--dry-run")
    (chain / "photos" / "parts.yaml").write_text("parts: [p1, p2, p3, p4]")
    done(chain)  # as it was before
    assert digests(chain) == four


def twice(folder):
    put(folder / "photos" / "parts" / "p4", images(1))


def cumulative(folder):
    put(folder / "photos" / "parts" / "p4", images(2) | images(4, 1))


def in_the_test(folder):
    put(folder / "photos" / "parts" / "p4", images(4) | images(99, 2))


def unknown_class(folder):
    put(folder / "photos" / "parts" / "p4", {"cat/1.png": picture(1, 0)})


def empty(folder):
    (folder / "photos" / "parts" / "p4" / CLASSES[0]).mkdir(parents=True)


def wrong_shape(folder):
    arrive(folder, 4)
    put(folder / "photos" / "parts" / "p4", {"dark/odd.png": _odd()})


def no_image(folder):
    arrive(folder, 4)
    put(folder / "photos" / "parts" / "p4", {"dark/odd.png": b"text"})


def both_classes(folder):
    arrive(folder, 4)
    put(folder / "photos" / "parts" / "p4", {"light/same.png": images(4)["dark/000.png"]})


def no_archive(folder):
    (folder / "photos" / "parts" / "p4.txt").write_text("x")


def before_the_others(folder):
    arrive(folder, 4, "a1")


def named_twice(folder):
    arrive(folder, 3, "p2")


def braces(folder):
    arrive(folder, 4, "p{4}")


def left_out_of_the_manifest(folder):
    arrive(folder, 4)
    (folder / "photos" / "parts.yaml").write_text("parts: [p1, p2, p3]")


def lost_in_the_manifest(folder):
    (folder / "photos" / "parts.yaml").write_text("parts: [p1, p2, p3, p9]")


def _odd():
    import io

    from PIL import Image

    buffer = io.BytesIO()
    Image.new("L", (5, 4)).save(buffer, "PNG")
    return buffer.getvalue()


BAD = {
    twice: "the part 'p4' holds the same images as the part 'p1'",
    cumulative: "19 of 20 images of the part 'p4' are in the part 'p2', too, pixel by pixel",
    in_the_test: "of the folder test are in the part 'p4', too, pixel by pixel",
    unknown_class: "holds the classes 'cat', which the key classes does not name",
    empty: "holds no image",
    wrong_shape: "'dark/odd.png' has 5x4 pixels, L; expected 4x4 pixels",
    no_image: "'dark/odd.png' is no image",
    both_classes: "one image is in two classes",
    no_archive: "is neither a folder nor an archive",
    before_the_others: "the part 'a1' has a name before 'p3', which was fitted already",
    named_twice: "holds the part 'p2' twice",
    braces: "a name that Snakemake cannot take",
    left_out_of_the_manifest: "does not name the part 'p4', which has arrived",
    lost_in_the_manifest: "names the part 'p9', which has not arrived",
}


@pytest.mark.parametrize("fault", BAD, ids=lambda fault: fault.__name__)
def test_a_bad_part_ends_in_one_line_and_the_chain_stays_as_it_was(chain, fault):
    before = digests(chain)
    fault(chain)
    said = refused(chain)
    assert any(BAD[fault] in line for line in said.splitlines()), said
    assert {path: digests(chain).get(path) for path in before} == before
    survived("a part of a stream that cannot be one", len(BAD), "one line; the chain as it was")


def test_a_part_with_the_images_of_one_that_is_gone_is_refused(chain):
    forget(chain, 1)
    put(chain / "photos" / "parts" / "p4", images(1))
    assert "holds the images of 'p1', which stage 1 was fitted to" in refused(chain)


def test_repeats_that_are_allowed_are_counted_in_the_log_and_nothing_else_is_made_anew(chain):
    forget(chain, 1)
    put(chain / "photos" / "parts" / "p4", images(1) | images(4, 1))
    allowing = study(duplicates="allow")
    assert counted(planned(chain, allowing)) == A_DAY
    done(chain, allowing)
    (log,) = (chain / "results/arriving/logs").rglob("fit/photos/ffg/stream/r1-1/t04.log")
    assert "19 of 20 images of the part 'p4' are in the part 'p1'" in log.read_text("utf-8")


def test_parts_of_one_class_and_of_one_image_and_in_the_order_of_a_manifest(tmp_path):
    photos = put(tmp_path / "photos" / "parts" / "von März", images(1)).parent.parent
    put(photos / "parts" / "april 1", {"dark/1.png": picture(7, 0), "dark/2.png": picture(8, 0)})
    put(photos / "parts" / "Last", {"light/1.png": picture(9, 1)})
    put(photos / "test", images(99))
    (photos / "parts.yaml").write_text("parts: [von März, april 1, Last]", encoding="utf-8")
    done(tmp_path)
    found = pd.read_csv(tmp_path / "results" / "arriving" / "metrics.csv")
    assert sorted(set(found["t"])) == [1, 2, 3]


def test_with_a_share_of_each_part_held_out_no_test_set_is_needed(tmp_path):
    stream(tmp_path, parts=2, test=False)
    assert "add it, or state a share of every part" in refused(tmp_path, STUDY, "--dry-run")
    done(tmp_path, study(held_out=0.2))
    results = tmp_path / "results" / "arriving"
    drift = json.loads(next(results.rglob("r0-0/t02/drift.json")).read_text())
    assert {row["images"] for row in drift} == {4}
    assert {row["differs"] for row in drift} == {None}, "so few images are not judged"
    records = pd.read_csv(results / "metrics.csv")
    chosen = records[(records["t"] == 2) & (records["metric"] == "nll")]
    by = chosen.pivot_table(index=["replicate", "predictor"], columns="split", values="value")
    pd.testing.assert_series_equal(by["test"], by["arrived_after"], check_names=False)


def test_a_stream_is_not_published(chain):
    assert "a stream goes on, and what is published is to stay" in refused(chain, STUDY, "publish")
