"""What a job needs of whoever listens to it; `console` is the listener of the workflow."""

from typing import Protocol

from incbayes.inference.optimisation import Optimisation


class Voice(Protocol):
    """A listener to a job."""

    def say(self, line: str) -> None:
        """Take one line of plain text."""

    def narrate(self, replicate: int, optimisation: Optimisation) -> None:
        """Take note of a step; called after every one."""
