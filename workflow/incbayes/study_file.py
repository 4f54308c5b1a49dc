"""Reads the YAML of a study strictly, and words its errors in one line each.

It knows YAML and nothing of what a study holds. Scalars follow YAML 1.2, so that `1e-3`
is a number and `no` is text.
"""

import re
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Any

import yaml

from incbayes.errors import UserError

PLAIN_KEY = re.compile(r"[\w-]+")
LONGEST_VALUE = 60

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
    if isinstance(value, list):
        items = ["[…]" if isinstance(item, list) else shown(item) for item in value[:LONGEST_VALUE]]
        text = f"[{', '.join(items)}]"
    elif value is None or isinstance(value, bool):
        text = {None: "null", True: "true", False: "false"}[value]
    elif isinstance(value, int) and value.bit_length() > 128:
        text = f"a number of {value.bit_length()} bits"
    else:
        text = one_line(repr(value))
    return text if len(text) <= LONGEST_VALUE else text[: LONGEST_VALUE - 1] + "…"


class StudyLoader(yaml.SafeLoader):
    """A safe loader with the scalars of YAML 1.2 that refuses duplicate keys."""

    yaml_implicit_resolvers: dict = {}

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Return the next node; an explicit type such as `!!float` is an error."""
        event = self.peek_event()
        if getattr(event, "tag", None) is not None:
            self._refuse(event, f"the type {shown(event.tag)}; a study takes plain values only")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.Node, deep: bool = False) -> dict:
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
        return yaml.load(value, Loader=StudyLoader)
    return value


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
        raise _file_error(path, line, problem) from None
    except RecursionError:
        raise _file_error(path, 1, "nested too deeply") from None
    if value is None:
        raise _file_error(path, 1, "empty; a study needs study, experiments and methods")
    if not isinstance(value, dict):
        raise _file_error(path, 1, f"found {shown(value)}; a study is a mapping, `key: value`")
    return value


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise StudyError((), f"{path}: cannot be read ({error.strerror or error})") from None
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
