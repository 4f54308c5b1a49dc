import pytest

from incbayes.core.durations import duration, estimate, in_two_units


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(3.25, "3.2 s"), (61, "1 min 01 s"), (3599.6, "1 h 00 min"), (7380, "2 h 03 min")],
)
def test_durations_in_tables(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (70, "1 min 10 s"),
        (3600, "1 h"),
        (3660, "1 h 1 min"),
        (3605, "1 h"),
        (90_000, "1 d 1 h"),
    ],
)
def test_durations_in_two_units(seconds: float, words: str):
    assert in_two_units(seconds) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "5 s"), (5, "5 s"), (12, "15 s"), (61, "1 min 10 s"), (599, "10 min"), (601, "11 min")],
)
def test_estimates_are_rounded_up(seconds: float, words: str):
    assert estimate(seconds) == words
