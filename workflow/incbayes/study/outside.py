"""What a kind from outside the library may be given: its options and facts, as a schema has them.

They are read from the syntax tree where that says all of it, so that planning need not import
torch; else from the class itself, which only studies with such kinds pay for.
"""

import ast
import dataclasses
import inspect
import math
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, ClassVar, Literal

from incbayes.core import options as library_options
from incbayes.core.options import JSON_TYPES, option, options_schema
from incbayes.core.outside import OutsideError, parted, source_file, source_tree
from incbayes.core.registry import Registry, nearest
from incbayes.kinds import OF_A_METHOD, OF_AN_EXPERIMENT

Node = dict[str, Any]

GIVEN = ("shape", "outputs")
"""Parameters of a model that the library fills in: [C, H, W] of an image, numbers that it makes."""

PLAIN_BASES = {"nn.Module", "torch.nn.Module", "Module", "object"}
"""Bases without options and facts of their own."""

NAMES = {"Literal": Literal, "None": None} | {cls.__name__: cls for cls in (*JSON_TYPES, list)}
TYPES = {cls.__name__: cls for cls in JSON_TYPES}
USUAL: dict[str, Node] = {"family": {"bayesian": True}}
"""Facts of a kind that states none, by the key of a study."""


class UnreadError(Exception):
    """A syntax tree that does not say by itself what the class takes."""


def outside_node(key: str, kind: str) -> Node:
    """Return the schema of a kind from outside the library: options, and facts for planning.

    Args:
        key: of a study, e.g. `model`.
        kind: `package.module:Class` or `file:PATH.py:Class`.

    Raises:
        OutsideError: there is no such module or class, or it is one of the library's.
        KindError: it has to be imported to be known, and cannot be.
    """
    registry = (OF_AN_EXPERIMENT | OF_A_METHOD)[key]
    registry.check_outside(kind)
    module, _ = parted(kind)
    stat = source_file(module).absolute().stat()
    return _node(key, kind, (str(source_file(module).absolute()), stat.st_mtime_ns, stat.st_size))


@cache
def _node(key: str, kind: str, version: tuple[str, int, int]) -> Node:
    registry = (OF_AN_EXPERIMENT | OF_A_METHOD)[key]
    module, attribute = parted(kind)
    tree = source_tree(module)
    try:
        node = _of_tree(kind, _definition(tree, attribute))
    except UnreadError:
        _check_defined(tree, module, attribute)
        node = _of_class(kind, registry)
    facts = USUAL.get(key, {}) | node.pop("x-constraints", {})
    return {"title": f"{registry.noun} {kind}", **node, "x-constraints": facts}


# ---- From the syntax tree ----


def _definition(tree: ast.Module, attribute: str) -> ast.ClassDef:
    """Return the only definition of a class at the first level of a module."""
    bound = [node for node in tree.body if attribute in _bound(node)]
    if len(bound) != 1 or not isinstance(bound[0], ast.ClassDef):
        raise UnreadError(attribute)
    return bound[0]


def _bound(node: ast.stmt) -> set[str]:
    """Return the names that a statement may bind, and more."""
    if isinstance(node, ast.ClassDef | ast.FunctionDef):
        return {node.name}
    if isinstance(node, ast.Import | ast.ImportFrom):
        return {alias.asname or alias.name for alias in node.names}
    return {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}


def _check_defined(tree: ast.Module, module: str, attribute: str) -> None:
    names = {name for node in tree.body for name in _bound(node)}
    if attribute not in names and "*" not in names:
        classes = [node.name for node in tree.body if isinstance(node, ast.ClassDef)]
        close = nearest(attribute, classes)
        raise OutsideError(f"{source_file(module)}: defines no {attribute}{close}")


def _of_tree(kind: str, definition: ast.ClassDef) -> Node:
    """Return the node of a class that extends nothing with options of its own."""
    bases = {ast.unparse(base) for base in definition.bases}
    if not bases <= PLAIN_BASES or definition.keywords:
        raise UnreadError(kind)
    decorators = [ast.unparse(found).partition("(")[0] for found in definition.decorator_list]
    facts = _facts(definition)
    if decorators:
        if decorators not in (["dataclass"], ["dataclasses.dataclass"]):
            raise UnreadError(kind)
        return _stand_in(kind, definition) | facts
    made = [n for n in definition.body if isinstance(n, ast.FunctionDef) and n.name == "__init__"]
    if not made:
        return _signature_node([], False) | facts
    if len(made) > 1 or made[0].decorator_list or made[0].args.posonlyargs:
        raise UnreadError(kind)
    return _signature_node(_parameters(made[0].args), made[0].args.kwarg is not None) | facts


def _stand_in(kind: str, definition: ast.ClassDef) -> Node:
    """Return the node of a dataclass, from one with the same options."""
    fields: list[Any] = []
    for node in definition.body:
        if not isinstance(node, ast.AnnAssign) or "ClassVar" in ast.unparse(node.annotation):
            continue
        call = node.value
        if not isinstance(call, ast.Call) or ast.unparse(call.func) != "option":
            raise UnreadError(kind)
        arguments = [_value(argument) for argument in call.args]
        keywords: dict[str, Any] = {}
        for given in call.keywords:
            found = _value(given.value)
            keywords |= found if given.arg is None else {given.arg: found}
        fields.append((ast.unparse(node.target), _hint(node.annotation), (arguments, keywords)))
    if not fields:
        raise UnreadError(kind)
    try:
        made = [(name, hint, option(*args, **words)) for name, hint, (args, words) in fields]
        cls = dataclasses.make_dataclass("StandIn", made, frozen=True, kw_only=True)
        cls.__doc__ = ast.get_docstring(definition) or kind
        return options_schema(kind, cls)
    except (TypeError, ValueError, KeyError) as error:  # the class itself says what is wrong
        raise UnreadError(kind) from error


def _hint(node: ast.expr) -> Any:
    """Return the type that an annotation of plain types stands for, read from its tree."""
    if isinstance(node, ast.Constant):  # None, or what a Literal allows
        return node.value
    if isinstance(node, ast.Name) and node.id in NAMES:
        return NAMES[node.id]
    if isinstance(node, ast.Tuple):
        return tuple(map(_hint, node.elts))
    try:
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
            return _hint(node.left) | _hint(node.right)
        if isinstance(node, ast.Subscript):
            return _hint(node.value)[_hint(node.slice)]
    except TypeError as error:
        raise UnreadError(ast.unparse(node)) from error
    raise UnreadError(ast.unparse(node))


def _value(node: ast.expr) -> Any:
    """Return a literal, or what `core.options` has by a name."""
    if isinstance(node, ast.Name) and node.id in ("SCALE", "MULTIPLE", "PRECISION"):
        return getattr(library_options, node.id)
    if ast.unparse(node) in ("MISSING", "dataclasses.MISSING"):
        return dataclasses.MISSING
    try:
        return ast.literal_eval(node)
    except ValueError as error:
        raise UnreadError(ast.unparse(node)) from error


def _facts(definition: ast.ClassDef) -> Node:
    """Return `constraints` of a class as the part of a node."""
    for node in definition.body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and "constraints" in _targets(node):
            found = _value(node.value) if node.value else None
            if isinstance(found, dict):
                return {"x-constraints": found}
        elif isinstance(node, ast.FunctionDef) and node.name == "constraints":
            raise UnreadError(definition.name)
    return {}


def _targets(node: ast.Assign | ast.AnnAssign) -> set[str]:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    return {ast.unparse(target) for target in targets}


@dataclasses.dataclass(frozen=True)
class _Parameter:
    """A parameter of `__init__`.

    Attributes:
        name: of the option.
        hint: name of its type; empty without one.
        required: whether it has no default.
        default: where it has one that JSON can hold, else None.
    """

    name: str
    hint: str
    required: bool
    default: Any = None

    absent: ClassVar[object] = object()
    """The default that is none."""


def _parameters(arguments: ast.arguments) -> list[_Parameter]:
    """Return the parameters of a function after its first."""
    plain = arguments.args[1:]
    missing: list[ast.expr | None] = [None] * len(arguments.args)
    defaults = [*missing, *arguments.defaults][-len(plain) :] if plain else []
    pairs = [*zip(plain, defaults, strict=True)]
    pairs += zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    return [
        _Parameter(
            given.arg,
            ast.unparse(given.annotation) if given.annotation else "",
            default is None,
            _literal(default),
        )
        for given, default in pairs
    ]


def _literal(node: ast.expr | None) -> Any:
    try:
        return _Parameter.absent if node is None else ast.literal_eval(node)
    except ValueError:
        return _Parameter.absent


def _signature_node(parameters: Iterable[_Parameter], open_ended: bool) -> Node:
    """Return the node of a class that is called with options by name."""
    properties: Node = {"kind": {"type": "string"}}
    required = ["kind"]
    for parameter in parameters:
        if parameter.name in GIVEN:
            continue
        node: Node = {}
        if parameter.hint in TYPES:
            node["type"] = JSON_TYPES[TYPES[parameter.hint]]
        if parameter.required:
            required.append(parameter.name)
        elif _is_json(parameter.default):
            node["default"] = parameter.default
        properties[parameter.name] = node
    return {
        "type": "object",
        "additionalProperties": open_ended,
        "required": required,
        "properties": properties,
    }


def _is_json(value: Any) -> bool:
    if isinstance(value, list):
        return all(map(_is_json, value))
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or isinstance(value, bool | int | str)


# ---- From the class ----


def _of_class(kind: str, registry: Registry) -> Node:
    """Return the node of a class that is imported, and is whole."""
    cls = registry[kind]
    if lacking := sorted(getattr(cls, "__abstractmethods__", ())):
        raise OutsideError(f"{kind}: lacks {', '.join(lacking)}, which every {registry.noun} has")
    facts = getattr(cls, "constraints", {})
    stated = {"x-constraints": dict(facts)} if isinstance(facts, Mapping) else {}
    if dataclasses.is_dataclass(cls) and isinstance(cls, type) and _has_options(cls):
        with registry.blamed(kind, "read for its options"):
            return options_schema(kind, cls) | stated
    try:
        signature = inspect.signature(cls)
    except (TypeError, ValueError) as error:
        raise OutsideError(f"{kind}: nothing that can be called with options") from error
    parameters = signature.parameters.values()
    called = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return stated | _signature_node(
        [_of_parameter(found) for found in parameters if found.kind in called],
        any(found.kind is inspect.Parameter.VAR_KEYWORD for found in parameters),
    )


def _has_options(cls: type) -> bool:
    # Of a dataclass without any field, as of one whose fields are options, those are all.
    fields = dataclasses.fields(cls)
    return not fields or any("description" in found.metadata for found in fields)


def _of_parameter(found: inspect.Parameter) -> _Parameter:
    hint, empty = found.annotation, inspect.Parameter.empty
    name = hint if isinstance(hint, str) else getattr(hint, "__name__", "")
    default = _Parameter.absent if found.default is empty else found.default
    return _Parameter(found.name, "" if hint is empty else name, found.default is empty, default)
