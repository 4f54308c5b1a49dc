"""A chain scored on shifted test images: the last stage alone, against a prediction made here."""

import json
from dataclasses import replace

import pytest
import torch
from tiny_chain import EVALUATION, tiny_chain

from incbayes.evaluation.score import predictor_of
from incbayes.jobs.evaluate import run_evaluation
from incbayes.jobs.request import Machine
from incbayes.posterior.file import read_posterior

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


def scored(chain, kinds):
    """Return the records of both stages."""
    files = [chain.scores(t) for t in (1, 2)]
    evaluation = replace(EVALUATION, shifts=kinds)
    posteriors = [chain.posterior(t) for t in (1, 2)]
    run_evaluation(chain.request, evaluation, posteriors, files, Machine("cpu", 1, 1e9))
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
