"""The seam for inference: what holds of every algorithm, of `vi`, and of one written here."""

import dataclasses
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
import torch
from cases import TRAINED
from listening import listening
from replicate_fits import CLASSES, assert_close, fit, part, settings, stage_of

from incbayes.core.streams import torch_stream
from incbayes.inference.base import Algorithm, DivergenceError
from incbayes.inference.checkpoint import Checkpoint
from incbayes.inference.minibatches import MinibatchRun
from incbayes.inference.objective import Objective
from incbayes.inference.stage import ReplicateTask, first_start, fit_block, later_start
from incbayes.inference.training import Training
from incbayes.kinds import ALGORITHMS, FAMILIES
from incbayes.networks.noise import GeneratorNoise
from incbayes.posterior.build import variational
from incbayes.priors.base import Source
from incbayes.study.schema import kind_constraints, study_schema

MLP = {"kind": "mlp", "widths": [5]}
PARTS = [part(seed, dtype=torch.float32) for seed in range(3)]
MOMENTUM = 0.9
CARRIED = "weight_curvature"
ONE_AT_A_TIME = "the inference algorithm fits one replicate at a time"


class StopError(Exception):
    pass


class MomentumRun(MinibatchRun):
    """Gradient descent with momentum on the minibatch's NLL, plus a penalty on the last stage."""

    def __init__(self, problem):
        super().__init__(problem)
        self.parameters = list(self.network.parameters())
        self.velocities = [torch.zeros_like(p) for p in self.parameters]

    def take_step(self, images, labels):
        nll = self.likelihood.nll(self.network(images, self.noise), labels)
        loss = nll / len(labels) + self.penalty() / len(self.part.labels)
        gradients = torch.autograd.grad(loss, self.parameters)
        norm = torch.stack([gradient.norm() for gradient in gradients]).norm()
        if not torch.isfinite(loss + norm):
            self.report_divergence(loss, norm)
        for parameter, velocity, gradient in zip(
            self.parameters, self.velocities, gradients, strict=True
        ):
            velocity.mul_(MOMENTUM).add_(gradient)
            parameter.data.sub_(self.learning_rate() * velocity)
        return nll, norm

    def penalty(self):
        state = {layer.name: tensors for layer, tensors in self.layers()}
        return sum(
            (before[CARRIED] * (state[name]["weight"] - before["weight"]).square()).sum() / 2
            for name, before in self.prior.items()
        )

    def layers(self):
        return [(module.layer, module.state) for module in self.network._layers]

    def own_tensors(self):
        return {f"velocity/{index}": value for index, value in enumerate(self.velocities)}

    def end_stage(self):
        """Add the squared gradient of the whole part to what earlier stages found."""
        outputs = self.network(self.part.images, self.noise)
        self.likelihood.nll(outputs, self.part.labels).backward()
        for _, tensors in self.layers():
            tensors[CARRIED] += tensors["weight"].grad.square()
        self.check_tensors("after the last step")


@dataclass(frozen=True)
class Momentum(Algorithm):
    """A small algorithm with a step, a carried tensor and an end of the stage of its own."""

    constraints: ClassVar[dict[str, Any]] = {"families": ["point"]}

    def first_start(self, prior, stage):
        start = super().first_start(prior, stage)
        for state in (*start.state.values(), *start.prior.values()):
            state[CARRIED] = torch.ones_like(state["weight"])
        return start

    def trained(self, family, layer, state):
        return set(state) - {CARRIED}

    def begin(self, problem):
        return MomentumRun(problem)


@pytest.fixture
def momentum(monkeypatch):
    """Settings of a fit by an algorithm that is registered under the name `momentum`."""
    monkeypatch.setitem(ALGORITHMS._entries, "momentum", f"{__name__}:Momentum")
    chosen = settings("point", model=MLP, epochs=2)
    return dataclasses.replace(chosen, inference={"kind": "momentum"})


def exact(one, other):
    assert_close(one, other, rtol=0, atol=0)


@pytest.mark.parametrize("name", ALGORITHMS)
def test_every_algorithm_is_in_the_schema_with_its_facts(name):
    assert kind_constraints("inference", name) == ALGORITHMS[name].constraints
    methods = study_schema()["properties"]["methods"]["additionalProperties"]
    assert name in methods["properties"]["inference"]["$defs"]
    assert issubclass(ALGORITHMS[name], Algorithm) and ALGORITHMS[name]()


def settings_of(name):
    """Return settings of a method that an algorithm of the library can fit."""
    family = ALGORITHMS[name].constraints.get("families", ["point"])[0]
    return dataclasses.replace(settings(family, model=MLP, epochs=2), inference={"kind": name})


@pytest.mark.parametrize("name", ALGORITHMS)
@pytest.mark.parametrize("stage", [1, 2])
def test_every_algorithm_ends_in_the_same_bits_wherever_it_is_interrupted(stage, name, tmp_path):
    chosen = settings_of(name)
    before = fit(tmp_path / "first", chosen, False, PARTS[::-1]) if stage == 2 else None
    undisturbed = fit(tmp_path / "whole", chosen, False, PARTS, before=before)
    exact(interrupted(tmp_path / "cut", chosen, before), undisturbed)


@pytest.mark.parametrize("name", ALGORITHMS)
def test_every_algorithm_ends_a_stage_again_where_it_was_killed_there(name, tmp_path, monkeypatch):
    chosen, kinds = settings_of(name), []
    noted = lambda replicate, run: kinds.append(type(run))  # noqa: E731
    undisturbed = fit(tmp_path / "whole", chosen, False, PARTS, on_step=noted)

    def killed(run):
        raise StopError

    with monkeypatch.context() as patched:
        patched.setattr(kinds[0], "end_stage", killed)
        with pytest.raises(StopError):
            fit(tmp_path / "cut", chosen, False, PARTS, seconds=0)
    exact(fit(tmp_path / "cut", chosen, False, PARTS), undisturbed)


@pytest.mark.parametrize("name", ALGORITHMS)
def test_replicates_of_every_algorithm_are_stacked_or_fitted_in_turn(name, tmp_path):
    chosen, lines = settings_of(name), []
    parts = [part(seed) for seed in range(3)]
    before = fit(tmp_path / "first", chosen, False, parts)
    alone = fit(tmp_path / "alone", chosen, False, parts, before=before)
    heard = {"before": before, "log": lines.append}
    assert_close(fit(tmp_path / "stacked", chosen, True, parts, **heard), alone, rtol=1e-8, atol=0)
    assert not lines or lines == ["replicates are fitted in turn: " + ONE_AT_A_TIME]


def interrupted(path, chosen, before=None):
    """Return a fit that is ended at every third step, and goes on from its checkpoint."""
    for _ in range(100):
        steps = []

        def stop(replicate, run, steps=steps):
            steps.append(replicate)
            if len(steps) == 3:
                raise StopError

        try:
            return fit(path, chosen, False, PARTS, on_step=stop, seconds=0, before=before)
        except StopError:
            continue
    raise AssertionError("it does not go on")


def plain_loop(chosen, replicate):
    """Return what variational inference ends in, written as one loop with torch's own Adam."""
    data = PARTS[replicate]
    start = first_start(stage_of(chosen), replicate, CLASSES, Source())
    family = FAMILIES.build(chosen.family)
    network = variational(stage_of(chosen).architecture(CLASSES), family, start.state)
    scales, others = network.scale_parameters()
    training, objective = Training.of(chosen.training), Objective.of(chosen.objective)
    rates = [(others, 1.0), (scales, training.log_sigma_rate)]
    adam = torch.optim.Adam([{"params": group} for group, _ in rates if group], fused=True)
    noise = GeneratorNoise(torch_stream(0, "experiment", "T1", "t1", replicate, "noise"))
    count, batches = len(data.labels), training.batches(len(data.labels))
    for epoch in range(training.epochs):
        shuffled = torch_stream(0, "experiment", "T1", "t1", replicate, "order", epoch)
        order = torch.randperm(count, generator=shuffled).tensor_split(batches)
        for step, index in enumerate(order):
            outputs = network(data.images[index], noise)
            nll = torch.nn.functional.cross_entropy(outputs, data.labels[index], reduction="sum")
            kl = torch.stack(list(network.kl(start.prior, noise).values())).sum(0)
            bound = nll + objective.kl_scale * (1.0 / batches) * kl
            adam.zero_grad()
            (bound * (batches / count)).backward()
            rate = training.rate(epoch * batches + step, training.epochs * batches)
            for group, (_, factor) in zip(
                adam.param_groups, [pair for pair in rates if pair[0]], strict=True
            ):
                group["lr"] = training.learning_rate * rate * factor
            adam.step()
    return network.state()


@pytest.mark.parametrize("family", TRAINED)
def test_variational_inference_is_the_plain_loop_bit_for_bit(family, tmp_path):
    chosen = settings(family, epochs=2)
    start = first_start(stage_of(chosen), 1, CLASSES, Source())
    task = ReplicateTask(PARTS[1], start, CLASSES)
    saved = Checkpoint(tmp_path / "checkpoint", "identity", 1e9)
    found = fit_block(stage_of(chosen), {1: lambda: task}, saved, listening())
    state, history = found[1]
    expected = plain_loop(chosen, 1)
    assert len(history) == 2 and state.keys() == expected.keys()
    for layer, tensors in expected.items():
        assert list(state[layer]) == list(tensors)
        for key, value in tensors.items():
            assert torch.equal(state[layer][key], value), (layer, key)


def test_an_algorithm_of_ones_own_runs_and_goes_on_to_the_same_bits(momentum, tmp_path):
    undisturbed = fit(tmp_path / "whole", momentum, False, PARTS)
    exact(interrupted(tmp_path / "cut", momentum), undisturbed)
    for state, history in undisturbed.values():
        assert [set(record) >= {"elbo", "nll", "gradient_norm"} for record in history] == [True] * 2
        assert all((tensors[CARRIED] >= 1).all() for tensors in state.values())
        assert any((tensors[CARRIED] > 1).any() for tensors in state.values())


def test_a_job_that_is_killed_at_the_end_of_a_stage_does_it_again(momentum, tmp_path, monkeypatch):
    undisturbed = fit(tmp_path / "whole", momentum, False, PARTS)
    with monkeypatch.context() as patched:

        def killed(run):
            raise StopError

        patched.setattr(MomentumRun, "end_stage", killed)
        with pytest.raises(StopError):
            fit(tmp_path / "cut", momentum, False, PARTS, seconds=0)
    exact(fit(tmp_path / "cut", momentum, False, PARTS), undisturbed)


def test_what_is_carried_has_no_gradient_and_reaches_the_next_stage(momentum, tmp_path):
    first = fit(tmp_path / "first", momentum, False, PARTS)
    start = later_start(momentum, first[0][0])
    task = ReplicateTask(PARTS[1], start, CLASSES)
    saved = Checkpoint(tmp_path / "second", "identity", 1e9)
    runs = []
    found = fit_block(
        stage_of(momentum, 2, 2),
        {0: lambda: task},
        saved,
        listening(lambda replicate, run: runs.append(run)),
    )
    assert {name.rpartition(".")[-1] for name, _ in runs[0].network.named_buffers()} == {CARRIED}
    assert CARRIED not in {n.rpartition(".")[-1] for n, _ in runs[0].network.named_parameters()}
    for layer, tensors in found[0][0].items():
        assert (tensors[CARRIED] >= start.prior[layer][CARRIED]).all()
        assert list(tensors) == list(start.state[layer])


def test_without_a_stacked_form_replicates_are_fitted_in_turn(momentum, tmp_path):
    lines = []
    found = fit(tmp_path / "stacked", momentum, True, PARTS, log=lines.append)
    exact(found, fit(tmp_path / "alone", momentum, False, PARTS))
    assert lines == [f"replicates are fitted in turn: {ONE_AT_A_TIME}"]


def test_what_is_not_finite_at_the_end_of_a_stage_names_the_replicate(momentum, tmp_path):
    images = PARTS[0].images * 1e30
    parts = [dataclasses.replace(PARTS[0], images=images), *PARTS[1:]]
    with pytest.raises(DivergenceError, match=r"^replicate 0, .* (not finite|is inf|is nan)$"):
        fit(tmp_path / "checkpoint", momentum, False, parts)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_leaves_alone_what_an_algorithm_keeps_in_its_state(family):
    built = FAMILIES[family]()
    chosen = settings(family)
    start = first_start(stage_of(chosen), 0, CLASSES, Source())
    network = variational(stage_of(chosen).architecture(CLASSES), built, start.state)
    for layer in network.layers:
        own, more = start.state[layer.name], {"kept": torch.full((3,), torch.nan)}
        noise = [GeneratorNoise(torch.Generator().manual_seed(0)) for _ in range(2)]
        assert built.mean(layer, own | more).keys() == built.mean(layer, own).keys()
        drawn = [built.sample(layer, q, n) for q, n in zip((own, own | more), noise, strict=True)]
        assert drawn[0].keys() == drawn[1].keys()
        kl = built.kl(layer, own | more, start.prior[layer.name] | more, noise[0])
        assert torch.equal(kl, built.kl(layer, own, start.prior[layer.name], noise[1]))


def test_the_identity_of_a_posterior_says_an_algorithm_only_where_it_is_another(momentum):
    vi = settings("point", model=MLP)
    assert "inference" not in vi.identity() and "likelihood" not in vi.identity()
    assert momentum.identity()["inference"] == {"kind": "momentum"}
