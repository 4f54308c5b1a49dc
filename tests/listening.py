"""Listeners to fits, made of functions."""

from types import SimpleNamespace


def listening(on_step=lambda replicate, run: None, log=lambda line: None):
    """Return a listener that calls these."""
    return SimpleNamespace(on_step=on_step, log=log)
