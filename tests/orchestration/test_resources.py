"""What jobs ask a cluster for: enough for every model and family, more at every attempt."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest

from incbayes.kinds import FAMILIES, MODELS
from incbayes.orchestration.resources import (
    LONGEST_MINUTES,
    UNKNOWN_COST,
    Job,
    demand,
    grown,
    needs_gpu,
    step_cost,
    weights_of,
)
from incbayes.posterior.build import Architecture, fresh_network
from incbayes.study.model import KindSpec
from incbayes.study.resolve import resolve_study
from incbayes.study.yaml import read_yaml

ROOT = Path(__file__).parents[2]
STUDIES = [ROOT / "config.yaml", *sorted((ROOT / "studies").glob("*.yaml"))]


def study(path=STUDIES[0], **keys):
    return resolve_study(read_yaml(path) | keys)


def asked(chosen, method="ffg", parts=1, replicates=1, work="stage", attempt=1):
    (experiment, *_) = chosen.experiments
    return demand(chosen, Job(experiment, method, parts, replicates, work), attempt)


def of(dataset, model, **keys):
    experiment = {"dataset": dataset, "model": model, "parts": [1, 10], "pretrain": {}}
    experiment["partition"] = {"source_classes": 5}
    return study(experiments={"one": experiment}, budgets={}, claims={}, **keys)


@pytest.mark.parametrize("kind", MODELS)
def test_no_model_has_more_weights_than_are_planned_for(kind):
    for shape, classes in [((3, 32, 32), 10), ((1, 28, 28), 10)]:
        network = fresh_network(Architecture({"kind": kind} | options(kind), shape, classes), 0)
        real = sum(parameter.numel() for parameter in network.parameters())
        assert real <= weights_of(KindSpec(kind, options(kind)), shape, classes)


def options(kind):
    dense = {"widths": [300, 200]}
    return {"mlp": dense, "embedding_mlp": dense | {"size": 4}}.get(kind, {})


def test_the_vectors_of_categories_are_planned_for():
    spec = KindSpec("embedding_mlp", {"size": 50, "widths": [20], "categories": [2] * 30})
    network = fresh_network(Architecture(spec, (60, 1, 1), 3), 0)
    real = sum(parameter.numel() for parameter in network.parameters())
    assert real <= weights_of(spec, (60, 1, 1), 3) < 3 * real


def test_the_weights_of_an_mlp_are_counted_exactly_and_an_unknown_model_is_taken_for_large():
    model = KindSpec("mlp", {"widths": [300, 200]})
    network = fresh_network(Architecture(model, (1, 28, 28), 10), 0)
    assert weights_of(model, (1, 28, 28), 10) == sum(p.numel() for p in network.parameters())
    assert weights_of(KindSpec("new"), (1, 28, 28), 10) >= 10_000_000


def test_a_model_of_ones_own_is_taken_for_large_or_for_what_it_states(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nets.py").write_text(
        'class Net:\n    pass\n\nclass Small:\n    constraints = {"weights": 5}\n'
    )
    assert weights_of(KindSpec("file:nets.py:Net"), (1, 28, 28), 10) >= 10_000_000
    assert weights_of(KindSpec("file:nets.py:Small"), (3, 32, 32), 10) == 5


@pytest.mark.parametrize("kind", FAMILIES)
def test_every_family_has_a_cost_of_its_own(kind):
    assert step_cost(KindSpec(kind)) < UNKNOWN_COST
    assert step_cost(KindSpec("new")) == UNKNOWN_COST


def test_a_larger_model_a_larger_part_and_more_replicates_ask_for_more():
    small, large = of("mnist", "lenet5"), of("cifar10", "conv3fc3")
    for work in ("stage", "search", "source", "scores", "fisher"):
        method = {"search": "ffg_grid", "fisher": None}.get(work, "ffg")
        less, more = (asked(chosen, method, work=work) for chosen in (small, large))
        assert less.mem_mb < more.mem_mb and less.runtime <= more.runtime
    assert asked(small, parts=10).mem_mb < asked(small, parts=1).mem_mb
    assert asked(small, parts=10).runtime < asked(small, parts=1).runtime
    assert asked(small, replicates=5).runtime > asked(small).runtime
    assert asked(large, "mnf").runtime > asked(large, "ft").runtime


def test_scores_take_time_by_the_draws_of_each_stage_and_memory_by_the_images():
    def scored(**evaluation):
        return asked(of("mnist", "lenet5", evaluation=evaluation), parts=10, work="scores")

    whole, few = scored(part_images=None), scored(part_images=10)
    assert whole.mem_mb > few.mem_mb and whole.runtime > few.runtime
    assert scored(samples=100, earlier_samples=1).runtime < scored(samples=100).runtime / 5
    assert scored(samples=100, earlier_samples=100) == scored(samples=100)


def test_every_attempt_asks_for_twice_as_much_but_for_no_more_than_a_day():
    chosen = of("mnist", "lenet5")
    attempts = [asked(chosen, attempt=attempt) for attempt in (1, 2, 3)]
    for before, after in zip(attempts, attempts[1:], strict=False):
        assert after.mem_mb == 2 * before.mem_mb
        assert after.runtime == min(2 * before.runtime, LONGEST_MINUTES)
    assert asked(chosen, "mnf", attempt=9).runtime == LONGEST_MINUTES
    assert [grown(10, attempt) for attempt in (1, 2, 3)] == [10, 20, 40]


def test_only_cuda_needs_a_gpu_and_it_takes_memory_of_the_host():
    assert not needs_gpu(study()) and not needs_gpu(study(machine={"device": "cpu"}))
    chosen = study(machine={"device": "cuda"})
    assert needs_gpu(chosen)
    assert asked(chosen).mem_mb > asked(study()).mem_mb + 1000


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_the_memory_that_the_studies_at_hand_ask_for_is_granted_by_ordinary_clusters(path):
    chosen = study(path)
    for experiment, described in chosen.experiments.items():
        for method in described.methods:
            for parts in described.parts:
                wanted = demand(chosen, Job(experiment, method, parts, 1, "stage"), 1)
                assert 1000 < wanted.mem_mb < 8000
                assert all(isinstance(n, int) for n in dataclasses.astuple(wanted))


def test_planning_needs_no_torch():
    modules = "incbayes.orchestration.resources, incbayes.orchestration.failures"
    code = f"import sys, {modules}; print('torch' in sys.modules)"
    said = subprocess.check_output([sys.executable, "-c", code], cwd=ROOT / "workflow")
    assert said == b"False\n"


def test_a_method_that_goes_back_to_all_parts_asks_for_all_images():
    methods = {"chain": {"family": "point"}, "bound": {"family": "point"}}
    methods["bound"]["inference"] = "cumulative"
    experiment = {"dataset": "mnist", "model": "lenet5", "parts": [1, 10]}
    chosen = study(experiments={"one": experiment}, methods=methods, budgets={}, claims={})
    for parts in (1, 10):
        chain, bound = (asked(chosen, method, parts) for method in methods)
        assert (bound.runtime > chain.runtime) == (bound.mem_mb > chain.mem_mb) == (parts > 1)
        assert bound == asked(chosen, "chain", 1)


def test_a_method_that_keeps_images_asks_for_them_beside_its_part():
    methods = {"chain": {"family": "point"}, "kept": {"family": "point"}}
    methods["kept"]["inference"] = {"kind": "replay", "images": 5000}
    experiment = {"dataset": "mnist", "model": "lenet5", "parts": [1, 10]}
    chosen = study(experiments={"one": experiment}, methods=methods, budgets={}, claims={})
    chain, kept = (asked(chosen, method, 10) for method in methods)
    assert kept.runtime > chain.runtime and kept.mem_mb > chain.mem_mb
    assert asked(chosen, "kept", 1) == asked(chosen, "chain", 1)
