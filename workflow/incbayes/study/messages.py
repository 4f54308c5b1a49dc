"""Says in words what a node of the study's schema allows, and what a value breaks.

It knows JSON Schema and how errors are worded; it knows nothing of the keys of a study.
"""

import math
from collections.abc import Callable, Iterable
from typing import Any

from jsonschema import ValidationError

from incbayes.core.registry import nearest
from incbayes.study.yaml import Key, KeyPath, StudyError, shown

Node = dict[str, Any]

TYPES = {
    "integer": "a whole number",
    "number": "a number",
    "string": "text",
    "boolean": "true or false",
    "array": "a list",
    "object": "a mapping",
    "null": "null",
}
LIMITS = {
    "minimum": "of at least",
    "exclusiveMinimum": "greater than",
    "maximum": "at most",
    "exclusiveMaximum": "less than",
}
OUTSIDE = "x-outside"
"""Says that a kind may be a class from outside the library, and of which key of a study it is."""

UNQUOTED = "YAML 1.1 reads an unquoted yes, no, on or off as true or false"


def check_known(
    path: KeyPath, name: str, known: Iterable[str], fault: str, listed: str = "known"
) -> None:
    """Check that a name is among those that there are.

    Args:
        path: of the name, for the message.
        name: as the study has it.
        known: what it may be.
        fault: what is said of any other, e.g. `unknown experiment 'plane'`.
        listed: the word before what it may be.

    Raises:
        StudyError: it is another one; with the nearest of those that there are.
    """
    names = list(known)
    if name not in names:
        raise StudyError(path, f"{fault}{nearest(name, names)}; {listed}: {', '.join(names)}")


def types(node: Node) -> list[str]:
    """Return the JSON types that a node allows, those of `anyOf` included and null first."""
    own = node.get("type", [])
    found = [own] if isinstance(own, str) else list(own)
    for branch in node.get("anyOf", []):
        found += [name for name in types(branch) if name not in found]
    return sorted(found, key=lambda name: name != "null")


def kinds(node: Node) -> list[str]:
    """Return the names that a node of the form `{kind: name, …}` allows, else an empty list."""
    kind = node.get("properties", {}).get("kind", {})
    names: list[str] = kind.get("else", kind).get("enum", [])
    return names


def listed(words: Iterable[str]) -> str:
    """Return `a`, `a or b`, `a, b or c`."""
    *head, last = list(words)
    return f"{', '.join(head)} or {last}" if head else last


def allowed(node: Node) -> str:
    """Return what a node allows, e.g. `null or a number greater than 0`."""
    node = node.get("else", node)  # of a kind: the mapping, which says more than its name
    if "enum" in node:
        return ", ".join(str(value) for value in node["enum"])
    if kinds(node):
        noun = node["properties"]["kind"]["x-noun"]
        return f"a {noun}, by name or as {{kind: name, options}}: {', '.join(kinds(node))}"
    if "anyOf" in node:
        branches = sorted(node["anyOf"], key=lambda branch: types(branch) != ["null"])
        return listed(allowed(branch) for branch in branches)
    return listed(_typed(name, node) for name in types(node)) if types(node) else "any value"


def _typed(name: str, node: Node) -> str:
    if name in ("integer", "number"):
        limits = [f"{word} {node[key]}" for key, word in LIMITS.items() if key in node]
        return " ".join([TYPES[name], " and ".join(limits)]).strip()
    if name == "string":
        return f"text ({node['x-pattern']})" if "x-pattern" in node else "text"
    if name == "array":
        least = f"{node['minItems']} or more, " if "minItems" in node else ""
        return f"a list ({least}each {allowed(node['items'])})"
    return TYPES[name]


def found(value: Any, node: Node) -> str:
    """Return `found VALUE`, with what it is or how it came about where that is not plain."""
    text = f"found {shown(value)}"
    if isinstance(value, bool) and "string" in types(node):
        return f"{text} ({UNQUOTED})"
    if isinstance(value, str) and "string" not in types(node) and "enum" not in node:
        return f"{text} (text)"
    if value is None or isinstance(value, str | int | float | list | dict):
        return text
    return f"{text} ({type(value).__name__})"


def is_finite(value: Any) -> bool:
    """Return whether a value is a number that a float can hold; true and false are none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def study_error(error: ValidationError) -> StudyError:
    """Return the one-line form of a schema error."""
    deeper = [child for child in error.context if child.relative_path]
    if deeper:
        return study_error(deeper[0])
    path = list(error.absolute_path)
    if error.validator == OUTSIDE:
        return StudyError(path, error.message)
    if "propertyNames" in error.absolute_schema_path:
        return StudyError([*path, error.instance], f"not a name; allowed: {allowed(error.schema)}")
    return EXPLANATIONS.get(error.validator, _value)(path, error.instance, error.schema)


def _value(path: list[Key], value: Any, node: Node) -> StudyError:
    close = nearest(value, node["enum"]) if "enum" in node and isinstance(value, str) else ""
    return StudyError(path, f"{found(value, node)}{close}; allowed: {allowed(node)}")


def _enum(path: list[Key], value: Any, node: Node) -> StudyError:
    if "x-noun" not in node:
        return _value(path, value, node)
    # The kind is mostly written in short, `family: ffg`, so that the path leaves it out.
    detail = f"unknown {node['x-noun']} {shown(value)}{nearest(value, node['enum'])}"
    return StudyError(path[:-1], f"{detail}; known: {', '.join(node['enum'])}")


def _unknown_key(path: list[Key], value: Any, node: Node) -> StudyError:
    names = [name for name in node["properties"] if name != "kind"]
    key = next(key for key in value if key not in node["properties"])
    what = f"option of {node['title']}" if "kind" in node["properties"] else "key"
    known = f"allowed: {', '.join(names)}" if names else "it has no options"
    return StudyError([*path, key], f"unknown {what}{nearest(key, names)}; {known}")


def _missing_key(path: list[Key], value: Any, node: Node) -> StudyError:
    key = next(key for key in node["required"] if key not in value)
    return StudyError([*path, key], f"missing; allowed: {allowed(node['properties'][key])}")


def _empty(path: list[Key], value: Any, node: Node) -> StudyError:
    return StudyError(path, "empty; at least one entry is needed")


def _repeated(path: list[Key], value: Any, node: Node) -> StudyError:
    position = next(i for i, item in enumerate(value) if item in value[:i])
    return StudyError([*path, position], f"{shown(value[position])} is given twice")


EXPLANATIONS: dict[str, Callable[[list[Key], Any, Node], StudyError]] = {
    "additionalProperties": _unknown_key,
    "required": _missing_key,
    "minProperties": _empty,
    "uniqueItems": _repeated,
    "enum": _enum,
}
