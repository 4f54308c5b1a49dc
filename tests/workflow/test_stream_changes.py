"""What changes behind a stream: options, parts and scoring, where stages cannot be made anew."""

import shutil

import pytest
from fault_table import survived
from running import planned
from stream_images import CLASSES, forget, picture, put
from stream_study import STUDY, counted, digests, done, refused, study


def other_source(folder):
    shutil.copytree(folder / "photos", folder / "cameraB")
    return {"source": "cameraB"}


OPTIONS = {
    "classes": lambda folder: {"classes": CLASSES[::-1]},
    "source": other_source,
    "resize": lambda folder: {"resize": "crop"},
    "held_out": lambda folder: {"held_out": 0.2},
}


@pytest.mark.parametrize("option", OPTIONS)
def test_another_option_of_the_data_set_is_another_chain_from_stage_1_on(option, chain):
    changed = OPTIONS[option](chain)
    anew = {"prepare_part": 3, "prepare_stream_test": 1, "fit_part": 6, "evaluate_part": 6}
    if option == "held_out":
        del anew["prepare_stream_test"]
    assert counted(planned(chain, study(**changed))) == anew
    before = digests(chain)
    for place in [chain / "cameraB/parts/p1", *(chain / "results/data").glob("*/parts/p1")]:
        shutil.rmtree(place, ignore_errors=True)
    forget(chain, 1)
    said = refused(chain, study(**changed), "--dry-run")
    assert "stage 1 of ffg (results/arriving/photos/ffg/stream/r0-0) has to be made anew" in said
    assert f"as it was fitted with dataset.{option} " in said
    assert "and the study says" in said and "the part 'p1' is gone" in said
    assert digests(chain) == before
    assert not counted(planned(chain, STUDY))
    survived(
        "another option of a stream's data set, after a part is gone",
        len(OPTIONS),
        "one line with the option and both values; nothing is prepared or fitted",
    )


def test_prepared_parts_that_are_gone_are_prepared_again_and_their_seals_decide(chain):
    before = digests(chain)
    shutil.rmtree(chain / "results" / "data")
    done(chain, STUDY, "--", "prepare_parts")
    assert not counted(planned(chain, STUDY))
    put(chain / "photos" / "parts" / "p2", {"dark/new.png": picture(77, 0)})
    shutil.rmtree(chain / "results" / "data")
    said = refused(chain)
    assert "would be fitted again, only because" in said and "`-- prepare_parts`" in said
    done(chain, STUDY, "--", "prepare_parts")
    assert counted(planned(chain, STUDY)) == {"fit_part": 4, "evaluate_part": 4}
    assert digests(chain) == before


def test_settled_stages_that_were_scored_otherwise_are_refused_by_name(chain):
    asked = STUDY | {"evaluation": {"samples": 4}}
    assert counted(planned(chain, asked)) == {"evaluate_part": 6}
    forget(chain, 2)
    before = digests(chain)
    # What changes no score is no reason; stages 1 and 3 are scored again, the first one settled.
    alike = STUDY | {"evaluation": {"samples": 3, "batch_size": 8}}
    assert counted(planned(chain, alike)) == {"evaluate_part": 4}
    said = refused(chain, asked, "--dry-run")
    assert "evaluation.samples: found 4, but stage 2 of ffg" in said
    assert "was scored with 3 and cannot be scored again, as its part 'p2'" in said
    assert digests(chain) == before


CHANGED = {
    "the part 'p2' changed since stage 2 of ffg": ("parts/p2", {"dark/new.png": picture(77, 0)}),
    "test changed since stage 1 of ffg": ("test", {"dark/new.png": picture(78, 0)}),
}


@pytest.mark.parametrize("expected", CHANGED)
def test_what_a_settled_stage_saw_and_changed_is_refused_before_it_is_prepared(expected, chain):
    for path in (chain / "results" / "arriving").rglob("t01/posterior.safetensors"):
        path.unlink()  # which stage 2 starts from
    place, files = CHANGED[expected]
    (chain / "photos" / place).touch()
    done(chain)  # to the same files
    put(chain / "photos" / place, files)
    seals = {path: path.read_bytes() for path in (chain / "results").rglob("checksums.json")}
    for options in (["--dry-run"], []):
        said = refused(chain, STUDY, *options)
        assert expected in said and "cannot be done anew" in said
    assert {path: path.read_bytes() for path in seals} == seals
    (chain / "photos" / place / "dark" / "new.png").unlink()
    done(chain)
    survived(
        "a part or the test images of a settled stage edited",
        len(CHANGED),
        "one line before anything is prepared; with the old files the chain goes on",
    )
