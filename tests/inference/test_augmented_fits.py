"""Fits to augmented images: which images a step sees, to which bits, and in which it may not."""

import dataclasses

import pytest
import torch
from replicate_fits import assert_close, fit, part, settings

from incbayes.data.augmentation import Augmentation
from incbayes.inference import laplace
from incbayes.inference.vi_run import VariationalRun
from incbayes.study.model import AugmentationSettings, KindSpec

MLP = {"kind": "mlp", "widths": [5]}
PARTS = [part(seed, dtype=torch.float32) for seed in range(3)]


class StopError(Exception):
    pass


def augmented(family="ffg", inference="vi", model=None, **augmentation):
    chosen = settings(family, model=model or MLP, epochs=2)
    stated = AugmentationSettings(**augmentation)
    return dataclasses.replace(chosen, inference=KindSpec(inference), augmentation=stated)


def exact(one, other):
    assert_close(one, other, rtol=0, atol=0)


@pytest.mark.parametrize("inference", ["vi", "ivon"])
def test_what_changes_nothing_leaves_all_bits_as_they_were(inference, tmp_path):
    """The stream of crops is its own: order and noise are those of a fit without."""
    chosen = augmented(inference=inference, crop=0, flip=False)
    plain = dataclasses.replace(chosen, augmentation=None)
    exact(fit(tmp_path / "a", chosen, False, PARTS), fit(tmp_path / "b", plain, False, PARTS))


def test_every_step_sees_its_images_cropped_anew_in_every_epoch(tmp_path, monkeypatch):
    seen, taken = [], VariationalRun.take_step

    def noted(run, images, labels):
        seen.append((run.epoch, run.step, images.clone(), labels))
        return taken(run, images, labels)

    monkeypatch.setattr(VariationalRun, "take_step", noted)
    runs = {}
    chosen = augmented("point", crop=2, flip=True)
    fit(
        tmp_path / "a",
        chosen,
        False,
        PARTS,
        on_step=lambda replicate, run: runs.update({replicate: run}),
    )
    run, augmentation = runs[2], Augmentation(2, True)
    assert torch.equal(run.part.images, PARTS[2].images)
    own = [entry for entry in seen[-6:]]
    for epoch, step, images, labels in own:
        order = torch.randperm(20, generator=run.stream("order", epoch)).tensor_split(3)[step]
        draws = augmentation.draws(20, run.stream("augmentation", epoch))[:, order]
        expected = augmentation.applied(PARTS[2].images[order], draws)
        assert torch.equal(images, expected) and torch.equal(labels, PARTS[2].labels[order])
    first, second = (augmentation.draws(20, run.stream("augmentation", e)) for e in (0, 1))
    assert not torch.equal(first, second)


@pytest.mark.parametrize("family", ["point", "ffg"])
@pytest.mark.parametrize("stop", [1, 3, 4])
def test_resuming_after_any_step_gives_the_same_bits(family, stop, tmp_path):
    chosen = augmented(family, crop=1)
    undisturbed = fit(tmp_path / "whole", chosen, False, PARTS)
    steps = iter(range(1, 99))

    def interrupt(*_):
        if next(steps) == stop:
            raise StopError

    with pytest.raises(StopError):
        fit(tmp_path / "cut", chosen, False, PARTS, on_step=interrupt, seconds=0)
    exact(fit(tmp_path / "cut", chosen, False, PARTS, seconds=0), undisturbed)


@pytest.mark.parametrize("model", [MLP, {"kind": "digits_net"}])
@pytest.mark.parametrize("family", ["point", "ffg"])
def test_stacked_replicates_see_the_same_images(family, model, tmp_path):
    chosen, parts = augmented(family, model=model, crop=2), [part(seed) for seed in range(3)]
    alone, lines = fit(tmp_path / "alone", chosen, False, parts), []
    stacked = fit(tmp_path / "stacked", chosen, True, parts, log=lines.append)
    assert not lines
    assert_close(stacked, alone, rtol=1e-7, atol=1e-10)
    plain = dataclasses.replace(chosen, augmentation=None)
    without = fit(tmp_path / "without", plain, False, parts)
    assert alone[0][1][-1]["nll"] != without[0][1][-1]["nll"]


def test_a_fisher_information_is_of_the_images_as_they_are(tmp_path, monkeypatch):
    given, found = [], laplace.diagonal_fisher

    def noted(network, data, *others):
        given.append(data.images)
        return found(network, data, *others)

    monkeypatch.setattr(laplace, "diagonal_fisher", noted)
    fit(tmp_path / "a", augmented(inference="laplace", crop=2), False, PARTS)
    assert all(torch.equal(x, p.images) for x, p in zip(given, PARTS, strict=True))


def test_a_posterior_is_known_by_its_augmentation_only_where_it_has_one():
    assert augmented(crop=2).identity()["augmentation"] == {"crop": 2, "flip": True}
    assert "augmentation" not in settings("ffg").identity()
