"""A chain's scores: the last stage by all draws, the stages before it by as many as are asked."""

import json
from dataclasses import replace

import pytest
import torch
from stage_files import without_probe
from tiny_chain import tiny_chain

from incbayes.data.part import Part
from incbayes.evaluation.score import Evaluation, share_of
from incbayes.jobs.evaluate import StageScores, run_evaluation
from incbayes.jobs.request import Machine
from incbayes.posterior.file import read_posterior

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
    run_evaluation(chain.request, evaluation, posteriors, files, Machine("cpu", 1, 1e9))
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


def test_a_stage_that_is_certain_and_wrong_is_scored_by_its_own_nll(chain, tmp_path, monkeypatch):
    def scaled(path, *given):
        found = read_posterior(path, *given)
        for state in found.states[0].values():
            state["weight_mean"] *= 60
        return without_probe(found)

    monkeypatch.setattr("incbayes.jobs.request.read_posterior", scaled)
    _, records = scores(chain, tmp_path, test_images=1.0)
    (found,) = (
        r["value"]
        for r in records
        if (r["split"], r["predictor"], r["metric"]) == ("test", "mean", "nll")
    )
    data = chain.request.open(torch.device("cpu"))
    cut, numbers = data.cut(0), data.train.numbers(data.cut(0).parts[0])
    test = chain.request.images("test", torch.device("cpu"))
    part = test.load(None, cut.target_classes, numbers)
    x = part.images.flatten(1).double()
    for layer, state in scaled(chain.posterior(2)).states[0].items():
        x = x if layer == "1" else x.relu()
        x = x @ state["weight_mean"].T.double() + state["bias_mean"].double()
    exact = torch.nn.functional.cross_entropy(x, part.labels).item()
    wrong = (x.argmax(-1) != part.labels).double().mean().item()
    assert exact > 100 and exact > 800 * wrong, "a bound of 708 nats an image would be seen"
    assert found == pytest.approx(exact, rel=1e-5)
