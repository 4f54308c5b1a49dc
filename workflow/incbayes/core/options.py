"""Declares the options of a registered kind (a family, a model, …) as dataclass fields.

A field made by `option` carries its description and limits, from which
`options_schema` derives the JSON schema that a study is validated against.
"""

import dataclasses
import types
import typing
from collections.abc import Mapping
from typing import Any, Literal

JSON_TYPES = {bool: "boolean", int: "integer", float: "number", str: "string"}
SCALE = {"minimum": 1e-6, "maximum": 1e6}
"""Limits of a standard deviation: float32 holds its square, its inverse and their products."""

MULTIPLE = {"minimum": 1e-6, "maximum": 1e3}
"""Limits of a scale as a multiple of another one; the product is far from float32's ends too."""

PRECISION = {"minimum": 1e-12, "maximum": 1e12}
"""Limits of a variance or a precision: those of a scale, squared."""

LIMITS = ("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum", "minItems")


def option(default: Any, description: str, **limits: float) -> Any:
    """Return a dataclass field with a description and JSON-schema limits.

    Args:
        default: the default value; a list or a mapping is copied for every instance.
            `dataclasses.MISSING` makes the option required.
        description: one sentence for the schema and `docs/config.md`.
        limits: any of `minimum`, `exclusiveMinimum`, `maximum`, `exclusiveMaximum`,
            `minItems`; for a list or a mapping the numeric ones hold for its items.
    """
    unknown = set(limits) - set(LIMITS)
    if unknown:
        raise ValueError(f"option limits {sorted(unknown)}: allowed are {LIMITS}")
    metadata = {"description": description, "limits": limits}
    if isinstance(default, list | dict):
        return dataclasses.field(default_factory=lambda: default.copy(), metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def with_all_options(spec: Mapping[str, Any], built: Any) -> dict[str, Any]:
    """Return `{"kind": …, options}` with every option, also those that `spec` leaves out.

    Args:
        spec: `{"kind": …, options}`.
        built: the instance that a registry builds from it.
    """
    fields = dataclasses.fields(built) if dataclasses.is_dataclass(built) else ()
    stated = [field.name for field in fields if "description" in field.metadata]
    return {**spec, **{name: getattr(built, name) for name in stated}}


def options_schema(kind: str, cls: type) -> dict[str, Any]:
    """Return the JSON schema of `{kind: …, <options of cls>}` with every default in it."""
    hints = typing.get_type_hints(cls)
    properties: dict[str, Any] = {
        "kind": {"const": kind, "description": (cls.__doc__ or kind).strip().splitlines()[0]}
    }
    required = ["kind"]
    for field in dataclasses.fields(cls):
        if "description" not in field.metadata:
            continue
        limits = dict(field.metadata["limits"])
        schema = _type_schema(hints[field.name], limits)
        schema["description"] = field.metadata["description"]
        default = _default(field)
        if default is dataclasses.MISSING:
            required.append(field.name)
        else:
            schema["default"] = default
        properties[field.name] = schema
    return {
        "type": "object",
        "additionalProperties": False,
        "required": required,
        "properties": properties,
    }


def _default(field: "dataclasses.Field[Any]") -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default


def _type_schema(hint: Any, limits: dict[str, float]) -> dict[str, Any]:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        return {"enum": list(arguments)}
    if origin in (typing.Union, types.UnionType):
        inner = [_type_schema(a, limits) for a in arguments if a is not type(None)]
        nullable = [{"type": "null"}] if type(None) in arguments else []
        return {"anyOf": inner + nullable}
    if origin is list:
        min_items = {"minItems": limits.pop("minItems")} if "minItems" in limits else {}
        return {"type": "array", "items": _type_schema(arguments[0], limits), **min_items}
    if origin is dict:
        return {"type": "object", "additionalProperties": _type_schema(arguments[1], limits)}
    return {"type": JSON_TYPES[hint], **limits}
