"""Corrupted copies in files, as a study states them: splits, names, costs, and what is refused."""

from pathlib import Path

import numpy as np
import pytest
from bad_studies import refusal
from corrupted_files import STRENGTHS, paths_of, write_copies
from small_study import PLAIN, changed

from incbayes.kinds import SHIFTS
from incbayes.orchestration.plan import Plan
from incbayes.orchestration.resources import Job, demand, memory
from incbayes.study.corrupted import check_corrupted
from incbayes.study.resolve import resolve_study
from incbayes.study.shifts import mean_splits, shift_splits
from incbayes.study.yaml import StudyError

SHIFT = f"{PLAIN}.shifts"
ON_CIFAR = (f"{PLAIN}.dataset", "cifar10")
FOG = {"kind": "cifar_c", "names": ["fog", "snow"]}


def study(shifts, *changes):
    return resolve_study(changed((SHIFT, shifts), *changes))


@pytest.mark.parametrize(("kind", "folder"), [("cifar_c", "CIFAR-10-C"), ("mnist_c", "mnist_c")])
def test_by_default_the_fifteen_corruptions_of_the_benchmark_are_scored(kind, folder):
    plain = study({"c": kind}).experiments["plain"]
    options = plain.image_shifts["c"].options
    assert options["source"] == folder
    assert len(set(options["names"])) == 15
    assert options["levels"] == list(range(1, STRENGTHS[kind] + 1))
    assert len(shift_splits(plain)) == 15 * STRENGTHS[kind]
    assert {"shift_c.fog_1", "shift_c.impulse_noise_1"} <= set(shift_splits(plain))
    assert not {"gaussian_blur", "saturate", "identity"} & set(options["names"])
    assert mean_splits(plain) == ["shift_c.mean"]


def test_a_level_is_the_strength_itself():
    plain = study({"c": FOG | {"levels": [5, 2]}, "noise": "gaussian_noise"}).experiments["plain"]
    of_files = ["shift_c.fog_5", "shift_c.fog_2", "shift_c.snow_5", "shift_c.snow_2"]
    assert shift_splits(plain) == [*of_files, *(f"shift_noise_{level}" for level in range(1, 6))]


def test_what_is_prepared_depends_on_files_and_data_set_and_not_on_levels():
    name = lambda shift, *changes: next(iter(Plan(study({"c": shift}, *changes)).corrupted))  # noqa: E731
    plain = name(FOG)
    assert plain.startswith("cifar_10_c_")
    assert name(FOG | {"levels": [1]}) == plain
    others = [
        name(FOG | {"source": "elsewhere/CIFAR-10-C"}),
        name(FOG | {"names": ["snow", "fog"]}),
        name(FOG | {"kind": "mnist_c"}),
        name(FOG, ON_CIFAR),
    ]
    assert len({plain, *others}) == 5


def test_prepared_copies_are_inputs_of_scores_and_of_what_is_published():
    plan = Plan(study({"noise": "gaussian_noise", "c": FOG}))
    (name,) = plan.corrupted
    assert plan.corrupted_files("plain", "test.npy") == [f"results/data/{name}/test.npy"]
    assert plan.corrupted_files("halves", "test.npy") == []
    files = plan.image_files("checksums.json")
    assert files["plain, shifts c"] == f"results/data/{name}/checksums.json"


def test_copies_in_files_take_time_and_the_memory_of_one_test_set():
    job = Job("plain", "ft", 5, 3, "scores")
    large = [ON_CIFAR, (f"{PLAIN}.model", "lenet5"), ("evaluation", {"samples": 20})]
    none, one, all_of_them = (
        study(shifts, *large)
        for shifts in ({}, {"c": FOG | {"names": ["fog"], "levels": [1]}}, {"c": "cifar_c"})
    )
    held = [sum(memory(of, job).values()) for of in (none, one, all_of_them)]
    assert held[0] < held[1] == held[2]
    minutes = [demand(of, job, 1).runtime for of in (none, one, all_of_them)]
    assert minutes[0] < minutes[1] < minutes[2]
    assert minutes[2] - minutes[0] == pytest.approx(75 * (minutes[1] - minutes[0]), rel=0.3)


@pytest.mark.parametrize(
    ("shifts", "said"),
    [
        ({"c": "cifar_d"}, "did you mean 'cifar_c'?"),
        ({"c": {"kind": "mnist_c", "levels": [2]}}, "levels[0]: found 2"),
        ({"c": {"kind": "cifar_c", "levels": [0]}}, "levels[0]: found 0"),
        ({"c": {"kind": "cifar_c", "levels": [3, 3]}}, "levels[1]: 3 is given twice"),
        ({"c": FOG | {"names": []}}, "shifts.c.names: found []; give one or more"),
        ({"c": FOG | {"names": ["fog", "fog"]}}, "shifts.c.names[1]: fog is given twice"),
        ({"c": FOG | {"names": ["fog.npy"]}}, "names[0]: found 'fog.npy'; allowed: the name of a"),
        ({"c": FOG | {"names": ["../fog"]}}, "names[0]: found '../fog'; allowed: the name of a"),
        ({"c": FOG | {"names": ["mean"]}}, "names[0]: found 'mean'; allowed: the name of a file"),
    ],
)
def test_copies_that_make_no_sense_are_refused(shifts, said):
    assert said in refusal(changed((SHIFT, shifts)))


@pytest.mark.parametrize("split", ["shift_c.fog_3", "shift_c.mean"])
def test_a_claim_may_be_on_one_corruption_or_on_the_mean(split):
    groups = [
        {"experiment": "plain", "method": method, "T": 5, "split": split}
        for method in ("ffg", "ft")
    ]
    claim = {"sentence": "x", "relation": {"kind": "greater", "by": 0, "reason": "x"}}
    stated = ("claims", {"c": claim | {"groups": groups, "figure": "shifts"}})
    assert study({"c": FOG}, stated).claims["c"].groups[0].split == split
    assert "shift_c.snow_5, shift_c.mean" in refusal(
        changed((SHIFT, {"c": FOG}), stated, ("claims.c.groups[0].split", "shift_c.sun_1"))
    )


# ---- While a workflow is planned ----


def checked(shift, root, prepared=Path("nowhere"), *changes):
    found = study({"c": shift}, *changes)
    (name,) = Plan(found).corrupted
    check_corrupted(found.experiments, name, root, prepared)


@pytest.fixture(params=STRENGTHS)
def kind(request):
    return request.param


def test_files_as_they_should_be_pass(kind, tmp_path):
    write_copies(kind, tmp_path / "C", ["fog", "snow"])
    checked(FOG | {"kind": kind, "source": "C"}, tmp_path)
    checked(FOG | {"kind": kind, "source": str(tmp_path / "C")}, Path("elsewhere"))


def test_a_folder_that_is_not_there_is_named_with_the_key(kind, tmp_path):
    with pytest.raises(StudyError) as caught:
        checked({"kind": kind}, tmp_path)
    folder = SHIFTS.build({"kind": kind}).source
    assert str(caught.value) == (
        f"experiments.plain.shifts.c.source: found {folder!r}, but there is no folder "
        f"{tmp_path / folder}; give a path that is absolute or relative to the key data_root, now "
        f"{tmp_path}"
    )


def test_missing_corruptions_are_named_the_first_of_them(kind, tmp_path):
    write_copies(kind, tmp_path / "C", ["fog"])
    with pytest.raises(StudyError) as caught:
        checked({"kind": kind, "source": "C"}, tmp_path)
    text = str(caught.value)
    assert f"{tmp_path / 'C'} lacks " in text and " more; unpack the whole archive there" in text


def test_copies_that_were_prepared_need_no_files(kind, tmp_path):
    shift = FOG | {"kind": kind, "source": "C"}
    (name,) = Plan(study({"c": shift})).corrupted
    (tmp_path / name).mkdir()
    (tmp_path / name / "checksums.json").touch()
    checked(shift, tmp_path / "gone", tmp_path)


@pytest.mark.parametrize("fault", ["shape", "type", "number", "truncated", "labels"])
def test_heads_of_files_are_read_while_planning(fault, kind, tmp_path):
    write_copies(kind, tmp_path / "C", ["fog", "snow"])
    images, labels = paths_of(kind, tmp_path / "C", "snow")
    pixels = np.load(images)
    if fault == "truncated":
        images.write_bytes(images.read_bytes()[:-1])
    elif fault == "labels":
        np.save(labels, np.load(labels)[1:])
    else:
        made = {"shape": pixels[:, :4], "type": pixels / 255, "number": pixels[1:]}
        np.save(images, made[fault])
    with pytest.raises(StudyError) as caught:
        checked(FOG | {"kind": kind, "source": "C"}, tmp_path)
    text = str(caught.value)
    assert text.startswith("experiments.plain.shifts.c.source: ")
    assert str(labels if fault == "labels" else images) in text and len(text.splitlines()) == 1


def test_copies_of_another_data_set_are_seen_by_their_shape(tmp_path):
    write_copies("cifar_c", tmp_path / "C", ["fog", "snow"])
    with pytest.raises(StudyError, match=r"expected uint8 \[50000, 32, 32, 3\]"):
        checked(FOG | {"source": "C"}, tmp_path, Path("nowhere"), ON_CIFAR)


def test_a_folder_whose_name_snakemake_would_change_is_refused(tmp_path):
    write_copies("cifar_c", tmp_path / "{C}", ["fog", "snow"])
    with pytest.raises(StudyError, match="which Snakemake replaces"):
        checked(FOG | {"source": "{C}"}, tmp_path)
