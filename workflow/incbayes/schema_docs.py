"""Generates what is derived: `kinds.schema.yaml`, `docs/config.md` and the ledgers in README.md.

`python -m incbayes.schema_docs` writes them, `--check` only says whether they are current. It
imports every registered class, torch included, so that planning a study need not.
"""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from incbayes.claims import CLAIM_TESTS
from incbayes.config_page import config_page
from incbayes.data import DATASETS, PIXELS
from incbayes.families import FAMILIES
from incbayes.models import MODELS
from incbayes.options import options_schema
from incbayes.priors import PRIORS
from incbayes.registry import Registry
from incbayes.report.published import with_ledgers
from incbayes.study_schema import KINDS, SCHEMAS, STUDY, joined_schema, schema_document

REGISTRIES = {
    "dataset": DATASETS,
    "model": MODELS,
    "pixels": PIXELS,
    "family": FAMILIES,
    "prior": PRIORS,
    "relation": CLAIM_TESTS,
}
"""Registries by the key of a study that names one of their entries."""

ROOT = SCHEMAS.parent.parent
PAGE = ROOT / "docs" / "config.md"
README = ROOT / "README.md"
HEADER = """\
# The kinds that a study may name, and their options.
# Generated from the registered classes by `python -m incbayes.schema_docs`; do not edit.
"""


class PlainDumper(yaml.SafeDumper):
    """Writes every value out, without the anchors that only machines read well."""

    def ignore_aliases(self, data: Any) -> bool:
        """Return True: no value becomes an anchor."""
        return True


def kinds_document() -> dict[str, Any]:
    """Return the schema of all kinds, from the registered classes."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": KINDS,
        "$defs": {key: kinds_schema(key, registry) for key, registry in REGISTRIES.items()},
    }


def generated_files() -> dict[Path, str]:
    """Return the text of every generated file by its path."""
    kinds = kinds_document()
    # None writes the innermost lists and mappings in one line.
    body = yaml.dump(
        kinds,
        Dumper=PlainDumper,
        sort_keys=False,
        allow_unicode=True,
        width=96,
        default_flow_style=None,
    )
    page = config_page(joined_schema(schema_document(STUDY), kinds))
    readme = with_ledgers(README.read_text(encoding="utf-8"), ROOT)
    return {SCHEMAS / KINDS: HEADER + body, PAGE: page, README: readme}


def kinds_schema(key: str, registry: Registry) -> dict[str, Any]:
    """Return the schema of a key that names an entry of `registry`, as text or `{kind: …}`.

    The options are chosen by `if` on the kind, so that an error is that of the option and
    not that of every kind at once.
    """
    entries = {
        kind: _entry_schema(f"{registry.noun} {kind}", kind, registry[kind]) for kind in registry
    }
    short = [kind for kind, entry in entries.items() if entry["required"] == ["kind"]]
    choices = [
        {
            "if": {"required": ["kind"], "properties": {"kind": {"const": kind}}},
            "then": {"$ref": f"#/$defs/{key}/$defs/{kind}"},
        }
        for kind in entries
    ]
    kind = {
        "description": f"Name of the {registry.noun}.",
        "enum": list(entries),
        "x-noun": registry.noun,
    }
    return {
        "description": f"A {registry.noun}: its name, or a mapping with its options.",
        "x-noun": registry.noun,
        "if": {"type": "string"},
        "then": {"enum": short},
        "else": {
            "type": "object",
            "required": ["kind"],
            "properties": {"kind": kind},
            "allOf": choices,
        },
        "$defs": entries,
    }


def _entry_schema(title: str, kind: str, cls: type) -> dict[str, Any]:
    schema = {"title": title, **options_schema(kind, cls)}
    constraints = getattr(cls, "constraints", {})
    # Where it is a property, the study states them as options.
    declared = dict(constraints) if isinstance(constraints, Mapping) else {}
    return schema | ({"x-constraints": declared} if declared else {})


def main(arguments: list[str] | None = None) -> int:
    """Write the files, or with `--check` compare them; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m incbayes.schema_docs", description=__doc__)
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit 1 if a file is out of date"
    )
    check_only = parser.parse_args(arguments).check
    stale = [_update(path, text, check_only) for path, text in generated_files().items()]
    return int(check_only and any(stale))


def _update(path: Path, text: str, check_only: bool) -> bool:
    """Write `text` unless it is there or `check_only`; return whether the file was stale."""
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        return False
    if check_only:
        print(f"{path}: out of date; run python -m incbayes.schema_docs", file=sys.stderr)
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        print(f"{path}: written")
    return True


if __name__ == "__main__":
    sys.exit(main())
