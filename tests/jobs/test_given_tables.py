"""The Fisher prior of given weights on tables: of a class, and of a number, against autograd."""

import csv
from dataclasses import replace

import numpy as np
import pytest
import torch
from given_source import fisher_by_example
from refusals import refusal
from safetensors.torch import save_file
from tiny_chain import SETTINGS

from incbayes.core.files import sha256_file
from incbayes.data.prepared import prepare
from incbayes.inference.listener import Silent
from incbayes.jobs.fit import StageOutputs
from incbayes.jobs.given_fisher import GivenFiles, SourceDataError, run_given_fisher
from incbayes.jobs.given_weights import run_import
from incbayes.jobs.part import PartRequest
from incbayes.jobs.request import Machine
from incbayes.jobs.sources import SourceFiles
from incbayes.kinds import LIKELIHOODS
from incbayes.posterior.build import Architecture, fresh_network
from incbayes.posterior.file import read_posterior
from incbayes.study.model import KindSpec

FEATURES, ROWS = ["a", "b"], 24
MODEL = KindSpec("mlp", {"widths": [3]})


def table(folder, name, seed, **stated):
    """Write a table and prepare it; return its inputs and targets, float64, all to be fitted."""
    generator = np.random.default_rng(seed)
    inputs = generator.normal(size=(ROWS, 2)) * [3.0, 0.5] + [1.0, -2.0]
    numbers = inputs @ [0.5, 2.0] + generator.normal(size=ROWS)
    is_number = stated.get("classes") is None
    targets = numbers if is_number else np.where(numbers > np.median(numbers), "yes", "no")
    with open(folder / f"{name}.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*FEATURES, "y"])
        writer.writerows([str(a), str(b), y] for (a, b), y in zip(inputs, targets, strict=True))
    spec = {"kind": "table", "source": f"{name}.csv", "target": "y", "features": FEATURES}
    prepare(spec | {"test_share": 0} | stated, folder, folder / "data" / name)
    return inputs, (numbers if is_number else (targets == "yes").astype(float))


def request(folder, likelihood):
    settings = replace(
        SETTINGS,
        family=KindSpec("point"),
        prior=KindSpec("laplace", {"fisher": "ggn"}),
        model=MODEL,
        likelihood=likelihood,
    )
    return PartRequest(
        study="s",
        experiment="e",
        method="pretrain",
        replicates=[0, 3],
        seed=0,
        budget="full",
        settings=settings,
        pixels=KindSpec("columns", {"statistics": "first"}),
        code="c",
        source_data=folder / "data" / "before",
        part="p1",
        data=folder / "data" / "now",
    )


def made(folder, likelihood, kind):
    """Return the network of the weights in float64, and what the jobs made of them."""
    outputs = LIKELIHOODS.build(likelihood).outputs(2)
    network = fresh_network(Architecture(MODEL, (2, 1, 1), outputs), 4)
    weights = folder / "nets.safetensors"
    save_file(network.state_dict(), weights)
    asked, machine = request(folder, likelihood), Machine("cpu", 1, 1e9, listener=Silent())
    place = folder / "s/e/pretrain/r0-3"
    outputs = StageOutputs(*(place / n for n in ("posterior.safetensors", "training.csv", "run")))
    run_import(asked, weights, sha256_file(weights), outputs, machine)
    fisher = place / f"fisher_{kind}.safetensors"
    run_given_fisher(asked, kind, GivenFiles(outputs.posterior, weights), fisher, machine)
    sources = SourceFiles(outputs.posterior, fisher)
    asked = replace(
        asked,
        settings=replace(asked.settings, prior=KindSpec("laplace", {"fisher": kind})),
    )
    return network.double(), asked, sources


def standardised(values):
    return (values - values.mean(0)) / values.std(0)


@pytest.mark.parametrize("kind", ["ggn", "empirical"])
def test_of_classes_it_is_that_of_autograd_on_rows_standardised_by_their_own(kind, tmp_path):
    classes = ["no", "yes"]
    inputs, labels = table(tmp_path, "before", 1, classes=classes)
    table(tmp_path, "now", 2, classes=classes)
    network, asked, sources = made(tmp_path, KindSpec("categorical"), kind)
    rows = torch.from_numpy(standardised(inputs))[:, :, None, None]
    expected = fisher_by_example(network, rows, torch.from_numpy(labels).long(), kind == "ggn")
    _check(asked, sources, expected)


@pytest.mark.parametrize("noise", ["learnt", 0.5])
def test_of_a_number_it_is_that_of_autograd_in_its_standardised_unit(noise, tmp_path):
    inputs, numbers = table(tmp_path, "before", 1)
    table(tmp_path, "now", 2)
    likelihood = KindSpec("gaussian", {"noise": noise})
    network, asked, sources = made(tmp_path, likelihood, "empirical")
    rows = torch.from_numpy(standardised(inputs))[:, :, None, None]
    targets, nll = torch.from_numpy(standardised(numbers)), LIKELIHOODS.build(likelihood).nll
    expected = {name: torch.zeros_like(value) for name, value in network.named_parameters()}
    for x, y in zip(rows, targets, strict=True):
        found = torch.autograd.grad(nll(network(x[None]), y[None]), list(network.parameters()))
        for name, gradient in zip(expected, found, strict=True):
            expected[name] += gradient.square() / ROWS
    _check(asked, sources, expected)


def _check(asked, sources, expected):
    """Check F and N of both replicates as the first stage reads them."""
    read = sources.read(asked, asked.opened(torch.device("cpu")))
    assert set(read.seals) == {"source_images", "weights", "fisher"}
    for source in read.of.values():
        assert source.images == ROWS
        (layer,) = source.fisher  # the hidden layer
        for key, value in source.fisher[layer].items():
            reference = expected[f"{layer}.{key}"]
            torch.testing.assert_close(
                value.double(), reference, rtol=1e-4, atol=1e-6 * float(reference.max())
            )
    facts = read_posterior(sources.fisher).metadata
    assert facts["source"] == "before" and facts["source_images"] == ROWS
    assert facts["shared"] == 0 and np.isfinite(facts["nll"])


def test_columns_that_only_the_files_know_are_compared_by_the_job(tmp_path):
    table(tmp_path, "before", 1, classes=["no", "yes"], features=["b", "a"])
    table(tmp_path, "now", 2, classes=["no", "yes"])
    text = refusal(lambda: made(tmp_path, KindSpec("categorical"), "ggn"), SourceDataError)
    assert "features are ['b', 'a'], those of the experiment ['a', 'b']" in text
