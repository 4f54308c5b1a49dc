"""How a job ends early: by an error that a user can act on, or because it was told to stop."""

import signal

TERMINATED = 128 + signal.SIGTERM
"""Exit status of a job that was told to stop."""


class UserError(Exception):
    """Names the thing that is wrong, what was found, and the way out.

    Shown as one line, without a traceback.
    """
