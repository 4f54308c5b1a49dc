"""The base of every error that a user can act on: shown as one line, without a traceback."""


class UserError(Exception):
    """Names the thing that is wrong, what was found, and the way out."""
