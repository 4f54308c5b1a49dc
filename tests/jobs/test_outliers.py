"""A chain scored on outliers: against uncertainties computed here, from the same draws."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from tiny_chain import EVALUATION, tiny_chain

from incbayes.core.seal import read_seal, seal_path
from incbayes.core.streams import numpy_stream
from incbayes.data.prepared import open_split, write_images
from incbayes.data.raw import DataError, RawSplits
from incbayes.evaluation.score import predictor_of
from incbayes.jobs.evaluate import run_evaluation
from incbayes.jobs.request import Machine
from incbayes.posterior.file import read_posterior
from incbayes.study.model import KindSpec

KINDS = {"turned": {"kind": "rotated"}, "mixed": {"kind": "shuffled"}}


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    chain = tiny_chain(tmp_path_factory.mktemp("chain"))
    for t in (1, 2):
        chain.fit(t)
    return chain


def scored(chain, folder, kinds=KINDS, samples=EVALUATION.samples, **changes):
    """Return the records of both stages, and the files of their scores."""
    folder.mkdir(exist_ok=True)
    # In the place of a stage, as seals are verified by it.
    files = [chain.scores(t) for t in (1, 2)]
    evaluation = replace(EVALUATION, outliers=kinds, samples=samples)
    request = replace(chain.request, **changes)
    posteriors = [chain.posterior(t) for t in (1, 2)]
    run_evaluation(request, evaluation, posteriors, files, Machine("cpu", 1, 1e9))
    return [json.loads(file.metrics.read_text()) for file in files], files


def values(records, split, predictor="predictive"):
    return {
        record["metric"]: record["value"]
        for record in records
        if (record["split"], record["predictor"]) == (split, predictor)
    }


def test_every_stage_is_scored_on_every_outlier_set(chain, tmp_path):
    stages, _ = scored(chain, tmp_path)
    of_a_set = {"entropy", "auroc_entropy", "fpr95_entropy"}
    of_draws = {"mutual_information", "auroc_information", "fpr95_information"}
    for records in stages:
        for name in KINDS:
            assert set(values(records, f"outliers_{name}")) == of_a_set | of_draws
            assert set(values(records, f"outliers_{name}", "mean")) == of_a_set
        assert {"entropy", "mutual_information"} <= set(values(records, "test"))
        assert "mutual_information" not in values(records, "test", "mean")


def reference(chain, outliers):
    """Return entropy and information of stage 2, of test images and outliers with stored pixels."""
    request, cpu = chain.request, torch.device("cpu")
    data = request.open(cpu)
    numbers = data.train.numbers(data.cut(0).parts[0])
    pixels = torch.cat([request.images("test", cpu).split.images, outliers]).float() / 255
    mean, std = (torch.tensor(of).float() for of in (numbers.mean, numbers.std))
    stage = request.stage(2, data.train.shape)
    predictor = predictor_of(stage, 10, EVALUATION, cpu)
    generator = stage.keys.stream(0)("prediction", device=cpu)
    posterior = read_posterior(chain.posterior(2)).states[0]
    scaled = (pixels - mean) / std
    draws = torch.stack(list(predictor.draws(posterior, scaled, 20, generator)))
    p = draws.exp().mean(0)
    entropy = -(p * p.log()).sum(-1)
    return entropy, entropy + (draws.exp() * draws).sum(-1).mean(0)


def test_what_is_scored_is_the_uncertainty_of_the_same_draws_on_changed_images(chain, tmp_path):
    stages, _ = scored(chain, tmp_path)
    test = chain.request.images("test", torch.device("cpu")).split.images
    entropy, information = reference(chain, test.rot90(1, (2, 3)))
    is_outlier = np.arange(2 * len(test)) >= len(test)
    found = values(stages[1], "outliers_turned")
    for name, measure in (("entropy", entropy), ("information", information)):
        exact = roc_auc_score(is_outlier, measure)
        assert found[f"auroc_{name}"] == pytest.approx(exact, abs=1e-4)
    assert found["entropy"] == pytest.approx(float(entropy[is_outlier].mean()), rel=1e-5)
    inside = float(entropy[~is_outlier].mean())
    assert values(stages[1], "test")["entropy"] == pytest.approx(inside, rel=1e-5)


def test_outliers_change_no_other_record(chain, tmp_path):
    with_them, _ = scored(chain, tmp_path)
    without, _ = scored(chain, tmp_path, {})
    for records, plain in zip(with_them, without, strict=True):
        kept = [r for r in records if not r["split"].startswith("outliers_")]
        key = lambda r: (r["split"], r["predictor"], r["metric"])  # noqa: E731
        assert sorted(kept, key=key) == sorted(plain, key=key)


def test_of_one_draw_nothing_is_said_of_what_draws_differ_in(chain, tmp_path):
    stages, _ = scored(chain, tmp_path, samples=1)
    found = values(stages[1], "outliers_turned")
    assert set(found) == {"entropy", "auroc_entropy", "fpr95_entropy"}


def test_one_network_has_no_mutual_information(tmp_path):
    chain = tiny_chain(tmp_path / "chain")
    chain = chain.asked(settings=replace(chain.request.settings, family=KindSpec("point")))
    for t in (1, 2):
        chain.fit(t)
    stages, _ = scored(chain, tmp_path)
    found = values(stages[1], "outliers_turned")
    assert set(found) == {"entropy", "auroc_entropy", "fpr95_entropy"}
    assert "mutual_information" not in values(stages[1], "test")


def prepared(folder, shape=(1, 8, 8)):
    """Write 500 noise images as a prepared data set."""
    noise = np.random.default_rng(0).integers(256, size=(500, *shape), dtype=np.uint8)
    raw = RawSplits(noise[:9], np.zeros(9, np.int64), noise, np.ones(500, np.int64))
    facts = {
        "images": {"train": 9, "test": 500}, "classes": ["a", "b"], "shape": list(shape),
        "mean": [0.5] * shape[0], "std": [0.1] * shape[0],
    }  # fmt: skip
    folder.mkdir(parents=True)
    write_images(raw, folder, facts)
    return folder


def test_a_data_set_gives_as_many_images_as_the_test_set_scaled_as_those(chain, tmp_path):
    folder = prepared(tmp_path / "noise")
    stages, files = scored(
        chain, tmp_path / "scores", {"noise": {"kind": "mnist"}}, outliers={"noise": folder}
    )
    found = values(stages[1], "outliers_noise")
    test = chain.request.images("test", torch.device("cpu")).split.images
    noise = open_split(folder / "test.safetensors").images
    chosen = numpy_stream(0, "share of a test set").permutation(500)[: len(test)]
    entropy, _ = reference(chain, noise[torch.from_numpy(chosen)])
    exact = roc_auc_score(np.arange(2 * len(test)) >= len(test), entropy)
    assert found["auroc_entropy"] == pytest.approx(exact, abs=1e-4)
    seal = read_seal(seal_path(files[1].metrics), "scores")
    assert (
        seal.parents["outliers_noise"].digest
        == read_seal(folder / "checksums.json", "images").digest
    )


def test_images_of_another_shape_end_in_a_line(chain, tmp_path):
    folder = prepared(tmp_path / "colour", (3, 8, 8))
    with pytest.raises(DataError, match=r"the outliers noise are images of \[3, 8, 8\], and"):
        scored(chain, tmp_path, {"noise": {"kind": "cifar10"}}, outliers={"noise": folder})
