"""Defaults stay what they are: a statement of a claim, or a study, leaves them out.

A default that changes would change what a study runs, and what was stated of it, without a word.
What is to behave otherwise gets another key or kind. `python tests/study/test_defaults_stay.py`
writes down the defaults that are new.
"""

import json
from pathlib import Path

from incbayes.study.schema import schema_document

KNOWN = Path(__file__).with_name("defaults.json")
DOCUMENTS = ("study.schema.yaml", "kinds.schema.yaml")


def defaults(node, path=""):
    """Yield path and value of every default in a schema."""
    if isinstance(node, list):
        for place, item in enumerate(node):
            yield from defaults(item, f"{path}/{place}")
    if not isinstance(node, dict):
        return
    for key, value in node.items():
        if key == "default" and path.rpartition("/")[2] != "properties":
            yield path, value
        else:
            yield from defaults(value, f"{path}/{key}")


def current():
    return {
        f"{name.partition('.')[0]}{path}": value
        for name in DOCUMENTS
        for path, value in defaults(schema_document(name))
    }


def test_no_default_has_changed():
    known, now = json.loads(KNOWN.read_text(encoding="utf-8")), current()
    changed = {path: (known[path], now[path]) for path in known if now.get(path) != known[path]}
    gone = {path for path in changed if path not in now}
    assert {path: found for path, found in changed.items() if path not in gone} == {}
    assert set(now) <= set(known), "write them down: python tests/study/test_defaults_stay.py"


if __name__ == "__main__":
    before = json.loads(KNOWN.read_text(encoding="utf-8")) if KNOWN.exists() else {}
    KNOWN.write_text(
        json.dumps(current() | before, indent=0, sort_keys=True) + "\n", encoding="utf-8"
    )
