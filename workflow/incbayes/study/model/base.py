"""What the sections of a study are made of: frozen sections, kinds, overrides, kinds of text.

The library is msgspec: its structs are frozen, validated as they are read and imported in a few
milliseconds, where planning, which reads no more than a study, would feel a heavier one. It knows
no section.
"""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Generic, TypeVar, get_args, get_origin

import msgspec
from msgspec import UNSET, Meta

from incbayes.study.merging import Plain, merged

S = TypeVar("S", bound="Section")
T = TypeVar("T")

NAME = r"^(?!.*(.{1,3})\1{19}$)[a-z][a-z0-9_]{0,63}$(?!\n)"
"""The begin: Snakemake takes a name that ends in 20 repetitions for a loop of rules. The end: in
Python `$` also matches before a final newline."""

CHAIN = r"^[a-z][a-z0-9_]*([.][a-z][a-z0-9_]*([.]T[1-9][0-9]*)?)?$(?!\n)"

TEXT = r"^(?!\s*$)[^\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff]*$(?!\n)"
"""Control characters are no text; pictures and pages could not hold them."""


def stated(**keywords: Any) -> Meta:
    """Return what the schema says of a field beyond its type.

    Args:
        keywords: by name of JSON Schema's or the study's own (`x_default` for `x-default`);
            `definition` and `kinds` name what the schema refers to, and `derived` is what no file
            states.
    """
    return Meta(extra={key.replace("_", "-"): value for key, value in keywords.items()})


DERIVED = stated(derived=True)
UNIQUE = stated(uniqueItems=True)

Name = Annotated[
    str,
    Meta(
        pattern=NAME,
        description="Lower-case letters, digits and underscores, a letter first; at most 64.",
    ),
    stated(
        definition="name",
        x_pattern="lower-case letters, digits and _, a letter first, at most 64, not the same over "
        "and over",
    ),
]
ChainName = Annotated[
    str,
    Meta(
        pattern=CHAIN,
        description="Names of an experiment, a method and a number of parts, or the first of them.",
    ),
    stated(
        definition="chain",
        x_pattern="EXPERIMENT, EXPERIMENT.METHOD or EXPERIMENT.METHOD.T10, without spaces",
    ),
]
Text = Annotated[
    str,
    Meta(pattern=TEXT, description="One line of text."),
    stated(definition="text", x_pattern="one line, not empty, without control characters"),
]
Seed = Annotated[int, Meta(ge=0, le=9_223_372_036_854_775_807)]
Replicates = Annotated[int, Meta(ge=1, le=10_000)]
Parts = Annotated[int, Meta(ge=1, le=10_000)]
OpenFraction = Annotated[float, Meta(gt=0, lt=1)]
Fraction = Annotated[float, Meta(gt=0, le=1)]
Images = Annotated[int, Meta(ge=1, le=10_000_000)]


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A section of a study: fields are its keys, in the order of the schema."""


class KindSpec(Mapping[str, Any]):
    """A kind with its options, read like the mapping `{"kind": …, options}` that builds one.

    Attributes:
        kind: name in its registry.
        options: by name, of JSON values.
    """

    __slots__ = ("kind", "options")

    kind: str
    options: Mapping[str, Any]

    def __init__(self, kind: str, options: Mapping[str, Any] | None = None):
        object.__setattr__(self, "kind", kind)
        object.__setattr__(self, "options", dict(options or {}))

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> "KindSpec":
        """Return the kind that `{"kind": …, options}` stands for."""
        return cls(plain["kind"], {key: plain[key] for key in plain if key != "kind"})

    def changed(self, options: Mapping[str, Any]) -> "KindSpec":
        """Return the same kind with some options replaced, mappings key by key."""
        return KindSpec(self.kind, merged(dict(self.options), dict(options)))

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"{name}: a kind of a study does not change")

    def __getitem__(self, key: str) -> Any:
        return self.kind if key == "kind" else self.options[key]

    def __iter__(self) -> Iterator[str]:
        yield "kind"
        yield from self.options

    def __len__(self) -> int:
        return 1 + len(self.options)

    def __repr__(self) -> str:
        return f"KindSpec({self.kind!r}, {self.options!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return KindSpec, (self.kind, self.options)


class Overrides(Generic[S]):
    """Some keys of a section, which win over those of the level above.

    Attributes:
        values: JSON values by key, within mappings too.
    """

    __slots__ = ("values",)

    values: Plain

    def __init__(self, values: Mapping[str, Any] | None = None):
        object.__setattr__(self, "values", dict(values or {}))

    def over(self, section: S) -> S:
        """Return a section with these keys replaced, mappings key by key."""
        return read(type(section), merged(to_plain(section), self.values)) if self else section

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"{name}: a section of a study does not change")

    def __bool__(self) -> bool:
        return bool(self.values)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Overrides) and self.values == other.values

    __hash__ = None  # type: ignore[assignment]  # as of a dict

    def __repr__(self) -> str:
        return f"Overrides({self.values!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return Overrides, (self.values,)


DatasetSpec = Annotated[KindSpec, stated(kinds="dataset")]
ModelSpec = Annotated[KindSpec, stated(kinds="model")]
OutlierSpec = Annotated[KindSpec, stated(kinds="outliers")]
ShiftSpec = Annotated[KindSpec, stated(kinds="shifts")]
PixelsSpec = Annotated[KindSpec, stated(kinds="pixels")]
FamilySpec = Annotated[KindSpec, stated(kinds="family")]
PriorSpec = Annotated[KindSpec, stated(kinds="prior")]
LikelihoodSpec = Annotated[KindSpec, stated(kinds="likelihood")]
InferenceSpec = Annotated[KindSpec, stated(kinds="inference")]
RelationSpec = Annotated[KindSpec, stated(kinds="relation")]


def read(section: type[T], plain: Any) -> T:
    """Return a section, or mapping of sections, from its JSON values.

    Raises:
        msgspec.ValidationError: a key is unknown, missing, or out of its limits.
    """
    return msgspec.convert(plain, section, dec_hook=_read_custom)


def to_plain(value: Any) -> Any:
    """Return a section, or whatever holds some, as JSON values in dicts and lists, anew."""
    if isinstance(value, msgspec.Struct):
        found = ((name, getattr(value, name)) for name in value.__struct_fields__)
        return {name: to_plain(item) for name, item in found if item is not UNSET}
    if isinstance(value, Overrides):
        return to_plain(value.values)
    if dataclasses.is_dataclass(value):
        return to_plain(vars(value))
    if isinstance(value, Mapping):
        return {key: to_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_plain(item) for item in value]
    return value


def _read_custom(wanted: Any, plain: Any) -> Any:
    if wanted is KindSpec:
        return plain if isinstance(plain, KindSpec) else KindSpec.of(plain)
    if get_origin(wanted) is Overrides:
        values = plain.values if isinstance(plain, Overrides) else plain
        _check_keys(get_args(wanted)[0], values)
        return Overrides(values)
    raise NotImplementedError(wanted)


def _check_keys(section: type[Section], values: Mapping[str, Any]) -> None:
    """Check that overrides are of keys that the section has."""
    for key in values:
        if key not in section.__struct_fields__:
            raise ValueError(f"unknown key {key!r}")
