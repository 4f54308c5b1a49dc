"""How training ended: the numbers of the report's table, by hand."""

import numpy as np
import pandas as pd
import pytest
from made_studies import Shape, made_context, made_frames, made_study

from incbayes.report.convergence import HEADINGS, convergence_table, stage_ends

SHAPE = Shape(methods=2, experiments=1, parts=(1, 2), replicates=2, layers=1)
COLUMNS = [
    "study", "experiment", "method", "T", "block", "t",
    "replicate", "epoch", "images", "elbo", "nll", "kl", "sigma_ratio",
]  # fmt: skip


def training(*rows):
    """Return training rows of the made study from (method, t, replicate, epoch, elbo, sigma)."""
    return pd.DataFrame(
        [
            ["made", "e0", method, 2, "r0-1", t, replicate, epoch, 50, elbo, 0.25, 5.0, sigma]
            for method, t, replicate, epoch, elbo, sigma in rows
        ],
        columns=COLUMNS,
    )


def test_the_gain_is_of_the_last_epoch_of_each_replicate_and_per_image():
    ends = stage_ends(
        training(
            ("m1", 1, 1, 2, -90.0, 0.4),  # order in the file does not matter
            ("m1", 1, 0, 1, -100.0, 0.2),
            ("m1", 1, 0, 2, -80.0, 0.5),
            ("m1", 1, 0, 3, -75.0, 0.6),
            ("m1", 1, 1, 1, -100.0, 0.2),
            ("m1", 2, 0, 1, -30.0, 0.9),
        ),
        made_study(SHAPE),
    )
    assert ends["t"].tolist() == [1, 1, 2]
    assert ends["epochs"].tolist() == [3, 2, 1]
    assert ends["elbo"].tolist() == pytest.approx([-1.5, -1.8, -0.6])
    assert ends["gain"].tolist() == pytest.approx([0.1, 0.2, np.nan], nan_ok=True)
    assert ends["kl"].tolist() == pytest.approx([0.1, 0.1, 0.1])
    assert ends["sigma_ratio"].tolist() == [0.6, 0.4, 0.9]


@pytest.mark.parametrize(
    ("plateau", "expected"), [(None, "–"), ({"patience": 1, "min_delta": 0.0}, "1 of 2")]
)
def test_replicates_that_a_plateau_stopped_are_counted(plateau, expected):
    study = made_study(SHAPE, training={"plateau": plateau, "epochs": 3})
    rows = [("m1", 1, 0, epoch, -10.0, 1.0) for epoch in (1, 2, 3)]
    rows += [("m1", 1, 1, epoch, -10.0, 1.0) for epoch in (1, 2)]
    table = convergence_table(stage_ends(training(*rows), study), "e0", made_context(SHAPE))
    (row,) = table.rows
    assert dict(zip(HEADINGS, row, strict=True)) == {
        "Method": "FFG",
        "T": "2",
        "Stage": "1",
        "Epochs": "2 to 3 of 3",
        "Stopped early": expected,
        "Bound, last epoch (nats)": "+0.0000",
        "Training NLL (nats)": "0.2500",
        "σ / σ of prior": "1.000",
    }


def test_first_and_last_stages_are_shown_and_all_are_in_the_file():
    shape = Shape(methods=2, experiments=2, parts=(1, 4), replicates=2)
    ends = stage_ends(made_frames(shape).training, made_study(shape))
    table = convergence_table(ends, "e1", made_context(shape))
    shown = [(row[0], row[1], row[2]) for row in table.rows]
    stages = [("1", "1"), ("4", "1"), ("4", "4")]
    assert shown == [(label, *stage) for label in ("Fine-tuning", "FFG") for stage in stages]
    assert set(table.frame["t"]) == {1, 2, 3, 4}
    assert [row[-1] for row in table.rows[:3]] == ["–", "–", "–"], "a point has no width"
    assert convergence_table(ends[ends["experiment"] == "e0"], "e1", made_context(shape)) is None


def test_a_study_of_points_alone_has_no_width_to_show():
    shape = Shape(methods=1, experiments=1, parts=(1,), replicates=1, points_only=True)
    made = made_frames(shape).training
    ends = stage_ends(
        made[[c for c in made if not c.startswith(("kl", "sigma"))]], made_study(shape)
    )
    (row,) = convergence_table(ends, "e0", made_context(shape)).rows
    assert row[-1] == "–"
