"""Random streams depend on their names alone."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from incbayes.core.streams import numpy_stream, stream_seed, torch_stream

NAMES = st.lists(st.one_of(st.text(max_size=3), st.integers(-3, 1000)), max_size=3)


def test_the_seed_of_a_name_stays_what_it_is():
    # Changing these numbers changes every result that was ever published.
    assert stream_seed(2018) == 4915621892729700931
    assert stream_seed(2018, "digits", "partition", 0) == 3369530846013327005


@settings(max_examples=50, deadline=None)
@given(NAMES, NAMES)
def test_different_names_have_different_seeds_in_63_bits(first, second):
    assert 0 <= stream_seed(7, *first) < 2**63
    assert (stream_seed(7, *first) == stream_seed(7, *second)) == (first == second)


def test_names_are_kept_apart():
    assert stream_seed(0, "a", "bc") != stream_seed(0, "ab", "c")
    assert stream_seed(0, 1) != stream_seed(0, "1")
    assert stream_seed(0, 1) != stream_seed(1, 0)


@pytest.mark.parametrize("name", [None, 1.0, True, np.int64(1), ("a",)])
def test_other_types_of_names_are_refused(name):
    with pytest.raises(TypeError, match="use str or int"):
        stream_seed(0, "digits", name)


def test_streams_repeat_and_differ():
    def draw(*names):
        return numpy_stream(1, *names).integers(2**62), torch_stream(1, *names).initial_seed()

    assert draw("a", 1) == draw("a", 1)
    assert draw("a", 1) != draw("a", 2)


def test_a_torch_stream_leaves_the_global_one_alone():
    state = torch.random.get_rng_state()
    first = torch.rand(3, generator=torch_stream(1, "x"))
    assert torch.equal(first, torch.rand(3, generator=torch_stream(1, "x")))
    assert torch.equal(state, torch.random.get_rng_state())
