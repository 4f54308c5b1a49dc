"""A chain scored on shifted test images: the last stage alone, against a prediction made here."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from corrupted_files import digits_of_the_test_set, write_copies
from tiny_chain import EVALUATION, tiny_chain

from incbayes.data.corrupted import CorruptedFiles, prepare_corrupted
from incbayes.evaluation.score import predictor_of
from incbayes.jobs.evaluate import run_evaluation
from incbayes.jobs.request import Machine
from incbayes.posterior.file import read_posterior
from incbayes.study.corrupted import corruption_files, strengths_of
from incbayes.study.model import KindSpec

KINDS = {
    "turned": {"kind": "rotation", "levels": [90, 180]},
    "noise": {"kind": "gaussian_noise", "levels": [0.1, 0.4]},
}
SPLITS = {"shift_turned_90", "shift_turned_180", "shift_noise_1", "shift_noise_2"}


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    chain = tiny_chain(tmp_path_factory.mktemp("chain"))
    for t in (1, 2):
        chain.fit(t)
    return chain


def scored(chain, kinds, corrupted=None, **settings):
    """Return the records of both stages; `corrupted` as of the request."""
    files = [chain.scores(t) for t in (1, 2)]
    evaluation = replace(EVALUATION, shifts=kinds, **settings)
    posteriors = [chain.posterior(t) for t in (1, 2)]
    request = replace(chain.request, corrupted=corrupted or {})
    run_evaluation(request, evaluation, posteriors, files, Machine("cpu", 1, 1e9))
    return [json.loads(file.metrics.read_text()) for file in files]


def test_the_last_stage_is_scored_at_every_level_by_the_metrics_of_any_images(chain):
    first, last = scored(chain, KINDS)
    assert not {r["split"] for r in first if r["split"].startswith("shift")}
    found = {r["split"] for r in last if r["split"].startswith("shift")}
    assert found == SPLITS
    for split in SPLITS:
        metrics = {r["metric"] for r in last if (r["split"], r["predictor"]) == (split, "mean")}
        assert metrics == {"accuracy", "nll", "brier", "ece"}


def test_a_turned_test_set_is_predicted_as_such(chain):
    _, last = scored(chain, KINDS)
    request, cpu = chain.request, torch.device("cpu")
    data = request.open(cpu)
    numbers = data.train.numbers(data.cut(0).parts[0])
    test = request.images("test", cpu).split
    pixels = test.images.rot90(1, (2, 3)).float() / 255
    mean, std = (torch.tensor(of).float() for of in (numbers.mean, numbers.std))
    predictor = predictor_of(request.stage(2, data.train.shape), 10, EVALUATION, cpu)
    log_p = predictor.mean(read_posterior(chain.posterior(2)).states[0], (pixels - mean) / std)
    nll = -log_p.gather(1, test.labels[:, None]).mean().item()
    (found,) = (
        r["value"]
        for r in last
        if (r["split"], r["predictor"], r["metric"]) == ("shift_turned_90", "mean", "nll")
    )
    assert found == pytest.approx(nll, rel=1e-5)


def test_shifts_change_no_other_record(chain):
    key = lambda r: (r["split"], r["predictor"], r["metric"])  # noqa: E731
    for records, plain in zip(scored(chain, KINDS), scored(chain, {}), strict=True):
        kept = [r for r in records if not r["split"].startswith("shift")]
        assert sorted(kept, key=key) == sorted(plain, key=key)


COPIES = {"kind": "cifar_c", "source": "C", "names": ["fog", "same"], "levels": [1, 2, 4]}
STORED = [f"shift_c.{name}_{level}" for name in COPIES["names"] for level in COPIES["levels"]]


@pytest.fixture(scope="module")
def copies(chain, tmp_path_factory):
    """A folder of prepared copies, of which those of `same` are the test images themselves."""
    folder = tmp_path_factory.mktemp("copies")
    raw, images = (
        write_copies("cifar_c", folder / "C", COPIES["names"]),
        digits_of_the_test_set()[0],
    )
    np.save(raw / "same.npy", np.concatenate([images] * 5))
    shift = KindSpec.of(COPIES)
    files = CorruptedFiles(corruption_files(shift, raw), strengths_of(shift))
    prepare_corrupted(files, chain.data, folder / "prepared")
    return {"c": folder / "prepared"}


def by_metric(records, split):
    return {(r["predictor"], r["metric"]): r["value"] for r in records if r["split"] == split}


def test_copies_in_files_are_scored_corruption_by_corruption(chain, copies):
    first, last = scored(chain, {"c": COPIES}, copies)
    assert not {r["split"] for r in first if r["split"].startswith("shift")}
    splits = dict.fromkeys(r["split"] for r in last if r["split"].startswith("shift"))
    assert list(splits) == [*STORED, "shift_c.mean"]
    accuracies = [by_metric(last, f"shift_c.fog_{level}")["mean", "accuracy"] for level in (1, 4)]
    assert accuracies[0] > accuracies[1], "which are darker"


def test_copies_that_are_the_test_images_have_their_numbers(chain, copies):
    """Also by draws of the weights, which are the same ones."""
    _, last = scored(chain, {"c": COPIES}, copies)
    test = by_metric(last, "test")
    for level in COPIES["levels"]:
        found = by_metric(last, f"shift_c.same_{level}")
        assert len(found) == 8, "four metrics, of either predictor"
        assert found == pytest.approx({key: test[key] for key in found}, rel=1e-5)


@pytest.mark.parametrize("share", [1.0, 0.3])
def test_copies_are_those_of_the_images_that_are_scored(share, chain, copies):
    _, last = scored(chain, {"c": COPIES}, copies, test_images=share)
    found, test = by_metric(last, "shift_c.same_2"), by_metric(last, "test")
    assert found == pytest.approx({key: test[key] for key in found}, rel=1e-5)


def test_the_mean_is_over_all_corruptions_and_levels(chain, copies):
    _, last = scored(chain, {"c": COPIES}, copies)
    for key, value in by_metric(last, "shift_c.mean").items():
        assert value == pytest.approx(np.mean([by_metric(last, split)[key] for split in STORED]))


def test_copies_change_no_other_record(chain, copies):
    key = lambda r: (r["split"], r["predictor"], r["metric"])  # noqa: E731
    with_copies = scored(chain, {**KINDS, "c": COPIES}, copies)
    for records, plain in zip(with_copies, scored(chain, KINDS), strict=True):
        kept = [r for r in records if not r["split"].startswith("shift_c.")]
        assert sorted(kept, key=key) == sorted(plain, key=key)


def test_the_scores_name_the_files_that_they_are_of(chain, copies):
    scored(chain, {"c": COPIES}, copies)
    seal = json.loads(chain.scores(2).seal.read_text())
    prepared = json.loads((copies["c"] / "checksums.json").read_text())
    assert seal["parents"]["shift_c"]["digest"] == prepared["digest"]
