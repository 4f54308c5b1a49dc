"""Ensembles of chains: what each member is, and what they predict together."""

import dataclasses
from functools import partial

import own_nets
import pytest
import torch
from bad_studies import refusal
from replicate_fits import CLASSES, assert_close, fit, part, settings, stage_of
from small_study import changed

from incbayes.core.streams import stream_seed
from incbayes.evaluation.evidence import MeanEntropy, entropy
from incbayes.evaluation.score import Evaluation, predictions, predictor_of
from incbayes.inference import stage as stages
from incbayes.inference.base import DivergenceError
from incbayes.inference.stage import first_start
from incbayes.orchestration.resources import Job, demand
from incbayes.posterior.members import is_ensemble, joined_members, members_of
from incbayes.posterior.predict import Passes, PredictionError, Predictor
from incbayes.priors.base import Source
from incbayes.study.model import KindSpec
from incbayes.study.resolve import resolve_study

MEMBERS = 3
PARTS = [part(seed, dtype=torch.float32) for seed in range(3)]
RESIDUAL = {"kind": f"file:{own_nets.__file__}:Residual"}


def chosen(kind="ensemble", model=None, **training):
    options = {"members": MEMBERS} if kind == "ensemble" else {}
    made = settings("point", {"l2": 0.5}, model=model, epochs=2, **training)
    return dataclasses.replace(made, inference=KindSpec(kind, options))


def chain(folder, method):
    """Return what two stages end in."""
    first = fit(folder / "1", method, False, PARTS)
    return [first, fit(folder / "2", method, False, PARTS[::-1], before=first)]


class KeysOfMember(stages.StreamKeys):
    """The keys of a single chain whose random numbers are those of a member."""

    number = 1

    def stream(self, replicate):
        own = super().stream(replicate)
        return own if self.number == 1 else partial(own, "member", self.number)

    def initial_seed(self, replicate, *names):
        of_member = () if self.number == 1 else ("member", self.number)
        return stream_seed(self.seed, self.experiment, replicate, "initialisation", *of_member)


@pytest.mark.parametrize("model", [None, RESIDUAL])
def test_every_member_is_a_single_chain_with_its_own_streams_to_the_bit(
    model, tmp_path, monkeypatch
):
    found = chain(tmp_path / "ensemble", chosen(model=model))
    alone = {}
    for number in range(1, MEMBERS + 1):
        keys = type("Keys", (KeysOfMember,), {"number": number})
        with monkeypatch.context() as patched:
            patched.setattr("replicate_fits.StreamKeys", keys)
            alone[number] = chain(tmp_path / str(number), chosen("vi", model=model))
    if model is None:
        assert_close(
            alone[1][1], chain(tmp_path / "vi", chosen("vi", model=model))[1], rtol=0, atol=0
        )
    for t in (0, 1):
        for replicate, (state, history) in found[t].items():
            members = members_of(state)
            assert len(members) == MEMBERS
            for number, member in enumerate(members, 1):
                expected = alone[number][t][replicate][0]
                assert member.keys() == expected.keys()
                for layer, tensors in expected.items():
                    assert list(member[layer]) == list(tensors)
                    for key, value in tensors.items():
                        assert torch.equal(member[layer][key], value), (number, layer, key)
            for epoch, record in enumerate(history):
                assert record["epoch"] == epoch + 1 and record["images"] == 20
                of_members = [alone[m][t][replicate][1][epoch] for m in alone]
                for key in ("nll", "elbo", "gradient_norm"):
                    mean = sum(one[key] for one in of_members) / MEMBERS
                    assert record[key] == pytest.approx(mean, rel=1e-12)
    assert not torch.equal(*(m["head" if model else "8"]["weight"] for m in members[:2]))


def evaluation(samples=7):
    return Evaluation(samples, None, 6, None, 1.0, 10, "fp32")


@pytest.mark.parametrize("model", [None, RESIDUAL])
def test_the_predictive_is_the_mixture_of_the_members(model, tmp_path):
    method, spread = chosen(model=model), MeanEntropy()
    state = chain(tmp_path, method)[1][0][0]
    predictor = predictor_of(stage_of(method), CLASSES, evaluation(), torch.device("cpu"))
    generator = torch.Generator().manual_seed(0)
    found = dict(predictions(predictor, state, PARTS[2], evaluation(), generator, spread.heard))
    assert list(found) == ["predictive"]
    single = Predictor(
        stage_of(method).architecture(CLASSES), predictor.family, Passes(torch.device("cpu"), 6)
    )
    each = torch.stack([single.mean(member, PARTS[2].images) for member in members_of(state)])
    mixture = each.exp().mean(0)
    torch.testing.assert_close(found["predictive"].exp(), mixture)
    entropies = torch.stack([entropy(one) for one in each]).mean(0)
    torch.testing.assert_close(spread.value(), entropies)
    assert (entropy(mixture.log()) - entropies).max() > 1e-4
    assert torch.equal(generator.get_state(), torch.Generator().manual_seed(0).get_state())


def test_there_is_no_prediction_at_the_mean_of_an_ensemble():
    method = chosen(model={"kind": "mlp", "widths": [5]})
    state = first_start(stage_of(method), 0, CLASSES, Source()).state
    predictor = predictor_of(stage_of(method), CLASSES, evaluation(), torch.device("cpu"))
    with pytest.raises(PredictionError, match="an ensemble has no network of its mean"):
        predictor.mean(state, PARTS[2].images)
    assert predictor.mean(members_of(state)[0], PARTS[2].images).shape[1] == CLASSES


def test_members_are_told_apart_and_put_together():
    states = [{"a": {"weight": torch.tensor([n])}, "b": {}} for n in range(12)]
    joined = joined_members(states)
    assert is_ensemble(joined) and not is_ensemble(states[0])
    assert members_of(joined) == states and members_of(states[3]) == [states[3]]
    assert joined["a"]["weight"] is states[0]["a"]["weight"]


def test_members_of_a_chain_that_starts_at_given_weights_differ_in_the_output_layer():
    method = dataclasses.replace(
        chosen(model={"kind": "mlp", "widths": [5]}), prior=KindSpec("pretrained")
    )
    plain = first_start(
        stage_of(chosen("vi", {"kind": "mlp", "widths": [5]})), 0, CLASSES, Source()
    )
    given = {o: {k: v + 1 for k, v in tensors.items()} for o, tensors in plain.state.items()}
    start = first_start(stage_of(method), 0, CLASSES, Source(state=given))
    members = members_of(start.state)
    first, last = list(given)[0], list(given)[-1]
    for member in members:
        assert torch.equal(member[first]["weight"], given[first]["weight"])
    assert len({float(member[last]["weight"].sum()) for member in members}) == MEMBERS


def test_a_divergence_names_the_member(tmp_path):
    parts = [dataclasses.replace(PARTS[0], images=PARTS[0].images * 1e38), *PARTS[1:]]
    with pytest.raises(DivergenceError, match=r"^replicate 0, member 1, epoch 1, "):
        fit(tmp_path / "diverges", chosen(), False, parts)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            [("methods.ffg.inference", "ensemble")],
            "methods.ffg.inference: ensemble cannot fit the family ffg; it fits: point",
        ),
        (
            [("methods.ft.inference", {"kind": "ensemble", "members": 1})],
            "methods.ft.inference.members: ",
        ),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(changes, expected):
    assert refusal(changed(*changes)).startswith(expected)


def test_time_and_memory_grow_with_the_members():
    model = ("experiments.plain.model", {"kind": "mlp", "widths": [1000, 1000]})
    asked = []
    for inference in ("vi", {"kind": "ensemble", "members": 10}):
        study = resolve_study(changed(model, ("methods.ft.inference", inference)))
        asked.append(demand(study, Job("plain", "ft", 2, 1, "stage"), 1))
    weights = 64 * 1000 + 1000 * 1000
    assert asked[1].mem_mb - asked[0].mem_mb > 9 * 200 * weights / 1e6
    assert asked[1].runtime > asked[0].runtime
