"""Shifts of test images: every kind of the registry, and each against what it says it does.

Of kinds whose images lie in files the options alone; see tests/data/test_corrupted_copies.py.
"""

import numpy as np
import pytest
import torch

from incbayes.kinds import SHIFTS
from incbayes.study.model import KindSpec
from incbayes.study.shifts import is_stored

MADE = [kind for kind in SHIFTS if not is_stored(KindSpec(kind))]
LEVELS = [(kind, level) for kind in MADE for level in SHIFTS.build({"kind": kind}).levels]


def images(number=6, channels=1, side=8):
    generator = torch.Generator().manual_seed(0)
    shape = (number, channels, side, side)
    return torch.randint(256, shape, dtype=torch.uint8, generator=generator)


def changed(kind, level, of, seed=0):
    return SHIFTS.build({"kind": kind}).changed(of, level, np.random.default_rng(seed))


@pytest.mark.parametrize("kind", [kind for kind in SHIFTS if kind not in MADE])
def test_a_shift_in_files_says_where_they_lie_and_how_often_an_image_is_there(kind):
    built = SHIFTS.build({"kind": kind})
    facts = built.constraints
    assert set(facts) == {"by_value", "strengths", "images", "labels"} and facts["by_value"]
    assert "{name}" in facts["images"] and facts["images"] != facts["labels"]
    assert built.levels == list(range(1, facts["strengths"] + 1))


@pytest.mark.parametrize(("kind", "level"), LEVELS)
@pytest.mark.parametrize(("channels", "side"), [(1, 8), (1, 28), (3, 32)])
def test_a_shift_keeps_shape_and_bytes_and_changes_images(kind, level, channels, side):
    before = images(channels=channels, side=side)
    after = changed(kind, level, before)
    assert after.shape == before.shape and after.dtype == torch.uint8
    assert not torch.equal(after, before)
    assert torch.equal(after, changed(kind, level, before)), "the same twice"


@pytest.mark.parametrize("kind", [kind for kind in MADE if kind not in ("rotation", "contrast")])
def test_a_higher_level_is_further_from_the_image(kind):
    before = images(side=32, channels=3)
    far = [
        (changed(kind, level, before).float() - before.float()).square().mean().item()
        for level in SHIFTS.build({"kind": kind}).levels
    ]
    assert far == sorted(far) and far[0] > 0


@pytest.mark.parametrize(("degrees", "quarters"), [(90, 1), (180, 2), (270, 3)])
@pytest.mark.parametrize("side", [8, 28])
def test_a_rotation_by_quarters_moves_every_pixel_to_its_place(degrees, quarters, side):
    before = images(side=side)
    assert torch.equal(changed("rotation", degrees, before), before.rot90(quarters, (2, 3)))


def test_a_rotation_brings_black_into_view():
    white = torch.full((1, 1, 9, 9), 255, dtype=torch.uint8)
    turned = changed("rotation", 45, white)[0, 0]
    assert turned[0, 0] == 0 and turned[4, 4] == 255


def test_noise_has_its_standard_deviation_and_a_seed():
    grey = torch.full((1, 1, 200, 200), 128, dtype=torch.uint8)
    noisy = changed("gaussian_noise", 0.08, grey).double()
    assert noisy.mean().item() == pytest.approx(128, abs=0.5)
    assert noisy.std().item() / 255 == pytest.approx(0.08, rel=0.02)
    assert not torch.equal(noisy, changed("gaussian_noise", 0.08, grey, seed=1).double())


def test_a_blur_is_a_gaussian_of_its_width():
    dot = torch.zeros(1, 1, 31, 31, dtype=torch.uint8)
    dot[..., 15, 15] = 255
    sigma = 1.0
    x = np.arange(31) - 15.0
    line = np.exp(-(x**2) / (2 * sigma**2))
    expected = 255 * np.outer(line, line) / line.sum() ** 2
    found = changed("blur", sigma, dot)[0, 0].numpy().astype(float)
    assert np.abs(found - expected).max() <= 0.75


def test_brightness_multiplies_and_contrast_draws_to_the_mean():
    before = images(channels=1)
    dark = changed("brightness", 0.4, before)
    assert (dark.double() - 0.4 * before.double()).abs().max() <= 1
    mean = before.double().mean((1, 2, 3), keepdim=True)
    flat = changed("contrast", 0.3, before)
    assert (flat.double() - (mean + 0.3 * (before.double() - mean))).abs().max() <= 1.5


def test_pixelated_images_are_blocks_of_means():
    before = images(side=8)
    after = changed("pixelate", 0.5, before)
    blocks = after.reshape(-1, 1, 4, 2, 4, 2)
    assert (blocks == blocks[:, :, :, :1, :, :1]).all()
