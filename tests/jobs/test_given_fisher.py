"""The Fisher prior of given weights: from a data set beside them, or refused in one line."""

import copy
import json
import shutil

import given_source
import pytest
import torch
from fault_table import survived
from given_source import CLASSES, DATA, EACH, fisher_by_example, network, scaled, study
from refusals import refusal
from running import planned, run
from safetensors.torch import load_file, save_file

from incbayes.data.images import ImageSource
from incbayes.data.part import Part
from incbayes.data.prepared import prepare
from incbayes.jobs.given_fisher import (
    SourceDataError,
    check_classes,
    fit_of,
    images_shared,
    remarks,
)
from incbayes.jobs.given_weights import WeightsError, source_network
from incbayes.likelihoods.categorical import CATEGORICAL
from incbayes.likelihoods.gaussian import Gaussian
from incbayes.networks.layers import layers_of
from incbayes.orchestration.networks import check_networks, given_outputs
from incbayes.orchestration.plan import Plan
from incbayes.orchestration.resources import Job
from incbayes.posterior.file import read_posterior
from incbayes.priors.base import Source
from incbayes.priors.laplace import Laplace
from incbayes.study.resolve import resolve_study
from incbayes.study.settings import chain_settings
from incbayes.study.yaml import StudyError

COUNT = EACH * len(CLASSES)


# ---- The network that the weights are of ----


def test_the_output_layer_is_that_of_the_file_however_many_classes(tmp_path):
    path = given_source.save(tmp_path)
    tensors = load_file(path)
    found = source_network(path, network(outputs=10, seed=5))
    assert {name: tensor.shape for name, tensor in found.state_dict().items()} == {
        name: tensor.shape for name, tensor in tensors.items()
    }
    images = scaled()[0].float()
    expected = network()
    expected.load_state_dict(tensors)
    torch.testing.assert_close(found(images), expected(images), rtol=0, atol=0)
    assert found(images).shape == (COUNT, len(CLASSES))


WRONG = {
    "lacks the tensor 3.weight of the output layer, without which": {"3.weight": None},
    "lacks the tensor 3.bias of the output layer": {"3.bias": None},
    "the tensor 3.bias is [2], float32; the network's is [3], float32": {"3.bias": torch.zeros(2)},
    "the tensor 3.weight is [3, 5], float32; the network's is [3, 6]": {
        "3.weight": torch.zeros(3, 5)
    },
    "the tensor 3.weight is not finite": {"3.weight": torch.full((3, 6), torch.nan)},
    "lacks the tensor 1.bias [6] of the network": {"1.bias": None},
}


@pytest.mark.parametrize("expected", WRONG)
def test_weights_without_their_output_layer_have_no_fisher_information(expected, tmp_path):
    path = given_source.save(tmp_path)
    tensors = load_file(path) | WRONG[expected]
    save_file({name: value for name, value in tensors.items() if value is not None}, path)
    text = refusal(lambda: source_network(path, network(outputs=10)), WeightsError)
    assert text.startswith(f"{path}: {expected}")


def test_labels_have_to_stand_for_outputs_where_they_are_used(tmp_path):
    path = tmp_path / "nets"
    with pytest.raises(SourceDataError) as caught:
        check_classes(path, network(), "empirical", ["a", "b"], CATEGORICAL)
    text = "the output layer has 3 outputs, and pretrain.data has 2 classes: a label has to stand"
    assert text in str(caught.value)
    for kind in ("mc", "ggn"):
        check_classes(path, network(), kind, ["a", "b"], CATEGORICAL)
    check_classes(path, network(), "empirical", CLASSES, CATEGORICAL)
    with pytest.raises(SourceDataError, match="has 3 outputs, and pretrain.data has 2 for a num"):
        check_classes(path, network(), "ggn", ["y"], Gaussian())


# ---- What is recorded beside it ----


def test_how_well_the_weights_fit_is_that_of_their_network(tmp_path):
    path, (images, labels) = given_source.save(tmp_path), scaled()
    model = source_network(path, network()).double()
    part = Part(images, labels)
    log_p = model(images).log_softmax(-1)
    fits = fit_of(model, part, CATEGORICAL)
    assert fits["nll"] == pytest.approx(-log_p[range(COUNT), labels].mean().item(), rel=1e-12)
    assert fits["accuracy"] == (log_p.argmax(1) == labels).double().mean().item() > 0.8
    assert "warning" not in str(remarks(COUNT, fits, 0))
    wrong = fit_of(model, Part(images, (labels + 1) % 3), CATEGORICAL)
    assert "warning: no better than chance" in str(remarks(COUNT, wrong, 0))
    other = fit_of(model, Part(images, labels + 1), CATEGORICAL)
    assert other == {}  # of classes that the network has not


@pytest.fixture
def prepared(tmp_path):
    """Two prepared sets of the same form, which have two images in common."""
    given_source.write(tmp_path)
    other = shutil.copytree(given_source.write(tmp_path / "new", seed=1), tmp_path / "after")
    for number in (2, 4):
        shutil.copy(
            tmp_path / f"before/train/flat/{number:03d}.png", other / f"train/flat/x{number}.png"
        )
    for name in ("before", "after"):
        prepare(DATA | {"source": name}, tmp_path, tmp_path / "prepared" / name)
    device = torch.device("cpu")
    return [
        ImageSource.open(tmp_path / "prepared" / name, "train", {"kind": "standard"}, device)
        for name in ("before", "after")
    ]


def test_images_that_count_twice_are_counted(prepared):
    before, after = prepared
    assert images_shared(before, after) == images_shared(after, before) == 2
    assert images_shared(before, before) == COUNT
    assert "2 of 27 images of pretrain.data are training images" in str(remarks(27, {}, 2))


# ---- Refused while planning ----


FAULTS = {
    "no data": (
        {"data": None},
        "has the prior laplace, which needs the Fisher information of the weights; give the data",
    ),
    "the experiment's own": ({"data": "digits"}, "pretrain.data: is the experiment's own data set"),
    "a stream": (
        {"data": {**DATA, "kind": "image_stream", "train": None, "test": None}},
        "pretrain.data: found image_stream, whose parts are yet to come",
    ),
    "a table": ({"data": "breast_cancer"}, "pretrain.data: breast_cancer is a table, and digits"),
    "colour": (
        {"data": {**DATA, "shape": [3, 8, 8]}},
        "pretrain.data: inputs are [3, 8, 8], those of digits of the experiment are [1, 8, 8]",
    ),
    "size": ({"data": "mnist"}, "pretrain.data: inputs are [1, 28, 28], those of digits"),
    "channels": (
        {"data": {**DATA, "shape": [2, 8, 8]}},
        "pretrain.data.shape: found [2, 8, 8]; allowed: [channels, height, width]",
    ),
    "a class twice": (
        {"data": {**DATA, "classes": ["a", "a"]}},
        "pretrain.data.classes[1]: 'a' is given twice",
    ),
    "no source": ({"data": {**DATA, "source": " "}}, "pretrain.data.source: found ' '"),
    "an unknown kind": ({"data": "digit"}, "pretrain.data: unknown"),
    "no images": ({"images": 0}, "pretrain.images: found 0"),
    "images without data": (
        {"data": None, "images": 5, "priors": "grid"},
        "pretrain.images: is the number N beside a Fisher information; give data",
    ),
    "data without weights": (
        {"weights": None, "priors": "grid"},
        "pretrain.data: says what weights of a file were fitted to; give weights",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_the_data_of_given_weights_cannot_be_is_refused_in_one_line(fault):
    changes, expected = FAULTS[fault]
    made = study(**{key: value for key, value in changes.items() if key != "priors"})
    pretrain = made["experiments"]["digits"]["pretrain"]
    for key in [key for key, value in pretrain.items() if value is None]:
        del pretrain[key]
    if isinstance(pretrain.get("data"), dict):
        pretrain["data"] = {k: v for k, v in pretrain["data"].items() if v is not None}
    if "priors" in changes:
        made["methods"]["laplace"]["prior"] = changes["priors"]
    text = refusal(lambda: resolve_study(made), StudyError)
    assert expected in text
    survived(
        "data of given weights that they cannot have been fitted to",
        len(FAULTS),
        "one line before anything runs",
    )


def test_a_set_without_test_images_is_no_experiments_own():
    made = study()
    made["experiments"]["digits"]["dataset"] = {**DATA, "source": "new"}
    text = refusal(lambda: resolve_study(made), StudyError)
    assert text.startswith("experiments.digits.dataset.test: found 0, and an experiment needs")


COLUMNS = {
    "kind": "table", "source": "new.csv", "target": "y", "features": ["a", "b"],
    "classes": ["no", "yes"],
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"features": ["b", "a"]}, "data.features: differs from that of table of the experiment: "),
        ({"categories": {"a": ["x"]}}, "data.categories: differs from that of table of the exp"),
        ({"missing": "mean"}, "experiment: 'mean' and 'refuse'; the inputs of a network stand"),
        ({"classes": None}, "pretrain.data: the target of table is a number, and that of table"),
        ({"target": "a"}, "pretrain.data.features[0]: 'a' is the target, which no feature can be"),
        ({"features": ["a", "a"]}, "pretrain.data.features[1]: 'a' is given twice"),
    ],
)
def test_the_columns_of_two_tables_have_to_stand_for_the_same(change, expected):
    made = study(data={**COLUMNS, "source": "old.csv", **change})
    made["experiments"]["digits"]["dataset"] = COLUMNS
    assert expected in refusal(lambda: resolve_study(made), StudyError)


def test_weights_and_labels_are_compared_while_planning(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = study()
    check_networks(resolve_study(made))  # without the file, which its job asks for
    assert given_outputs(resolve_study(made), "digits") is None
    given_source.save(tmp_path, outputs=4)
    check_networks(resolve_study(made))
    assert given_outputs(resolve_study(made), "digits") == 4
    made["methods"]["laplace"]["prior"] = {"kind": "laplace", "fisher": "empirical"}
    text = refusal(lambda: check_networks(resolve_study(made)), SourceDataError)
    assert "nets.safetensors: the output layer has 4 outputs, and pretrain.data has 3" in text
    made["experiments"]["digits"]["model"] = {"kind": "mlp", "widths": [7]}
    text = refusal(lambda: check_networks(resolve_study(made)), WeightsError)
    assert "the tensor 1.weight is [6, 64], float32; the network's is [7, 64]" in text


# ---- What is asked of a cluster ----


def test_a_cluster_is_asked_for_the_data_and_the_outputs_of_the_weights(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given_source.save(tmp_path, outputs=1000)
    job = Job("digits", None, 1, 2, "fisher")

    def asked(**data):
        return Plan(resolve_study(study(data={**DATA, **data}))).demand(job, 1)

    small, large = asked(train=27), asked(train=3_000_000)
    assert large.mem_mb > small.mem_mb + 3_000_000 * 64 * 9 / 1e6 * 0.9
    assert large.runtime > 100 > small.runtime
    given_source.save(tmp_path, outputs=3)
    assert asked(train=3_000_000).runtime < large.runtime
    source = Job("digits", None, 1, 2, "source")
    assert Plan(resolve_study(study())).demand(source, 1).runtime == 15  # nothing is trained


def test_records_of_other_weights_or_data_are_not_of_one_chain():
    def of(**pretrain):
        return chain_settings(resolve_study(study(**pretrain)), "digits", "laplace")["pretrain"]

    assert of() == of()
    assert of() != of(weights="other")
    assert of() != of(images=100)
    assert of() != of(data={**DATA, "source": "else"})


# ---- From the study to the first prior ----


def one_chain(**pretrain):
    """Return a study of a single part, with the prior that is tested and one that it is not."""
    made = study(**pretrain)
    made["experiments"]["digits"] |= {"parts": [1], "methods": ["laplace", "afresh"]}
    made["experiments"]["digits"]["pixels"] = {"kind": "divide", "by": 255}
    made["methods"]["laplace"]["prior"] = {"kind": "laplace", "prior_precision": 2.0}
    return made


@pytest.mark.slow
def test_the_first_prior_is_the_laplace_approximation_of_that_data(tmp_path):
    given_source.write(tmp_path)
    file = given_source.save(tmp_path)
    made = one_chain(images=1000)
    finished = run(tmp_path, made)
    assert finished.returncode == 0, finished.stdout
    results = tmp_path / "results/given/digits"
    fisher = read_posterior(results / "pretrain/r0-1/fisher_ggn.safetensors")
    model = network().double()
    model.load_state_dict({name: value.double() for name, value in load_file(file).items()})
    pixels, labels = given_source.pictures()
    images = torch.from_numpy(pixels).double() / 255
    expected = fisher_by_example(model, images, torch.from_numpy(labels), expected=True)
    (hidden, _) = layers_of(model)
    for state in fisher.states.values():
        assert set(state) == {hidden.name}  # the output layer starts afresh
        for key, value in state[hidden.name].items():
            scale = expected[f"{hidden.name}.{key}"].abs().max()
            torch.testing.assert_close(
                value.double(), expected[f"{hidden.name}.{key}"], rtol=1e-5, atol=1e-6 * scale
            )
    # N·F + precision, with the N that the study states; all is in the seals.
    assert fisher.metadata["images"] == {"0": 1000, "1": 1000}
    source = Source(
        state={hidden.name: {k: v.float() for k, v in _of(model, hidden).items()}},
        fisher=fisher.states[0],
        images=1000,
    )
    prior = Laplace(prior_precision=2.0).carried_over(hidden, _of(model, hidden), source)
    torch.testing.assert_close(
        prior.sigma["weight"].double(),
        (1000 * expected[f"{hidden.name}.weight"] + 2) ** -0.5,
        rtol=1e-5,
        atol=0,
    )
    seal = json.loads((results / "pretrain/r0-1/fisher_ggn.seal.json").read_text())
    assert seal["facts"]["source_images"] == COUNT
    assert seal["facts"]["fitted_to"] == 1000
    assert seal["facts"]["shared"] == 0
    assert seal["parents"]["images"]["path"].startswith("../../../../data/before_")
    # A step at a rate of 1e-3 moves no mean by more: it started at the given weights.
    posterior = results / "laplace/T1/r0-1/t01/posterior.safetensors"
    mean = read_posterior(posterior).states[1][hidden.name]["weight_mean"].double()
    torch.testing.assert_close(mean, _of(model, hidden)["weight"], rtol=0, atol=0.05)
    assert planned(tmp_path, made) == set()
    _check_freshness(tmp_path, made)


def _of(model, layer):
    module = model.get_submodule(layer.name)
    return {"weight": module.weight.detach(), "bias": module.bias.detach()}


def _check_freshness(folder, made):
    """Another image of the data, or another N, fits anew what is made of it and nothing else."""
    other = copy.deepcopy(made)
    other["experiments"]["digits"]["pretrain"]["images"] = 10
    assert _of_rules(planned(folder, other)) == {"fisher", "fit laplace"}
    image = folder / "before/train/flat/new.png"
    image.write_bytes((folder / "before/train/flat/000.png").read_bytes())
    assert _of_rules(planned(folder, made)) == {"prepare_data", "fisher", "fit laplace"}


def _of_rules(jobs):
    """Return the rules of jobs up to the fits, with the method of these."""
    chosen = ("prepare_data", "partition", "pretrain", "fisher", "choose_variance")
    rules = {job.split()[0] for job in jobs if job.startswith(chosen)}
    methods = {job.split("method=")[1].split(",")[0] for job in jobs if job.startswith("fit ")}
    return rules | {f"fit {method}" for method in methods}
