from math import floor

import pytest
from shipped_studies import STUDIES, with_images

from incbayes.core.fractions import images_in
from incbayes.study.datasets import data_constraints
from incbayes.study.resolve import resolve_study
from incbayes.study.settings import scored_share
from incbayes.study.yaml import read_yaml

DIGITS_5_TO_9 = {"train": 29404, "test": 4861}
"""Images of MNIST; the classes of the other data sets have equally many."""


@pytest.mark.parametrize(
    ("fraction", "images", "expected"),
    [(0.5, 4861, 2430), (0.5, 3, 2), (0.5, 1, 0), (0.1, 4861, 486), (0.2, 60000, 12000), (1, 7, 7)],
)
def test_a_fraction_is_rounded_and_a_half_to_even(fraction, images, expected):
    assert images_in(fraction, images) == expected


def counts(study):
    """Yield every (fraction, number of images it is of) of a study and what they are."""
    for name, experiment in study.experiments.items():
        cut = experiment.partition
        data = data_constraints(experiment.dataset, study.data_root)
        whole = {key: data[key] for key in ("train", "test")}
        target = len(data["classes"])
        if cut.source_classes is not None:
            source = cut.source_classes
            target -= source if isinstance(source, int) else len(source)
            whole = {key: number * target // len(data["classes"]) for key, number in whole.items()}
            if experiment.dataset.kind == "mnist":
                assert list(source) == [0, 1, 2, 3, 4]
                whole = DIGITS_5_TO_9
        yield "training", cut.fraction, whole["train"]
        yield "source", cut.source_fraction, data["train"] - whole["train"]
        kept = images_in(cut.fraction, whole["train"])
        if study.tune:
            yield "validation", study.tune.validation, kept
        for method in experiment.methods:
            yield "test", scored_share(study, name, method), whole["test"]


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_of_the_shipped_studies_only_test_images_come_to_a_half(path, tmp_path):
    written = with_images(read_yaml(path), tmp_path)
    for budget in ("full", *written.get("budgets", {})):
        for what, fraction, images in counts(resolve_study(written | {"budget": budget})):
            half_up = floor(fraction * images + 0.5)
            # What each was before there was one rule.
            assert images_in(fraction, images) == half_up or (
                (what, fraction, images) == ("test", 0.5, DIGITS_5_TO_9["test"])
            )
