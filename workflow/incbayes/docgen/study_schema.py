"""The JSON schema of a study, from its types: keys, limits, defaults, and docstrings as words.

It knows what types a section is made of; no section by name. Beside JSON Schema's own keywords:
`x-default` is a default that depends on other keys, in words, `x-pattern` a pattern in words, and
`x-partial` says that only the keys that are written count, the rest coming from the level above.
"""

import inspect
import re
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec import UNSET, Meta, UnsetType

from incbayes.study.model import KindSpec, Overrides, Section, Study, to_plain
from incbayes.study.schema import KINDS, STUDY

Node = dict[str, Any]

JSON_TYPES = {bool: "boolean", int: "integer", float: "number", str: "string"}
LIMITS = {
    "ge": "minimum",
    "gt": "exclusiveMinimum",
    "le": "maximum",
    "lt": "exclusiveMaximum",
    "pattern": "pattern",
    "description": "description",
}
MARKS = ("definition", "kinds", "derived")
"""What a type says of itself that is no keyword of the schema."""

ENTRY = re.compile(r"^(\w+): (.*(?:\n +.*)*)", re.MULTILINE)


def study_document() -> Node:
    """Return the schema of a study, whose kinds are references to the schema of the kinds."""
    writer = _Writer()
    top = writer.object_node(Study)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": STUDY,
        "title": "Study",
        **top,
        "$defs": dict(sorted(writer.definitions.items())),
    }


def attribute_words(section: type) -> dict[str, str]:
    """Return what the docstring of a class, and of those it extends, says of each attribute."""
    words: dict[str, str] = {}
    for cls in reversed(section.__mro__):
        _, _, listed = inspect.cleandoc(cls.__dict__.get("__doc__") or "").partition("Attributes:")
        for name, text in ENTRY.findall(inspect.cleandoc(listed)):
            words[name] = " ".join(text.split())
    return words


@dataclass
class _Writer:
    """Writes nodes, and gathers the definitions that they refer to.

    Attributes:
        definitions: nodes by name.
    """

    definitions: dict[str, Node] = field(default_factory=dict)

    def object_node(self, section: type[Section]) -> Node:
        """Return the node of a mapping with the keys of a section."""
        hints = get_type_hints(section, include_extras=True)
        words, required, properties = attribute_words(section), [], {}
        for key in msgspec.structs.fields(section):
            marks = _marks(hints[key.name])
            if "derived" in marks:
                continue
            if "x-default" not in marks and "default" not in marks and key.required:
                required.append(key.name)
            node = self.node(hints[key.name]) | {"description": words[key.name]}
            properties[key.name] = node | _default(key, marks)
        return {
            "description": (section.__doc__ or "").partition("\n")[0],
            "type": "object",
            "additionalProperties": False,
            **({"required": required} if required else {}),
            "properties": properties,
        }

    def node(self, hint: Any) -> Node:
        """Return the node of a value of a type."""
        bare, metas = _parts(hint)
        names = [place for place, meta in enumerate(metas) if "definition" in (meta.extra or {})]
        if names:  # what stands behind it is said where the type is used
            of_type, metas = metas[: names[0] + 1], metas[names[0] + 1 :]
            name = (of_type[-1].extra or {})["definition"]
            self.definitions[name] = self._bare(bare, of_type) | _keywords(bare, of_type)
            node: Node = {"$ref": f"#/$defs/{name}"}
        else:
            node = self._bare(bare, metas)
        return node | _keywords(bare, metas)

    def _bare(self, hint: Any, metas: list[Meta]) -> Node:
        origin, arguments = get_origin(hint), get_args(hint)
        if origin in (Union, types.UnionType):
            return self._union(arguments)
        if origin is Literal:
            return {"enum": list(arguments)}
        if origin is tuple:
            return {"type": "array", "items": self.node(arguments[0])}
        if origin is Overrides:
            return self._reference(arguments[0]) | {"x-partial": True}
        if origin is not None and issubclass(origin, Mapping):
            return self._mapping(*arguments)
        if hint is KindSpec:
            (kinds,) = (m.extra["kinds"] for m in metas if m.extra and "kinds" in m.extra)
            return {"$ref": f"{KINDS}#/$defs/{kinds}"}
        if hint is Any:
            return {}
        if isinstance(hint, type) and issubclass(hint, Section):
            return self._reference(hint)
        return {"type": JSON_TYPES[hint]}

    def _union(self, arguments: tuple[Any, ...]) -> Node:
        """Return the node of a value of one of several types."""
        chosen = [argument for argument in arguments if argument is not UnsetType]
        if len(chosen) == 1:
            return self.node(chosen[0])
        node: Node = {}
        for argument in chosen:
            if argument is not type(None):
                node |= self.node(argument)
        return node | {"type": [self._json_type(argument) for argument in chosen]}

    def _json_type(self, hint: Any) -> str:
        bare, _ = _parts(hint)
        if bare is type(None):
            return "null"
        if get_origin(bare) is tuple:
            return "array"
        return JSON_TYPES.get(bare, "object")

    def _mapping(self, keys: Any, values: Any) -> Node:
        names = self.node(keys)
        named = {} if names == {"type": "string"} else {"propertyNames": names}
        inner = {} if values is Any else {"additionalProperties": self.node(values)}
        return {"type": "object", **named, **inner}

    def _reference(self, section: type[Section]) -> Node:
        """Return a reference to the definition of a section, which is written if it is new."""
        name = section.__name__.removesuffix("Settings")
        name = re.sub(r"(?<!^)([A-Z])", r"_\1", name).lower()
        if name not in self.definitions:
            self.definitions[name] = self.object_node(section)
        return {"$ref": f"#/$defs/{name}"}


def _parts(hint: Any) -> tuple[Any, list[Meta]]:
    """Return a type without what is said of it, and that."""
    if get_origin(hint) is Annotated:
        bare, *said = get_args(hint)
        return bare, [meta for meta in said if isinstance(meta, Meta)]
    return hint, []


def _marks(hint: Any) -> dict[str, Any]:
    return {key: value for meta in _parts(hint)[1] for key, value in (meta.extra or {}).items()}


def _keywords(bare: Any, metas: list[Meta]) -> Node:
    """Return what is said of a type as keywords of the schema."""
    return dict(pair for meta in metas for pair in _of_meta(bare, meta))


def _of_meta(bare: Any, meta: Meta) -> Iterator[tuple[str, Any]]:
    for attribute, keyword in LIMITS.items():
        value = getattr(meta, attribute)
        if value is not None:
            yield keyword, value
    if meta.min_length is not None:
        yield ("minItems" if get_origin(bare) is tuple else "minProperties"), meta.min_length
    yield from ((key, value) for key, value in (meta.extra or {}).items() if key not in MARKS)


def _default(key: msgspec.structs.FieldInfo, marks: Mapping[str, Any]) -> Node:
    """Return the default of a key that the type itself has: sections all of theirs."""
    if key.required or "x-default" in marks or key.default is UNSET:
        return {}
    if key.default_factory is not msgspec.NODEFAULT:
        return {"default": {}}
    return {"default": to_plain(key.default)}
