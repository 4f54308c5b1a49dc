"""Reads the YAML of a study strictly, and words its errors in one line each.

It knows YAML and nothing of what a study holds. Scalars follow YAML 1.2, so that `1e-3`
is a number and `no` is text.
"""

import contextlib
import itertools
import re
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from incbayes.core.errors import UserError

PLAIN_KEY = re.compile(r"[\w-]+")
LONGEST_VALUE = 60

DEEPEST = 16
"""Keys on the way to a value; the longest of a study, of a search in a budget, has eight."""

MOST_VALUES = 50_000
"""Values of a study, each alias counted as all that it stands for; the papers' have 2,000."""

LARGEST_FILE = 2**19
"""Bytes; those of the papers take 14 kB."""

Key = str | int
KeyPath = Sequence[Key]


class StudyError(UserError, ValueError):
    """What is wrong with a study; its text is one line.

    Attributes:
        path: keys and list positions from the study to the value, empty for the whole study.
        detail: what was found and what is allowed.
    """

    def __init__(self, path: KeyPath, detail: str):
        """Make the error of the value at `path`; line breaks in `detail` become blanks."""
        self.path = tuple(path)
        self.detail = one_line(detail)
        super().__init__(self.path, self.detail)

    def __str__(self) -> str:
        """Return `path: detail`."""
        return f"{key_path(self.path)}: {self.detail}" if self.path else self.detail


def one_line(text: str) -> str:
    """Return the text without line breaks and other control characters."""
    blanked = "".join(c if c.isprintable() else " " for c in text)
    return re.sub(r" +", " ", blanked).strip()


def key_path(path: KeyPath) -> str:
    """Return e.g. `experiments.digits.parts[1]`."""
    text = ""
    for key in path:
        if isinstance(key, int) and not isinstance(key, bool):
            text += f"[{key}]"
            continue
        name = str(key) if PLAIN_KEY.fullmatch(str(key)) else shown(key)
        text += f".{name}" if text else name
    return text


def shown(value: Any) -> str:
    """Return the value as an error message shows it, cut when it is long."""
    if isinstance(value, dict):
        return "a mapping" if value else "an empty mapping"
    if isinstance(value, list | tuple):
        items = ["[…]" if isinstance(item, list) else shown(item) for item in value[:LONGEST_VALUE]]
        text = f"[{', '.join(items)}]"
    elif value is None or isinstance(value, bool):
        text = {None: "null", True: "true", False: "false"}[value]
    elif isinstance(value, int) and value.bit_length() > 128:
        text = f"a number of {value.bit_length()} bits"
    else:
        text = one_line(repr(value))
    return text if len(text) <= LONGEST_VALUE else text[: LONGEST_VALUE - 1] + "…"


class Extent(NamedTuple):
    """How much a node of a text stands for: its values, and the levels that they nest in."""

    values: int
    levels: int


class StudyLoader(yaml.SafeLoader):  # type: ignore[misc]  # PyYAML has no types
    """A safe loader with the scalars of YAML 1.2 that refuses duplicate keys.

    It stops as soon as a text nests too deeply or stands for too many values: aliases of aliases
    make any number of them in a few lines.
    """

    yaml_implicit_resolvers: dict[str, Any] = {}

    def __init__(self, stream: str):
        """Read from text."""
        super().__init__(stream)
        self._depth = 0
        self._values = 0
        self._composed: dict[yaml.Node, Extent] = {}

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Return the next node; an explicit type such as `!!float` is an error.

        So are an alias inside of what it stands for, and more values or levels than a study has.
        """
        event = self.peek_event()
        if getattr(event, "tag", None) is not None:
            self._refuse(event, f"the type {shown(event.tag)}; a study takes plain values only")
        is_alias = isinstance(event, yaml.AliasEvent)
        self._depth += 1
        if not is_alias:
            self._count(event, Extent(1, 1))
        node = super().compose_node(parent, index)
        if is_alias:
            if node not in self._composed:
                self._refuse(event, f"the alias *{event.anchor} lies inside of what it stands for")
            self._count(event, self._composed[node])
        else:
            self._composed[node] = self._extent(node)
        self._depth -= 1
        return node

    def _count(self, event: yaml.Event, extent: Extent) -> None:
        """Add what begins at an event to what was read so far."""
        self._values += extent.values
        if self._depth + extent.levels > DEEPEST + 2:
            self._refuse(event, f"nested too deeply; a study has at most {DEEPEST} levels")
        if self._values > MOST_VALUES:
            self._refuse(event, f"more than {MOST_VALUES} values, with what aliases stand for")

    def _extent(self, node: yaml.Node) -> Extent:
        """Return how much a node stands for; what it holds was composed before it."""
        if isinstance(node, yaml.ScalarNode):
            return Extent(1, 1)
        pairs = isinstance(node, yaml.MappingNode)
        children = itertools.chain.from_iterable(node.value) if pairs else node.value
        held = [self._composed[child] for child in children]
        values = sum(extent.values for extent in held)
        return Extent(1 + values, 1 + max((extent.levels for extent in held), default=0))

    def construct_mapping(self, node: yaml.Node, deep: bool = False) -> dict[Any, Any]:
        """Return the mapping; a key that is written twice is an error."""
        seen: dict[Hashable, int] = {}
        for key_node, _ in node.value if isinstance(node, yaml.MappingNode) else []:
            if not isinstance(key_node, yaml.ScalarNode):
                self._refuse(key_node, "a key must be text")
            key, line = key_node.value, key_node.start_mark.line + 1
            if key in seen:
                self._refuse(key_node, f"the key {key!r} is given twice, first in line {seen[key]}")
            seen[key] = line
        return super().construct_mapping(node, deep=deep)

    def construct_yaml_int(self, node: yaml.Node) -> int:
        """Return a decimal, octal (`0o`) or hexadecimal (`0x`) integer."""
        text = self.construct_scalar(node)
        digits = text.lstrip("+-")
        base = {"0o": 8, "0x": 16}.get(digits[:2], 10)
        try:
            value = int(digits[2:] if base != 10 else digits, base)
        except ValueError:
            self._refuse(node, f"{shown(text)} is not a number that can be read")
        return -value if text.startswith("-") else value

    def _refuse(self, node: yaml.Node | yaml.Event, problem: str) -> None:
        raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark)


SCALARS = [
    ("tag:yaml.org,2002:null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("tag:yaml.org,2002:bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("tag:yaml.org,2002:int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", list("-+0123456789")),
    (
        "tag:yaml.org,2002:float",
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?"
        r"|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        list("-+.0123456789"),
    ),
    ("tag:yaml.org,2002:merge", r"<<", ["<"]),
]
for _tag, _pattern, _first in SCALARS:
    StudyLoader.add_implicit_resolver(_tag, re.compile(f"(?:{_pattern})$"), _first)
StudyLoader.add_constructor("tag:yaml.org,2002:int", StudyLoader.construct_yaml_int)


PLAIN_VALUE = re.compile("|".join(p for tag, p, _ in SCALARS if not tag.endswith("merge")))


def typed(value: Any) -> Any:
    """Return a value of the command line with its texts read as a file's are: `3` is a number.

    Snakemake reads numbers as such in `--config seed=3`, but not in `training='{epochs: 3}'`.
    """
    if isinstance(value, dict):
        return {key: typed(content) for key, content in value.items()}
    if isinstance(value, list):
        return [typed(content) for content in value]
    if isinstance(value, str) and PLAIN_VALUE.fullmatch(value):
        with contextlib.suppress(yaml.YAMLError):  # too many digits for a number: it stays text
            return yaml.load(value, Loader=StudyLoader)
    return value


def check_extent(value: Any) -> None:
    """Check that a value neither nests more deeply nor holds more than a study does.

    Raises:
        StudyError: it does; a value that holds itself does too.
    """
    inner: list[tuple[Any, KeyPath]] = [(value, ())]
    for number in itertools.count(1):
        if not inner:
            return
        part, path = inner.pop()
        if len(path) > DEEPEST:
            raise StudyError(path[:2], f"nested too deeply; a study has at most {DEEPEST} levels")
        if number > MOST_VALUES:
            raise StudyError(
                path[:1], f"more than {MOST_VALUES} values, with what aliases stand for"
            )
        if isinstance(part, Mapping):
            inner += [(content, (*path, key)) for key, content in part.items()]
        elif isinstance(part, list):
            inner += [(content, (*path, place)) for place, content in enumerate(part)]


def stated(config: Any, command_line: Any) -> Any:
    """Return the config that another workflow gives, as if it were read from a file of a study.

    Snakemake reads files by YAML 1.1, where `1e-3` is text, and the command line as `typed` says.
    Other texts stay: the class `'0'` is no number.

    Args:
        config: what a module is given as its `config:`.
        command_line: what Snakemake read from `--config`, which may be part of it.
    """
    if isinstance(config, dict):
        return {key: stated(content, command_line) for key, content in config.items()}
    if isinstance(config, list):
        return [stated(content, command_line) for content in config]
    if isinstance(config, str) and (_is_text(config) or config in _texts(command_line)):
        return typed(config)
    return config


def _is_text(scalar: str) -> bool:
    """Return whether YAML 1.1 takes a scalar without quotes for text."""
    tag = yaml.SafeLoader("").resolve(yaml.ScalarNode, scalar, (True, False))
    return tag == "tag:yaml.org,2002:str"


def _texts(value: Any) -> set[str]:
    """Return every text within a value."""
    if isinstance(value, dict | list):
        parts = value.values() if isinstance(value, dict) else value
        return set().union(*map(_texts, parts))
    return {value} if isinstance(value, str) else set()


def read_yaml(path: str | Path) -> dict[str, Any]:
    """Return the mapping that a YAML file holds.

    Raises:
        StudyError: the file cannot be read, is not UTF-8, not YAML, empty, or not a mapping,
            or gives a key twice; the text names file and line.
    """
    text = _text(Path(path))
    try:
        value = yaml.load(text, Loader=StudyLoader)
    except yaml.MarkedYAMLError as error:
        raise _syntax_error(path, text, error) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        problem = f"the character #x{ord(text[error.position]):04x} is not allowed in YAML"
        # As UTF-16 without a mark at its beginning has them.
        hint = "; save the file as UTF-8" if "\0" in text else ""
        raise _file_error(path, line, problem + hint) from None
    if value is None:
        raise _file_error(path, 1, "empty; a study needs study, experiments and methods")
    if not isinstance(value, dict):
        raise _file_error(path, 1, f"found {shown(value)}; a study is a mapping, `key: value`")
    return value


def _text(path: Path) -> str:
    try:
        # What is no file may have no end, and gives what it has only once: it is read again.
        if path.exists() and not path.is_file():
            raise StudyError((), f"{path}: cannot be read (it is no file)")
        with path.open("rb") as file:
            data = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise StudyError((), f"{path}: cannot be read ({error.strerror or error})") from None
    if len(data) > LARGEST_FILE:
        raise StudyError((), f"{path}: more than {LARGEST_FILE} bytes; a study is smaller")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        problem = f"the byte 0x{data[error.start]:02x} is not UTF-8; save the file as UTF-8"
        raise _file_error(path, line, problem) from None


def _syntax_error(path: str | Path, text: str, error: yaml.MarkedYAMLError) -> StudyError:
    mark = error.problem_mark or error.context_mark
    problem = ", ".join(part for part in (error.context, error.problem) if part) or str(error)
    if mark is None:
        return _file_error(path, 1, problem)
    line = text.splitlines()[mark.line] if mark.line < len(text.splitlines()) else ""
    if "\t" in line[: mark.column + 1] and isinstance(error, yaml.scanner.ScannerError):
        problem = "a tab; YAML wants blanks"
    return _file_error(path, mark.line + 1, problem)


def _file_error(path: str | Path, line: int, problem: str) -> StudyError:
    return StudyError((), f"{path}, line {line}: {problem}")
