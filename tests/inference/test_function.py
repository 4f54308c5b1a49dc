"""The functional prior: its loss against an explicit one, and what its teacher is."""

import dataclasses

import pytest
import torch
from replicate_fits import CLASSES, assert_close, part, settings, stage_of
from replicate_fits import fit as fit_replicates

from incbayes.core.streams import torch_stream
from incbayes.inference.stage import family_of
from incbayes.posterior.build import fresh_network, with_weights
from incbayes.posterior.predict import Passes, Predictor
from incbayes.study.model import KindSpec

AT_REST = {"learning_rate": 1e-30, "log_sigma_rate": 1.0}
PARTS = [part(seed, dtype=torch.float32) for seed in range(3)]


def chosen(family="point", options=None, **training):
    made = settings(
        family,
        model={"kind": "mlp", "widths": [5]},
        objective={"kl_scale": 0.3},
        **{"epochs": 2, "schedule": "constant"} | training,
    )
    return dataclasses.replace(made, inference=KindSpec("function", options or {}))


def by_vi(method):
    return dataclasses.replace(method, inference=KindSpec("vi"))


def stages(folder, method, before):
    """Return what the second stage ends in, of replicates whose first was fitted by `before`."""
    first = fit_replicates(folder / "first", before, False, PARTS)
    return first, fit_replicates(folder / "second", method, False, PARTS[::-1], before=first)


def exact(one, other):
    assert_close(one, other, rtol=0, atol=0)


@pytest.mark.parametrize("family", ["point", "ffg"])
def test_before_any_part_or_without_weight_it_is_variational_inference(family, tmp_path):
    method, plain = chosen(family, {"weight": 0.0}), by_vi(chosen(family))
    first, second = stages(tmp_path / "plain", plain, plain)
    exact(stages(tmp_path / "none", method, plain)[1], second)
    exact(fit_replicates(tmp_path / "checkpoint", chosen(family), False, PARTS), first)


@pytest.mark.parametrize(("teacher", "draws"), [("mean", 1), ("predictive", 3)])
def test_what_it_records_of_a_network_at_rest_is_the_loss_written_out(teacher, draws, tmp_path):
    """The students of a point at rest are the teacher itself; of `ffg` they are its draws."""
    options = {"weight": 0.7, "teacher": teacher, "teacher_draws": draws}
    method = chosen("ffg", options, **AT_REST)
    first, second = stages(tmp_path, method, by_vi(chosen("ffg")))
    for replicate, (_, history) in second.items():
        data, stage = PARTS[2 - replicate], stage_of(method, 2, 2)
        predictor = Predictor(
            stage.architecture(CLASSES), family_of(method), Passes(torch.device("cpu"), 7)
        )
        q = first[replicate][0]
        if teacher == "mean":
            log_teacher = predictor.mean(q, data.images)
        else:
            generator = torch_stream(0, "experiment", "T2", "t2", replicate, "teacher")
            log_teacher = predictor.predictive(q, data.images, draws, generator)
        for record in history:
            bound = -20 * (0.3 * record["nll"] + 0.7 * record["function_kl"]) - 0.3 * record["kl"]
            assert record["elbo"] == pytest.approx(bound)
        # Over many draws of the student the pull has the mean that dense sums have.
        student = torch_stream(9, "student")
        draws_of_student = predictor.draws(q, data.images, 400, student)
        pulls = [(log_teacher.exp() * (log_teacher - log_p)).sum() for log_p in draws_of_student]
        scale = torch.stack(pulls).std() / 20
        found = sum(record["function_kl"] for record in history) / len(history)
        assert abs(found - torch.stack(pulls).mean() / 20) < 4 * scale


def test_a_point_takes_the_steps_of_the_loss_written_out(tmp_path):
    method = chosen("point", {"weight": 0.4}, batch_size=20, epochs=3)
    first, second = stages(tmp_path, method, by_vi(chosen("point")))
    for replicate in first:
        data = PARTS[2 - replicate]
        architecture = stage_of(method).architecture(CLASSES)
        teacher = with_weights(fresh_network(architecture, 0), first[replicate][0])
        with torch.no_grad():
            p = teacher(data.images).softmax(-1)
        student = with_weights(fresh_network(architecture, 0), first[replicate][0])
        adam = torch.optim.Adam(student.parameters(), lr=method.training.learning_rate)
        for _ in range(3):
            log_p = student(data.images).log_softmax(-1)
            one_hot = torch.nn.functional.one_hot(data.labels, CLASSES)
            loss = -((0.6 * one_hot + 0.4 * p) * log_p).sum() / 20
            adam.zero_grad()
            loss.backward()
            adam.step()
        for name, value in student.named_parameters():
            layer, _, key = name.rpartition(".")
            torch.testing.assert_close(
                second[replicate][0][layer][key], value, rtol=1e-3, atol=1e-5
            )


def test_with_all_weight_on_the_teacher_nothing_pulls_a_point_away_from_it(tmp_path):
    """At rest, as Adam takes the rounding of a gradient of 0 for a direction."""
    method = chosen("point", {"weight": 1.0}, **AT_REST)
    first, second = stages(tmp_path, method, by_vi(chosen("point")))
    for replicate, (state, history) in second.items():
        assert history[0]["function_kl"] == pytest.approx(0, abs=1e-6)
        assert history[0]["nll"] > 0 and history[-1]["gradient_norm"] < 1e-5
        assert state.keys() == first[replicate][0].keys()


@pytest.mark.parametrize("family", ["point", "ffg"])
def test_replicates_are_stacked(family, tmp_path):
    method = chosen(family, {"teacher": "predictive", "teacher_draws": 2})
    parts = [part(seed) for seed in range(3)]
    first = fit_replicates(tmp_path / "first", method, False, parts)
    alone = fit_replicates(tmp_path / "alone", method, False, parts, before=first)
    lines = []
    heard = {"before": first, "log": lines.append}
    together = fit_replicates(tmp_path / "together", method, True, parts, **heard)
    assert_close(together, alone, rtol=1e-7, atol=1e-12)
    assert not lines
