"""The words of a study as plain text of pages that are made by others, whatever they hold.

Knows which signs reStructuredText, Markdown and a page's scripts read as markup; for HTML the
templates escape by themselves.
"""

import json
import re
import string
from typing import Any

FOR_RST = str.maketrans({sign: f"\\{sign}" for sign in string.punctuation})
FOR_MARKDOWN = str.maketrans({sign: f"\\{sign}" for sign in "\\|<>[]*_`~$&"})
FOR_SCRIPTS = str.maketrans({sign: f"\\u{ord(sign):04x}" for sign in "<>&"})


def for_rst(text: str) -> str:
    """Return a text that reStructuredText shows as it is, in one line."""
    return _one_line(text).translate(FOR_RST)


def for_markdown(text: str) -> str:
    """Return a text that Markdown shows as it is, within a line and a cell of a table."""
    return _one_line(text).translate(FOR_MARKDOWN)


def for_scripts(value: Any) -> str:
    """Return a value as JSON that may stand in a string of a page's script.

    Snakemake's report writes the params of what it shows into a script, as they are.
    """
    text = json.dumps(value, ensure_ascii=False).translate(FOR_SCRIPTS)
    # Within words a brace would begin a wildcard for Snakemake; JSON's own stand before " or }.
    return re.sub(r'\{(?!["}])', r"\\u007b", text)


def from_scripts(text: str) -> Any:
    """Return the value that `for_scripts` was given; its tuples are lists."""
    return json.loads(text)


def _one_line(text: str) -> str:
    return " ".join(text.split())
