"""Which images of a stream's part are scored, where not all of them are."""

import numpy as np
import pytest
from stream_images import STATED, images, put

from incbayes.data.prepared import read_labels
from incbayes.jobs.evaluate_part import part_rows
from incbayes.jobs.part_data import prepare_part


@pytest.mark.parametrize("most", [10, 5])
def test_the_scored_images_of_a_part_are_not_those_of_its_first_class(most, tmp_path):
    put(tmp_path / "photos" / "parts" / "p1", images(1))
    folder = tmp_path / "data" / "parts" / "p1"
    prepare_part(STATED, tmp_path, "p1", folder)
    labels = read_labels(folder / "train.safetensors")
    assert labels.tolist() == [0] * 10 + [1] * 10, "sorted, so that the first are of one class"
    rows = part_rows(len(labels), most)
    assert len(set(rows.tolist())) == most and set(labels[rows].tolist()) == {0, 1}
    assert np.array_equal(rows, part_rows(len(labels), most)), "always the same ones"


def test_all_images_of_a_small_part_are_scored():
    assert part_rows(3, None).tolist() == part_rows(3, 5).tolist() == [0, 1, 2]
