"""Generates what is derived: the two schemas, `docs/config.md` and the ledgers in README.md.

`python -m incbayes.docgen` writes them, `--check` only says whether they are current. It
imports every registered class, torch included, so that planning a study need not.
"""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from incbayes.core.options import options_schema
from incbayes.core.registry import Registry
from incbayes.docgen.config_page import config_page
from incbayes.docgen.study_schema import study_document
from incbayes.kinds import CLAIM_TESTS, METRICS, OF_A_METHOD, OF_AN_EXPERIMENT, OF_SCORES
from incbayes.publication.page import with_ledgers
from incbayes.study.messages import OUTSIDE
from incbayes.study.schema import KINDS, SCHEMAS, STUDY, joined_schema

REGISTRIES = OF_AN_EXPERIMENT | OF_SCORES | OF_A_METHOD | {"relation": CLAIM_TESTS}
"""Registries by the key of a study that names one of their entries."""

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "config.md"
README = ROOT / "README.md"
KINDS_HEADER = """\
# The kinds that a study may name, and their options.
# Generated from the registered classes by `python -m incbayes.docgen`; do not edit.
"""
STUDY_HEADER = """\
# A study: one YAML file. Beside the keywords of JSON Schema:
#   x-default  a default that depends on other keys, in words
#   x-pattern  a pattern in words
#   x-partial  only the keys that are written count; the rest comes from the level above
# Generated from the types in workflow/incbayes/study/model/ by `python -m incbayes.docgen`; do not
# edit.
"""


class PlainDumper(yaml.SafeDumper):  # type: ignore[misc]  # PyYAML has no types
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
    study, kinds = study_document(), kinds_document()
    return {
        SCHEMAS / STUDY: STUDY_HEADER + _yaml(study),
        SCHEMAS / KINDS: KINDS_HEADER + _yaml(kinds),
        PAGE: config_page(joined_schema(study, kinds), METRICS),
        README: with_ledgers(README.read_text(encoding="utf-8"), ROOT),
    }


def _yaml(document: dict[str, Any]) -> str:
    # None writes the innermost lists and mappings in one line.
    return yaml.dump(
        document,
        Dumper=PlainDumper,
        sort_keys=False,
        allow_unicode=True,
        width=96,
        default_flow_style=None,
    )


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
    names: dict[str, Any] = {"enum": list(entries), "x-noun": registry.noun}
    plain: dict[str, Any] = {"enum": short}
    if registry.open:
        outside = {"type": "string", "pattern": ":"}
        names = {"if": outside, "else": names, "x-noun": registry.noun}
        plain = {"anyOf": [plain, outside]}
    kind = {"description": f"Name of the {registry.noun}.", **names}
    article = "An" if registry.noun[0] in "aeiou" else "A"
    return {
        "description": f"{article} {registry.noun}: its name, or a mapping with its options.",
        "x-noun": registry.noun,
        "if": {"type": "string"},
        "then": plain,
        "else": {
            "type": "object",
            "required": ["kind"],
            "properties": {"kind": kind},
            "allOf": choices,
            **({OUTSIDE: key} if registry.open else {}),
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
    parser = argparse.ArgumentParser(prog="python -m incbayes.docgen", description=__doc__)
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit 1 if a file is out of date"
    )
    check_only = parser.parse_args(arguments).check
    if not README.is_file() or not PAGE.parent.is_dir():
        print(
            f"{ROOT}: no checkout of incbayes; the generated files are only in one", file=sys.stderr
        )
        return 1
    stale = [_update(path, text, check_only) for path, text in generated_files().items()]
    return int(check_only and any(stale))


def _update(path: Path, text: str, check_only: bool) -> bool:
    """Write `text` unless it is there or `check_only`; return whether the file was stale."""
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        return False
    if check_only:
        print(f"{path}: out of date; run python -m incbayes.docgen", file=sys.stderr)
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        print(f"{path}: written")
    return True
