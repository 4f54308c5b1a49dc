"""The templates of this folder, strict about what they are given."""

from pathlib import Path

import jinja2

FOLDER = Path(__file__).parent


def environment(*, autoescape: bool) -> jinja2.Environment:
    """Return where the templates are loaded from; a name that is not given is an error.

    Args:
        autoescape: whether texts become HTML.
    """
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER),
        autoescape=autoescape,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
