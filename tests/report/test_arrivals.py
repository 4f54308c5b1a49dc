"""What a report says of a stream's parts: numbers always, a mark where chance was ruled out."""

import json

import pytest

from incbayes.core.seal import write_seal
from incbayes.evaluation.held_out import FEWEST
from incbayes.report.arrivals import arrival_table, collect_arrivals

ROW = {"metric": "accuracy", "images": 40, "before": 0.7, "after": 1.0, "low": 0.2, "high": 0.4}
IDENTITY = {"study": "s", "experiment": "photos", "method": "ffg", "T": 2, "t": 2, "part": "p2"}
IDENTITY["replicates"] = [0, 1]


class Context:
    """Labels alone."""

    methods = {"ffg": "FFG"}  # noqa: RUF012


def scored(folder, held_out, differs, images=40):
    """Write the drift of two replicates, of a share of the part or of all of it."""
    folder = folder / "s/photos/ffg/stream/r0-1/t02"
    folder.mkdir(parents=True)
    parents = {"images": write_seal(folder / "p.seal.json", "images", {"data": "p2"})}
    test = write_seal(folder / "test.seal.json", "images", {"data": "test"})
    parents["test"] = parents["images"] if held_out else test
    path = folder / "drift.json"
    rows = [{**ROW, "images": images, "replicate": r, "differs": d} for r, d in enumerate(differs)]
    path.write_text(json.dumps(rows))
    write_seal(folder / "metrics.seal.json", "scores", IDENTITY, [path], parents)
    return path


@pytest.mark.parametrize(
    ("held_out", "images", "differs", "says"),
    [
        (True, 40, [True, False], "1 of 2"),
        (True, FEWEST, [False, False], "0 of 2"),
        (True, FEWEST - 1, [None, None], "–"),
        (True, FEWEST - 1, [False, False], "–"),  # as earlier versions said of too few
        (False, 40, [None, None], "–"),
        (False, 40, [True, True], "–"),  # as earlier versions marked what they had fitted
    ],
)
def test_a_difference_is_marked_of_enough_held_out_images_alone(
    tmp_path, held_out, images, differs, says
):
    path = scored(tmp_path, held_out, differs, images)
    table = arrival_table(collect_arrivals([path]), "photos", Context)
    (row,) = table.rows
    assert row[0] == "p2" and row[3:] == ["70.00", "100.00", says]
    assert "a model does better on images that it was fitted to" in table.caption
    assert "of fewer than 30 held-out images" in table.caption
