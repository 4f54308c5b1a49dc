"""How one mapping of settings goes on top of another, and how dotted keys become mappings.

It knows plain mappings, and of a study only that `kind` names a kind.
"""

from collections.abc import Mapping, Sequence
from typing import Any

Plain = dict[str, Any]
"""A mapping of JSON values, as YAML gives it."""


def merged(base: Any, override: Any) -> Any:
    """Return `base` with `override` on top: mappings key by key, all else replaced.

    `{kind: …}` of another kind replaces the whole, as the options of the first kind do not
    belong to the second; options without a kind add to the kind that is there. A kind is text: a
    method, say, that is called `kind` is a mapping like all others.
    """
    if not isinstance(override, dict):
        return override
    if isinstance(base, str) and "kind" not in override:
        base = {"kind": base}
    if not isinstance(base, dict):
        return override
    first, second = base.get("kind"), override.get("kind")
    if isinstance(first, str) and isinstance(second, str) and first != second:
        return override
    return base | {key: merged(base.get(key), value) for key, value in override.items()}


def nested(dotted: Mapping[str, Any]) -> Plain:
    """Return `{"training.epochs": 3}` as `{"training": {"epochs": 3}}`."""
    tree: Plain = {}
    for key, value in dotted.items():
        for part in reversed(key.split(".")):
            value = {part: value}
        tree = merged(tree, value)
    return tree


def value_at(tree: Any, path: Sequence[str | int]) -> Any:
    """Return the value at a path of keys; None where there is none."""
    for key in path:
        tree = tree.get(key) if isinstance(tree, dict) else None
    return tree
