"""Outliers that are made of the test images: every kind of the registry that is no data set."""

import numpy as np
import pytest
import torch

from incbayes.kinds import DATASETS, OUTLIERS

MADE = [kind for kind in OUTLIERS if kind not in DATASETS]


def images(number=5, channels=3, side=4):
    generator = torch.Generator().manual_seed(0)
    shape = (number, channels, side, side)
    return torch.randint(256, shape, dtype=torch.uint8, generator=generator)


def made(kind, of, seed=0):
    return OUTLIERS.build({"kind": kind}).made(of, np.random.default_rng(seed))


@pytest.mark.parametrize("kind", MADE)
@pytest.mark.parametrize("channels", [1, 3])
def test_outliers_have_the_pixels_of_their_image_in_other_places(kind, channels):
    before = images(channels=channels)
    after = made(kind, before)
    assert after.shape == before.shape and after.dtype == torch.uint8
    assert not torch.equal(after, before)
    for one, other in zip(before, after, strict=True):
        pixels = [sorted(map(tuple, x.flatten(1).T.tolist())) for x in (one, other)]
        assert pixels[0] == pixels[1], "the channels of a pixel stay together"


@pytest.mark.parametrize("kind", MADE)
def test_outliers_of_an_image_do_not_depend_on_the_others(kind):
    before = images()
    assert torch.equal(made(kind, before)[2:], made(kind, before[2:]))


def test_rotated_images_are_on_their_side():
    image = torch.arange(4, dtype=torch.uint8).reshape(1, 1, 2, 2)
    assert made("rotated", image).flatten().tolist() == [1, 3, 0, 2]
    turned = images()
    for _ in range(4):
        turned = made("rotated", turned)
    assert torch.equal(turned, images())


def test_another_seed_shuffles_otherwise_and_all_images_alike():
    before = images(number=2)
    before[1] = before[0]
    first, second = made("shuffled", before)
    assert torch.equal(first, second)
    assert not torch.equal(made("shuffled", before, seed=1)[0], first)
