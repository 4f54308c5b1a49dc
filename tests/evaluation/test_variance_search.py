"""The choice of a grid prior's variance where predictions or fits of some fail."""

import math
from dataclasses import replace

import torch
from refusals import refusal
from tiny_chain import EVALUATION, SETTINGS, SILENT, tiny_chain

from incbayes.data.partition import read_partition
from incbayes.evaluation.variance_search import FirstTask, choose_variance
from incbayes.inference.base import DivergenceError
from incbayes.inference.checkpoint import Checkpoint
from incbayes.inference.vi_run import VariationalRun
from incbayes.networks.layers import plain_weights
from incbayes.posterior.build import fresh_network
from incbayes.posterior.predict import PredictionError, Predictor
from incbayes.priors.base import Source
from incbayes.study.model import KindSpec


def test_a_variance_that_predicts_nothing_finite_is_not_chosen(tmp_path, monkeypatch):
    variances, asked = [0.1, 1.0, 10.0], []
    predict = Predictor.predictive

    def failing(self, *given):
        asked.append(1)
        if len(asked) in fails:
            raise PredictionError("draw 1 of 20: the output of layer 3 is not finite")
        return predict(self, *given)

    monkeypatch.setattr(Predictor, "predictive", failing)
    for fails in ({1}, {1, 2}, {1, 2, 3}):
        asked.clear()
        folder = tmp_path / str(len(fails))
        if len(fails) == len(variances):
            text = refusal(lambda: chosen_variance(folder, variances), PredictionError)  # noqa: B023
            assert text.startswith("replicate 0, no variance is left; variance 10: draw 1 of 20")
            continue
        found = chosen_variance(folder, variances)
        assert [math.isinf(score) for score in found.validation_nll.values()] == [
            place in fails for place in (1, 2, 3)
        ]
        assert not math.isinf(found.validation_nll[f"{found.variance:g}"])


def chosen_variance(folder, variances):
    """Return which variance of a grid is chosen for the first part of a chain."""
    settings = replace(SETTINGS, prior=KindSpec("grid", {"variances": variances}))
    request = tiny_chain(folder).asked(settings=settings).request
    images = request.images("train", torch.device("cpu"))
    cut = read_partition(request.parts_file, 0)
    part = images.load(cut.parts[0], cut.target_classes, images.numbers(cut.parts[0]))
    stage = request.stage(1, images.shape)
    network = fresh_network(stage.architecture(10), 0)
    return choose_variance(
        stage,
        FirstTask(0, part, 10, Source(state=plain_weights(network))),
        EVALUATION,
        lambda replicate, variance: Checkpoint(folder / f"{variance:g}", "identity", 1e9),
        SILENT,
    )


def test_a_variance_whose_fit_diverges_is_named(tmp_path, monkeypatch):
    poison_the_second_step(monkeypatch)
    text = refusal(lambda: chosen_variance(tmp_path / "grid", [0.1]), DivergenceError)
    assert text.startswith("variance 0.1, replicate 0, epoch 1, step 2 of")


def poison_the_second_step(monkeypatch):
    """Make the loss NaN in the second step of every optimisation."""
    bound = VariationalRun.bound

    def poisoned(self, passes, size):
        nll, layer_kl, loss = bound(self, passes, size)
        return nll, layer_kl, loss * (torch.nan if self.step == 1 else 1.0)

    monkeypatch.setattr(VariationalRun, "bound", poisoned)
