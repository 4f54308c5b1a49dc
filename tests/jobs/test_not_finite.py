"""Numbers that are not finite, in a fit or a prediction: one line that says where, no posterior."""

import re
from dataclasses import replace

import torch
from fault_table import survived
from listening import listening
from refusals import refusal
from stage_files import without_probe
from tiny_chain import SETTINGS, TRAINING, training_of

from incbayes.inference.base import DivergenceError
from incbayes.inference.vi_run import VariationalRun
from incbayes.posterior.file import read_posterior
from incbayes.posterior.predict import PredictionError

# Fits.


def test_what_is_not_finite_fails_with_step_and_tensor(fitted, chain, monkeypatch):
    parent = chain.digests(1)
    narrow = {"kind": "divide", "by": 1e-300}
    pixels = fitted.at(chain.folder / "pixels").asked(pixels=narrow)
    cases = {
        "pixels": (lambda: pixels.fit(1), r"epoch 1, step 1 of 12: the scaled pixels of the im"),
        "loss": (poisoned_loss(chain, monkeypatch, torch.nan), r"epoch 2, step 3 of 12: the loss"),
        "infinite loss": (poisoned_loss(chain, monkeypatch, torch.inf), r"step 3 of 12: the loss"),
        "KL": (poisoned_kl(chain, monkeypatch), r"epoch 1, step 1 of 12: the KL of layer 1 is nan"),
        "gradient": (
            poisoned_gradient(chain, monkeypatch, torch.nan),
            r"epoch 1, step 1 of 12: the gradient of \S*weight_mean is not finite",
        ),
        "infinite gradient": (
            poisoned_gradient(chain, monkeypatch, torch.inf),
            r"epoch 1, step 1 of 12: the gradient of \S*weight_mean is not finite",
        ),
        "last step": (
            lambda: pixels.at(chain.folder / "last").asked(**overshooting()).fit(1),
            r"replicate 0, after the last step: parameter \S+ is not finite",
        ),
    }
    for name, (fit, expected) in cases.items():
        with monkeypatch.context():
            assert re.search(expected, refusal(fit, DivergenceError)), name
        monkeypatch.undo()
        assert chain.digests(1) == parent and not chain.posterior(2).exists()
    assert not list(chain.folder.rglob("*.partial"))
    survived(
        "NaN or infinity in pixels, loss, KL, gradients, and after the last step",
        len(cases),
        "one line with replicate, epoch, step and tensor; no posterior, the parent intact",
    )


def overshooting():
    """Return a request of one step that leaves the range of numbers."""
    training = TRAINING | {"epochs": 1, "batch_size": 5000, "learning_rate": 1e38}
    settings = replace(SETTINGS, training=training_of(training))
    return {"pixels": {"kind": "standard"}, "settings": settings}


def poisoned_loss(chain, monkeypatch, value):
    """Return a fit in whose second epoch the third loss is `value`."""

    def fit():
        step = VariationalRun.stochastic_pass

        def poisoned(self, *inputs):
            nll, kl = step(self, *inputs)
            return nll * (value if (self.epoch, self.step) == (1, 2) else 1), kl

        monkeypatch.setattr(VariationalRun, "stochastic_pass", poisoned)
        chain.fit(2)

    return fit


def poisoned_kl(chain, monkeypatch):
    """Return a fit in which the KL of a layer is NaN."""

    def fit():
        step = VariationalRun.stochastic_pass

        def poisoned(self, *inputs):
            nll, kl = step(self, *inputs)
            return nll, {**kl, "1": kl["1"] * torch.nan}

        monkeypatch.setattr(VariationalRun, "stochastic_pass", poisoned)
        chain.fit(2)

    return fit


def poisoned_gradient(chain, monkeypatch, value):
    """Return a fit in which the loss is finite and a gradient is not."""

    def fit():
        step = VariationalRun.stochastic_pass

        def poisoned(self, *inputs):
            name, parameter = next(
                (n, p) for n, p in self.network.named_parameters() if n.endswith("weight_mean")
            )
            parameter.register_hook(lambda gradient: gradient * value)
            return step(self, *inputs)

        monkeypatch.setattr(VariationalRun, "stochastic_pass", poisoned)
        chain.fit(2)

    return fit


def test_a_diverged_stage_fails_at_the_same_step_again(fitted, chain, monkeypatch):
    fit = poisoned_loss(chain.saving(0), monkeypatch, torch.nan)
    first = refusal(fit)
    monkeypatch.undo()
    steps = []
    listener = listening(on_step=lambda replicate, run: steps.append(run.step))
    again = poisoned_loss(chain.saving(0), monkeypatch, torch.nan)
    heard_fit = chain.__class__.fit
    monkeypatch.setattr(chain.__class__, "fit", lambda self, t: heard_fit(self, t, listener))
    assert refusal(again) == first
    assert steps == [], "it goes on from the checkpoint, and so fails at once"
    survived("a diverged stage tried again", 1, "the same line, at once: it goes on where it was")


# Predictions.


def with_weights_of(value, t, monkeypatch):
    """Make evaluation read the posterior of stage t with all weights at a value."""

    def read(path, *given):
        found = read_posterior(path, *given)
        if found.metadata["t"] == t:
            for state in found.states[0].values():
                state["weight_mean"].fill_(value)
        return without_probe(found)  # outputs that are not finite are none

    monkeypatch.setattr("incbayes.jobs.request.read_posterior", read)


def test_predictions_that_are_not_finite_name_stage_and_layer(fitted, monkeypatch):
    cases = [(1e38, 1, "layer 1 (Linear)"), (1e38, 2, "layer 1 (Linear)"), (3e18, 2, "layer 3 (Li")]
    for value, t, layer in cases:
        with monkeypatch.context() as patched:
            with_weights_of(value, t, patched)
            text = refusal(fitted.evaluate, PredictionError)
        assert text.startswith(
            f"digits ffg T=2 t={t} replicate 0: draw 1 of 20: the output of {layer}"
        )
        assert not fitted.scores(1).metrics.exists() and not fitted.scores(2).metrics.exists()
    survived(
        "finite weights under which a network predicts NaN or infinity",
        len(cases),
        "one line with stage, replicate, draw and layer; no scores",
    )
