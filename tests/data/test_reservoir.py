"""The reservoir: uniform, of the right size, made of what it held and of the new part."""

import numpy as np
import pytest
from scipy.stats import chisquare

from incbayes.core.streams import numpy_stream
from incbayes.data.reservoir import reservoir

PARTS = [np.arange(30, 50), np.arange(10), np.arange(60, 71)]


def kept(count, size=8, seed=0):
    return reservoir(PARTS[:count], size, numpy_stream(seed, "reservoir"))


@pytest.mark.parametrize("size", [1, 8, 25, 41, 1000])
def test_it_has_as_many_distinct_images_as_there_are_or_as_it_holds(size):
    for count in range(len(PARTS) + 1):
        seen = np.concatenate([np.empty(0, np.int64), *PARTS[:count]])
        found = kept(count, size)
        assert len(set(found)) == len(found) == min(size, len(seen))
        assert set(found) <= set(seen)


def test_a_part_adds_only_its_own():
    for seed in range(50):
        for count in (1, 2, 3):
            before, now = kept(count - 1, seed=seed), kept(count, seed=seed)
            assert set(now) <= {*before, *PARTS[count - 1]}


def test_every_image_is_kept_equally_often():
    runs, seen = 4000, np.concatenate(PARTS)
    found = np.concatenate([kept(3, seed=seed) for seed in range(runs)])
    counts = np.array([(found == index).sum() for index in seen])
    assert counts.sum() == 8 * runs
    assert chisquare(counts).pvalue > 1e-3


def test_the_same_stream_keeps_the_same():
    assert np.array_equal(kept(3), kept(3)) and not np.array_equal(kept(3), kept(3, seed=1))
