"""Durations as text: exact in tables, in the two largest units while one waits."""

import math


def duration(seconds: float) -> str:
    """Return a duration for a table: `12.3 s`, `4 min 05 s`, `2 h 03 min`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def in_two_units(seconds: float) -> str:
    """Return a duration in its two largest units, without those that are zero: `1 min 10 s`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    units = [(days, "d"), (hours, "h"), (minutes, "min"), (rest, "s")]
    first = next((i for i, (value, _) in enumerate(units) if value), len(units) - 1)
    shown = [f"{value} {unit}" for value, unit in units[first : first + 2] if value]
    return " ".join(shown) or "0 s"


def estimate(seconds: float) -> str:
    """Return what is left in words, rounded up: to 5 s, from a minute on to 10 s, from ten to 60 s.

    An estimate of less than 5 s is `5 s`.
    """
    step = 5 if seconds < 60 else 10 if seconds < 600 else 60
    return in_two_units(step * max(1, math.ceil(seconds / step)))
