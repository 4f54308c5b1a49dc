"""A chain's scores: the last stage by all draws, the stages before it by as many as are asked."""

import json
from dataclasses import replace

import pytest
import torch
from tiny_chain import SILENT, tiny_chain

from incbayes.evaluate import Evaluation, share_of
from incbayes.inference.optimisation import Part
from incbayes.jobs.evaluation import StageScores, run_evaluation
from incbayes.jobs.request import Machine

EVALUATION = Evaluation(
    samples=5,
    earlier_samples=None,
    batch_size=1000,
    part_images=20,
    test_images=0.2,
    calibration_bins=5,
    precision="fp32",
)


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    chain = tiny_chain(tmp_path_factory.mktemp("chain")).trained(epochs=1)
    for t in (1, 2):
        chain.fit(t)
    return chain


def test_a_share_of_sorted_images_has_every_class():
    labels = torch.arange(10).repeat_interleave(30)
    part = Part(labels.float()[:, None], labels)
    fifth = share_of(part, 0.2)
    assert len(fifth.labels) == 60 and (torch.bincount(fifth.labels, minlength=10) > 0).all()
    assert len(fifth.images.unique()) == 10 and torch.equal(
        fifth.labels, fifth.labels.sort().values
    )
    assert torch.equal(fifth.images[:, 0].long(), fifth.labels)
    assert share_of(part, 1.0) is part and len(share_of(part, 1e-9).labels) == 1


def scores(chain, folder, **settings):
    """Return the records of either stage, under settings of the evaluation."""
    files = [StageScores(folder / f"{t}.json", folder / f"{t}.csv") for t in (1, 2)]
    posteriors = [chain.posterior(t) for t in (1, 2)]
    evaluation = replace(EVALUATION, **settings)
    run_evaluation(chain.request, evaluation, posteriors, files, Machine("cpu", 1, 1e9), SILENT)
    return [json.loads(file.metrics.read_text()) for file in files]


def test_the_stages_before_the_last_take_the_draws_that_are_asked_for_them(chain, tmp_path):
    first, last = scores(chain, tmp_path, samples=5, earlier_samples=2)
    assert first == scores(chain, tmp_path, samples=2)[0]
    assert last == scores(chain, tmp_path, samples=5)[1]
    assert first != scores(chain, tmp_path, samples=5)[0]


def test_a_stage_is_scored_on_the_test_set_and_on_the_parts_seen_by_then(chain, tmp_path):
    for t, records in enumerate(scores(chain, tmp_path), 1):
        seen = ["test", *(f"part_{number:02d}" for number in range(1, t + 1))]
        assert list(dict.fromkeys(record["split"] for record in records)) == seen
        assert {record["t"] for record in records} == {t}
