"""What a refusal looks like: one line that a person can read."""

import pytest

from incbayes.core.errors import UserError


def refusal(action, error=UserError):
    """Return the text of the error that an action ends in, which is one line."""
    with pytest.raises(error) as caught:
        action()
    text = str(caught.value)
    assert text and len(text.splitlines()) == 1
    return text
