"""The schema of a study as one tree, and what is done along it: expand, check, fill.

It knows the schema files, and of a study only what they say. Both are generated: that of the study
from the types in `model`, that of the kinds from their classes, so that torch is not needed.
"""

import copy
import functools
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator, ValidationError, validators
from referencing import Registry, Resource

from incbayes.core.errors import UserError
from incbayes.core.outside import is_outside
from incbayes.study.messages import OUTSIDE, Node, is_finite, study_error, types
from incbayes.study.outside import outside_node

SCHEMAS = Path(__file__).parent / "schemas"
STUDY, KINDS = "study.schema.yaml", "kinds.schema.yaml"
EXPONENT = re.compile(r"[-+]?(\.\d+|\d+(\.\d*)?)[eE][-+]?\d+", re.ASCII)
"""A number that YAML 1.1 takes for text, such as 1e-3 without a dot."""


@functools.cache
def study_schema() -> Node:
    """Return the schema of a study, as `joined_schema` makes it of the two files."""
    return joined_schema(schema_document(STUDY), schema_document(KINDS))


def joined_schema(study: Node, kinds: Node) -> Node:
    """Return the schema of a study with every `$ref` replaced by what it refers to."""
    resources = [(STUDY, Resource.from_contents(study)), (KINDS, Resource.from_contents(kinds))]
    lookup = Registry().with_resources(resources).resolver(STUDY).lookup
    own = {key: node for key, node in study.items() if key not in ("$id", "$schema", "$defs")}
    return _inlined(own, lookup)


@functools.cache
def kind_schema(key: str) -> Node:
    """Return what the schema says of the kinds of e.g. "model", by themselves."""
    alone = {
        "$schema": schema_document(STUDY)["$schema"],
        "properties": {key: {"$ref": f"{KINDS}#/$defs/{key}"}},
    }
    node: Node = joined_schema(alone, schema_document(KINDS))["properties"][key]
    return node


@functools.cache
def schema_document(name: str) -> Node:
    """Return one of the schema files as it is."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return yaml.load((SCHEMAS / name).read_text(encoding="utf-8"), Loader=loader)


def kind_names(key: str) -> list[str]:
    """Return the names of the kinds of e.g. "prior"."""
    return list(schema_document(KINDS)["$defs"][key]["$defs"])


def kind_constraints(key: str, kind: str) -> dict[str, Any]:
    """Return the `constraints` of a class, e.g. of ("dataset", "mnist"); empty of an unknown."""
    if is_outside(kind):
        facts: dict[str, Any] = outside_node(key, kind)["x-constraints"]
        return facts
    return schema_document(KINDS)["$defs"][key]["$defs"].get(kind, {}).get("x-constraints", {})


def kind_defaults(key: str, kind: str) -> dict[str, Any]:
    """Return the options of a class that have a default, e.g. of ("dataset", "image_folder")."""
    options = schema_document(KINDS)["$defs"][key]["$defs"][kind]["properties"]
    return {name: node["default"] for name, node in options.items() if "default" in node}


def expand(value: Any, node: Node) -> Any:
    """Return a copy with shorthands written out, before the value is checked.

    `ffg` becomes `{kind: ffg}`, and text such as "1e-3" a number where one is wanted.
    """
    if isinstance(value, str):
        if "x-noun" in node:
            return {"kind": value}
        numeric = {"integer", "number"} & set(types(node)) and "string" not in types(node)
        return float(value) if numeric and EXPONENT.fullmatch(value) else value
    if isinstance(value, list):
        return [expand(item, _item_node(node)) for item in value]
    if isinstance(value, dict):
        node = _kind_node(value, node)
        return {key: expand(item, _child_node(node, key)) for key, item in value.items()}
    return value


def check(value: Any, node: Node | None = None) -> None:
    """Check an expanded study, or the part of one that `node` describes, against the schema.

    Raises:
        StudyError: the first unknown key, else the first other mismatch.
    """
    validator = _validator() if node is None else _validator().evolve(schema=node)
    errors = list(validator.iter_errors(value))
    if errors:
        # An unknown key comes first: misspelt, it is also why another one is missing.
        raise study_error(min(errors, key=lambda e: e.validator != "additionalProperties"))


def fill(value: Any, node: Node) -> Any:
    """Return a copy of a checked value with defaults, in the schema's order of keys.

    Numbers get the schema's type, so that 1 and 1.0 are one setting.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        wanted = {"integer": int, "number": float}
        exact = [wanted[name] for name in types(node) if name in wanted]
        return exact[0](value) if len(exact) == 1 else value
    if isinstance(value, list):
        return [fill(item, _item_node(node)) for item in value]
    if not isinstance(value, dict):
        return value
    node = _kind_node(value, node)
    if "properties" not in node:
        return {key: fill(item, _child_node(node, key)) for key, item in value.items()}
    others = [key for key in value if key not in node["properties"]]  # a class may take any
    known = {} if node.get("x-partial") else _defaults(node)
    known |= value
    filled = {
        key: fill(known[key], child) for key, child in node["properties"].items() if key in known
    }
    return filled | {key: value[key] for key in others}


def without_defaults(value: Any, node: Node) -> Any:
    """Return a copy of a value as `fill` returns it, without the keys that say what holds anyway.

    What it returns stays the same when a later release adds a key with a default.
    """
    if isinstance(value, list):
        return [without_defaults(item, _item_node(node)) for item in value]
    if not isinstance(value, dict):
        return value
    node = _kind_node(value, node)
    partial = "properties" not in node or node.get("x-partial")
    known = {} if partial else fill({}, node)
    return {
        key: without_defaults(item, _child_node(node, key))
        for key, item in value.items()
        if key not in known or item != known[key]
    }


def _defaults(node: Node) -> dict[str, Any]:
    return {
        key: expand(copy.deepcopy(child["default"]), child)
        for key, child in node["properties"].items()
        if "default" in child
    }


def _kind_node(value: dict[str, Any], node: Node) -> Node:
    """Return the node that says which keys `value` may have."""
    if "x-noun" not in node:
        return node
    kind, key = value.get("kind"), node.get("else", {}).get(OUTSIDE)
    if key and is_outside(kind):
        try:
            return outside_node(key, str(kind))
        except UserError:  # `check` says so
            return {}
    return node["$defs"].get(kind, {}) if isinstance(kind, str) else {}


def _child_node(node: Node, key: str) -> Node:
    further = node.get("additionalProperties")
    return node.get("properties", {}).get(key) or (further if isinstance(further, dict) else {})


def _item_node(node: Node) -> Node:
    branches = [node, *node.get("anyOf", [])]
    return next((branch["items"] for branch in branches if "items" in branch), {})


def _inlined(node: Any, lookup: Callable[[str], Any]) -> Any:
    """Return the node without `$ref`s; keys beside one win over what it refers to."""
    if isinstance(node, list):
        return [_inlined(item, lookup) for item in node]
    if not isinstance(node, dict):
        return node
    own = {key: _inlined(item, lookup) for key, item in node.items() if key != "$ref"}
    if "$ref" not in node:
        return own
    target = lookup(node["$ref"])
    return _inlined(target.contents, target.resolver.lookup) | own


@functools.cache
def _validator() -> Draft202012Validator:
    finite = Draft202012Validator.TYPE_CHECKER.redefine("number", lambda _, v: is_finite(v))
    whole = finite.redefine(
        "integer", lambda _, v: is_finite(v) and (isinstance(v, int) or v.is_integer())
    )
    extended = validators.extend(Draft202012Validator, {OUTSIDE: _outside}, type_checker=whole)
    return extended(study_schema())


def _outside(
    validator: Draft202012Validator, key: str, value: Any, node: Node
) -> Iterator[ValidationError]:
    """Yield what is wrong with a kind from outside the library, or with its options."""
    if isinstance(value, dict) and is_outside(value.get("kind")):
        try:
            described = outside_node(key, value["kind"])
        except UserError as error:
            yield ValidationError(str(error))
        else:
            yield from validator.descend(value, described)
