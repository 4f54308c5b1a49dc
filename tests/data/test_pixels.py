"""By which images' mean and standard deviation pixels are scaled, through all jobs of a chain."""

import copy
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from refusals import refusal
from safetensors.torch import save_file
from small_study import PLAIN, SMALL, changed
from tiny_chain import CUT, SETTINGS, Chain, cut_parts, tiny_chain

from incbayes.core.seal import any_seal, seal_path, write_seal
from incbayes.data.images import ImageSource
from incbayes.data.partition import read_partition
from incbayes.data.prepared import load_checksums, open_split, pixel_statistics
from incbayes.data.raw import DataError
from incbayes.jobs.partition import PartsRequest, run_partition
from incbayes.jobs.pretraining import run_fisher, run_pretraining
from incbayes.jobs.request import Machine
from incbayes.kinds import PIXELS
from incbayes.posterior.file import PosteriorError, read_metadata, read_posterior, write_posterior
from incbayes.report.methods import describe_experiment
from incbayes.study.model import KindSpec, PartitionSettings
from incbayes.study.resolve import resolve_study
from incbayes.study.schema import kind_constraints

OF_FIRST = {"kind": "standard", "statistics": "first", "mean": None, "std": None}
OF_ALL = OF_FIRST | {"statistics": "all"}
GIVEN = OF_FIRST | {"mean": [0.25], "std": [0.5]}


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """A chain of two stages, prepared and not fitted."""
    return tiny_chain(tmp_path_factory.mktemp("chain"))


@pytest.fixture
def chain(digits, tmp_path):
    """The same, with its stages in a folder of their own."""
    return digits.at(tmp_path / "stages").asked(pixels=OF_FIRST)


def of_images(data, indices):
    """Return mean and std of prepared training images, in float64 by numpy."""
    images = open_split(data / "train.safetensors").images[torch.as_tensor(indices)]
    scaled = images.numpy() / np.float64(255)
    return float(scaled.mean()), float(scaled.std())


def numbers_of(path, replicate="0"):
    """Return the mean and std that a posterior states, of one channel."""
    pixels = read_metadata(path)["pixels"]
    return pixels["mean"][replicate][0], pixels["std"][replicate][0]


# Which images.


def test_by_all_training_images_the_pixels_are_to_the_bit_what_they_were(digits):
    source = ImageSource.open(digits.data, "train", OF_ALL, torch.device("cpu"))
    checksums = load_checksums(digits.data / "checksums.json")
    mean, std = (torch.tensor(checksums[k]).view(1, -1, 1, 1) for k in ("mean", "std"))
    expected = (source.split.images.to(torch.float32) / 255 - mean) / std
    part = source.load(None, range(10), source.numbers([0, 1, 2]))
    assert torch.equal(part.images, expected)
    first = source.load(None, range(10), replace(source, pixels=OF_FIRST).numbers([0, 1, 2]))
    assert not torch.equal(first.images, expected)


def test_every_stage_and_its_scores_use_the_numbers_of_part_1(chain, monkeypatch):
    chain.fit(1)
    chain.fit(2)
    first, second = (read_partition(chain.request.parts_file, 0).parts[t] for t in (0, 1))
    expected = of_images(chain.data, first)
    for t in (1, 2):
        assert numbers_of(chain.posterior(t)) == pytest.approx(expected, rel=1e-12)
    everything = np.concatenate([first, second])
    for others in (second, everything):
        assert abs(of_images(chain.data, others)[0] - expected[0]) > 1e-6
    load, loaded = ImageSource.load, []

    def watched(self, indices, classes, numbers):
        loaded.append(numbers)
        return load(self, indices, classes, numbers)

    monkeypatch.setattr(ImageSource, "load", watched)
    chain.evaluate()
    assert len(loaded) == 3  # the test set and two parts
    for numbers in loaded:
        assert (numbers.mean[0], numbers.std[0]) == numbers_of(chain.posterior(1))


def test_a_chain_of_other_parts_has_numbers_of_its_own(digits, tmp_path):
    whole = replace(digits.at(tmp_path), parts=1).asked(pixels=OF_FIRST)
    cut_parts(digits.data, 1)
    joined = read_partition(digits.data / "T1.safetensors", 0)
    whole.fit(1)
    expected = of_images(digits.data, joined.parts[0])
    assert numbers_of(whole.posterior(1)) == pytest.approx(expected, rel=1e-12)


def halves(digits, tmp_path):
    """Return a chain on the digits 5 to 9 after a source task of the digits 0 to 4."""
    path, cut = tmp_path / "halves.safetensors", CUT | {"source_classes": tuple(range(5))}
    cut_as(digits.data, path, cut)
    chain = Chain(tmp_path / "stages", digits.data)
    return chain.asked(pixels=OF_FIRST, partition=cut, parts_file=path)


def cut_as(data, path, cut):
    """Cut prepared data into two parts, as the study's key says."""
    asked = PartsRequest("tiny", "digits", [0], 0, PartitionSettings(**cut))
    run_partition(asked, 2, data / "checksums.json", path)


def test_with_pretraining_every_method_has_the_numbers_of_the_source_task(digits, tmp_path):
    chain = halves(digits, tmp_path).asked(pretrained=True)
    source = of_images(digits.data, read_partition(chain.request.parts_file, 0).source)
    machine = Machine("cpu", 1, 1e9)
    plain = replace(SETTINGS, family=KindSpec("point"))
    weights = chain.at(tmp_path / "source").outputs(1)
    pretraining = replace(chain.request, settings=plain)
    run_pretraining(pretraining, weights, machine)
    fisher = tmp_path / "fisher.safetensors"
    run_fisher(pretraining, "ggn", weights.posterior, fisher, machine)
    chain.fit(1)  # of a method that takes nothing of the source task
    for path in (weights.posterior, fisher, chain.posterior(1)):
        assert numbers_of(path) == pytest.approx(source, rel=1e-12)


def test_source_classes_that_nothing_is_trained_on_are_not_seen(digits, tmp_path):
    chain = halves(digits, tmp_path)
    chain.fit(1)
    expected = of_images(digits.data, read_partition(chain.request.parts_file, 0).parts[0])
    assert numbers_of(chain.posterior(1)) == pytest.approx(expected, rel=1e-12)


def test_given_numbers_are_taken(chain):
    given = chain.asked(pixels=GIVEN)
    given.fit(1)
    assert numbers_of(given.posterior(1)) == (0.25, 0.5)


def test_a_posterior_says_of_every_scaling_how_its_images_were_scaled(chain):
    for kind in (name for name in PIXELS if kind_constraints("pixels", name).get("of") is None):
        of_kind = chain.at(chain.folder / kind).asked(pixels={"kind": kind})
        of_kind.fit(1)
        assert read_metadata(of_kind.posterior(1))["pixels"]["kind"] == kind


# What is refused.


def altered(path, **numbers):
    """Write a posterior whose images were scaled by other numbers, and vouch for it anew."""
    read = read_posterior(path)
    pixels = read.metadata["pixels"] | {key: {"0": [v]} for key, v in numbers.items()}
    kept = ("format_version", "replicates", "order", "content_sha256")
    metadata = {key: value for key, value in read.metadata.items() if key not in kept}
    write_posterior(path, read.states, metadata | {"pixels": pixels})
    seal_again(path)


def seal_again(path):
    """Seal a posterior that was changed, as what it was."""
    seal = any_seal(seal_path(path))
    parents = {role: any_seal(seal.path_of(parent)) for role, parent in seal.parents.items()}
    files = [path.parent / name for name in seal.files]
    write_seal(seal.path, seal.artifact, seal.identity, files, parents, seal.facts)


@pytest.mark.parametrize("pixels", [OF_ALL, GIVEN], ids=["all", "given"])
def test_a_parent_whose_images_were_scaled_by_other_numbers_is_refused(chain, pixels):
    chain = chain.asked(pixels=pixels)
    chain.fit(1)
    altered(chain.posterior(1), mean=0.125)
    text = refusal(lambda: chain.fit(2), PosteriorError)
    expected = (
        rf"{chain.posterior(1)}: the images of replicate 0 were scaled by mean \[0.125\], std"
    )
    assert re.match(expected + r".*, expected mean \[0\.\d+\], std .* another run", text)
    assert not chain.posterior(2).exists()


def test_a_chain_whose_stages_were_scaled_by_different_numbers_is_not_scored(chain):
    chain.fit(1)
    chain.fit(2)
    altered(chain.posterior(2), std=0.125)
    text = refusal(chain.evaluate, PosteriorError)
    assert f"{chain.posterior(2)}: the images of replicate 0 were scaled by" in text
    assert not chain.scores(1).metrics.exists()


def test_a_parent_that_does_not_say_by_which_numbers_is_refused(chain):
    chain.fit(1)
    read = read_posterior(chain.posterior(1))
    for pixels, expected in (
        (OF_FIRST, "does not say by which mean and std"),
        (None, "pixels is {}, expected {'kind': 'standard', 'statistics': 'first'}"),
        ({"kind": "divide", "by": 126.0}, "pixels is {'by': 126.0, 'kind': 'divide'}, expected"),
    ):
        kept = ("format_version", "replicates", "order", "content_sha256")
        metadata = {key: value for key, value in read.metadata.items() if key not in kept}
        write_posterior(chain.posterior(1), read.states, metadata | {"pixels": pixels})
        seal_again(chain.posterior(1))
        assert expected in refusal(lambda: chain.fit(2), PosteriorError)


@pytest.mark.parametrize("value", [0, 1, 7, 254])
def test_a_constant_channel_has_no_width_whatever_its_value(value):
    images = np.full((13, 1, 3, 3), value, dtype=np.uint8)
    assert pixel_statistics(images)[1] == [0.0]
    images[0, 0, 0, 0] += 1
    assert pixel_statistics(images)[1][0] > 1e-4


def test_a_channel_that_is_constant_in_the_first_part_is_refused_with_the_way_out(chain, tmp_path):
    blank = tmp_path / "blank"
    blank.mkdir()
    checksums = load_checksums(chain.data / "checksums.json")
    split = open_split(chain.data / "train.safetensors")
    images = split.images.clone()
    images[torch.as_tensor(read_partition(chain.request.parts_file, 0).parts[0])] = 7
    files = [blank / f"{name}.safetensors" for name in ("train", "test")]
    for path in files:
        save_file({"images": images, "labels": split.labels.clone()}, path)
    facts = {key: checksums[key] for key in ("classes", "shape", "mean", "std")}
    facts["images"] = {"train": len(images), "test": len(images)}
    write_seal(blank / "checksums.json", "images", {"data": "blank"}, files, facts=facts)
    cut_as(blank, blank / "parts.safetensors", CUT)
    chain = chain.asked(data=blank, parts_file=blank / "parts.safetensors")
    text = refusal(lambda: chain.fit(1), DataError)
    assert "the std of the first images is [0.0]" in text
    assert "use statistics: all, mean and std of your own, or pixels: {kind: divide}" in text
    assert not chain.posterior(1).exists()
    chain.asked(pixels=OF_ALL).fit(1)  # one of the ways out


# What the report says.


@pytest.mark.parametrize(
    ("pixels", "words"),
    [
        ("standard", "standard, by mean and standard deviation of part 1"),
        (OF_ALL, "all training images, parts that have not arrived among them"),
        (GIVEN, "standard, by a given mean [0.25] and standard deviation [0.5]"),
        ("divide", "divided by 126"),
    ],
)
def test_the_report_says_by_which_numbers(pixels, words):
    study = resolve_study(changed((f"{PLAIN}.pixels", pixels)))
    assert dict(describe_experiment(study, "plain", [3]))["Pixels"].endswith(words)
    pretrained = dict(describe_experiment(resolve_study(copy.deepcopy(SMALL)), "halves", [3]))
    assert pretrained["Pixels"].endswith("of the source task")
