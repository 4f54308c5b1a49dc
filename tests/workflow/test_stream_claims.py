"""Claims on a stream: judged after the last part that has arrived, and anew with every other."""

import copy
import json

import pytest
from refusals import refusal
from running import planned, run
from stream_images import STATED, arrive, stream

from incbayes.study.resolve import resolve_study
from incbayes.study.streams import with_arrived
from incbayes.study.yaml import StudyError

GROUPS = [{"experiment": "photos", "method": method} for method in ("ffg", "ft")]
STUDY = {
    "study": "arriving",
    "replicates": 2,
    "replicates_per_block": 2,
    "data_root": ".",
    "training": {"epochs": 1, "batch_size": 8},
    "evaluation": {"samples": 2},
    "experiments": {"photos": {"dataset": STATED, "model": {"kind": "mlp", "widths": [4]}}},
    "methods": {"ffg": {"family": "ffg"}, "ft": {"family": "point"}},
    "claims": {
        "alike": {
            "sentence": "Both methods are as accurate after the last part.",
            "relation": {"kind": "equivalent", "margin": 0.9, "reason": "all but chance"},
            "groups": GROUPS,
        }
    },
}


def study(groups=None, **claim):
    changed = copy.deepcopy(STUDY)
    changed["claims"]["alike"] |= claim
    for group, change in zip(changed["claims"]["alike"]["groups"], groups or [], strict=False):
        group |= change
    return changed


DIGITS = {"dataset": "digits", "model": "mlp", "parts": [1]}
PLANNED = {
    "status": "primary", "evidence": "confirmatory",
}  # fmt: skip


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (study([{"T": 1}]), "groups[0].T: a stream has the parts that have arrived: leave this"),
        (study([{"split": "part_01"}]), "groups[0].split: found 'part_01'; a claim on a stream is"),
        (study(**PLANNED), "alike.evidence: photos is a stream, and a claim on it is judged anew"),
        (study(looks=[2, 4]), "alike.looks: photos is a stream, and a claim on it is judged anew"),
    ],
)
def test_what_cannot_be_claimed_of_a_stream_is_refused(made, expected):
    assert expected in refusal(lambda: resolve_study(made), StudyError)


def test_of_a_data_set_that_is_cut_the_number_of_parts_is_asked_for():
    made = study([{"experiment": "digits"}, {"experiment": "digits"}])
    made["experiments"] = {"digits": DIGITS}
    text = refusal(lambda: resolve_study(made), StudyError)
    assert text == "claims.alike.groups[0].T: missing; allowed: a whole number of at least 1"


def test_the_first_part_can_be_held_against_the_last_of_the_same_chain():
    made = study([{"t": 1}, {"method": "ffg"}])
    made["claims"]["alike"]["groups"][0]["method"] = "ffg"
    groups = resolve_study(made).claims["alike"].groups
    assert [(group.method, group.t) for group in groups] == [("ffg", 1), ("ffg", None)]
    twice = study([{"method": "ffg"}, {"method": "ffg", "predictor": "predictive"}])
    assert "the same results as groups[0]" in refusal(lambda: resolve_study(twice), StudyError)


def test_groups_are_of_the_parts_that_have_arrived_and_of_no_stage_to_come():
    claims = resolve_study(study([{"t": 2}])).claims
    found = with_arrived(claims, {"photos": 3})["alike"].groups
    assert [(group.T, group.stage) for group in found] == [(3, 2), (3, 3)]
    text = refusal(lambda: with_arrived(claims, {"photos": 1}), StudyError)
    assert text == "claims.alike.groups[0].t: found 2; so far 1 parts have arrived"


@pytest.mark.slow
def test_the_verdict_is_that_after_the_last_part(tmp_path):
    stream(tmp_path, 1)
    for number in (1, 2):
        if number > 1:
            arrive(tmp_path, number)
            jobs = planned(tmp_path, STUDY)
            assert "claims" in jobs
            assert sum(job.startswith("fit_part") for job in jobs) == 2
        done = run(tmp_path, STUDY)
        assert done.returncode == 0, done.stdout
        results = tmp_path / "results/arriving"
        (claim,) = json.loads((results / "claims.json").read_text())
        # Of two replicates that may be equal nothing need be decided; but both were compared.
        assert len(claim["comparisons"]) == 1 and claim["comparisons"][0]["evidence"], claim
        assert {(group["T"], group["t"]) for group in claim["groups"]} == {(number, number)}
    assert "Both methods are as accurate after the last part." in (
        results / "report.html"
    ).read_text(encoding="utf-8")
