"""Who hears of a fit while it runs."""

from typing import Protocol

from incbayes.inference.base import Run


class Listener(Protocol):
    """Takes the lines of a log, and notes every step."""

    def log(self, line: str) -> None:
        """Take one line of plain text."""

    def on_step(self, replicate: int, run: Run) -> None:
        """Take note of a step of a replicate's run; called after every one."""


class Silent:
    """A listener that keeps nothing."""

    def log(self, line: str) -> None:
        """Take one line of plain text."""

    def on_step(self, replicate: int, run: Run) -> None:
        """Take note of a step."""
