"""Random crops and flips against plain slices, and what a study may say of them."""

import pytest
import torch
from bad_studies import refusal
from small_study import changed

from incbayes.data.augmentation import Augmentation
from incbayes.report.methods import describe_experiment
from incbayes.study.model import AugmentationSettings, plain_study
from incbayes.study.resolve import resolve_study


def images(count=6, channels=3, height=5, width=7):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(count, channels, height, width, generator=generator)


@pytest.mark.parametrize("flip", [True, False])
@pytest.mark.parametrize("crop", [0, 1, 3])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_image_is_a_window_of_itself_in_zeros_or_of_its_mirror(channels, crop, flip):
    augmentation, x = Augmentation(crop, flip), images(channels=channels)
    draws = augmentation.draws(len(x), torch.Generator().manual_seed(2))
    found = augmentation.applied(x, draws)
    assert found.shape == x.shape and found.dtype == x.dtype
    height, width = x.shape[2:]
    for image, made, (row, column, mirrored) in zip(x, found, draws.T.tolist(), strict=True):
        around = torch.zeros(channels, height + 2 * crop, width + 2 * crop)
        around[:, crop : crop + height, crop : crop + width] = image
        window = around[:, row : row + height, column : column + width]
        assert torch.equal(made, window.flip(2) if mirrored else window)
    assert flip or not draws[2].any()


def test_all_offsets_come_equally_often_and_half_are_flipped():
    draws = Augmentation(2, True).draws(50_000, torch.Generator().manual_seed(3))
    for offsets in draws[:2]:
        counts = torch.bincount(offsets)
        assert len(counts) == 5 and (counts - 10_000).abs().max() < 5 * 90
    assert abs(draws[2].double().mean() - 0.5) < 5 * 0.5 / 50_000**0.5
    assert torch.corrcoef(draws.double()).fill_diagonal_(0).abs().max() < 0.03


def test_whether_images_are_flipped_does_not_change_their_crops():
    drawn = [Augmentation(2, f).draws(9, torch.Generator().manual_seed(4)) for f in (True, False)]
    assert torch.equal(drawn[0][:2], drawn[1][:2])


def test_the_usual_is_that_of_the_paper_and_nothing_where_nothing_is_stated():
    study = resolve_study(changed(("experiments.plain.augmentation", {})))
    assert study.experiments["plain"].augmentation == AugmentationSettings(crop=4, flip=True)
    described = dict(describe_experiment(study, "plain", [3]))
    words = "random crops after 4 pixels of padding and random flips, in training alone"
    assert described["Augmentation"] == words
    without = resolve_study(changed())
    assert "augmentation" not in plain_study(without)["experiments"]["plain"]
    assert "Augmentation" not in dict(describe_experiment(without, "plain", [3]))
    assert Augmentation.of(without.experiments["plain"].augmentation) is None


@pytest.mark.parametrize(
    ("dataset", "value", "expected"),
    [
        (None, {"crop": 8}, ".crop: found 8, but images have 8 pixels on a side; allowed: less"),
        (None, {"crop": 0, "flip": False}, ": neither crops nor flips; leave it out"),
        ("breast_cancer", {}, ": breast_cancer is a table, which has nothing to crop or flip; lea"),
    ],
)
def test_what_cannot_be_augmented_is_refused(dataset, value, expected):
    changes = [("experiments.plain.augmentation", value)]
    if dataset is not None:
        changes.append(("experiments.plain.dataset", dataset))
        changes.append(("experiments.plain.model", "mlp"))
    raw = changed(*changes)
    if dataset is not None:
        raw["experiments"]["plain"].pop("pixels", None)
    assert refusal(raw).startswith(f"experiments.plain.augmentation{expected}")
