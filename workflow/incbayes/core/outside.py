"""Kinds from outside the library: what their names mean, where their code is, and its import.

A name is `package.module:Class`, or `file:PATH.py:Class` with a path relative to the working
directory. Modules are looked for in the working directory first, then where Python looks. Digests
and params hold names as they are written, so that they do not depend on where a checkout lies.
"""

import ast
import hashlib
import importlib
import importlib.util
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from incbayes.core.errors import PACKAGE, UserError

FILE = "file:"
FORM = re.compile(r"(?P<module>file:.+\.py|[^\W\d]\w*(\.[^\W\d]\w*)*):(?P<attribute>[^\W\d]\w*)")
WAYS = "write package.module:Class or file:PATH.py:Class"


class OutsideError(UserError, ValueError):
    """A kind from outside the library whose name, module or class is wrong."""


def is_outside(kind: object) -> bool:
    """Return whether a kind is named as one from outside the library, well or badly."""
    return isinstance(kind, str) and ":" in kind


def parted(kind: str) -> tuple[str, str]:
    """Return module and attribute of a kind, e.g. `file:nets.py` and `Net` of `file:nets.py:Net`.

    Raises:
        OutsideError: it is not of such a form.
    """
    match = FORM.fullmatch(kind)
    if match is None:
        raise OutsideError(f"{kind}: no module and class; {WAYS}")
    return match["module"], match["attribute"]


def source_file(module: str) -> Path:
    """Return the file of a module, which is not imported.

    Args:
        module: `file:PATH.py`, or a dotted name.

    Raises:
        OutsideError: there is none, or it is no file of Python.
    """
    if module.startswith(FILE):
        path = Path(os.path.expanduser(module.removeprefix(FILE)))
        if not path.is_file():
            raise OutsideError(f"{module}: no such file, seen from {Path.cwd()}")
        return path
    parts = module.split(".")
    found = in_folder(Path.cwd(), parts) or _installed(parts)
    if found is None:
        raise OutsideError(
            f"{module}: no such module of Python, neither in {Path.cwd()} nor installed"
        )
    return found


def in_folder(folder: Path, parts: list[str]) -> Path | None:
    """Return the file of the module with the name `parts` in a folder; None without one."""
    stem = folder.joinpath(*parts)
    return next((p for p in (stem / "__init__.py", stem.with_suffix(".py")) if p.is_file()), None)


def source_tree(module: str) -> ast.Module:
    """Return the syntax tree of a module.

    Raises:
        OutsideError: there is no such module, or it is not Python; naming file and line.
    """
    path = source_file(module)
    try:
        tree = ast.parse(path.read_bytes(), filename=str(path))
        compile(tree, str(path), "exec")  # finds more than its parser, such as a stray return
    except SyntaxError as error:
        code = f": {error.text.strip()}" if error.text and error.text.strip() else ""
        raise OutsideError(f"{path}, line {error.lineno}: {error.msg}{code}") from error
    except (ValueError, OSError) as error:  # a null byte, in some versions of Python
        raise OutsideError(f"{path}: {error}") from error
    return tree


def imported_sources(module: str) -> list[str]:
    """Return the modules that a module imports and whose code is the user's, as its own is.

    Those of its own package, the packages it lies in, and what lies in the working directory.
    """
    package = "" if module.startswith(FILE) else module
    if package and source_file(module).name != "__init__.py":
        package = package.rpartition(".")[0]
    found = _above(module) if not module.startswith(FILE) else []
    for name in _named(source_tree(module), package):
        own = package and name.split(".")[0] == package.split(".")[0]
        if in_folder(Path.cwd(), name.split(".")) or (own and _installed(name.split("."))):
            found += [*_above(name), name]
    return found


def load(kind: str) -> Any:
    """Import the module of a kind and return its class.

    Raises:
        OutsideError: there is no such module or class.
        Exception: whatever the module raises.
    """
    module, attribute = parted(kind)
    path = source_file(module).absolute()
    with _working_directory_first():
        loaded = (
            module_of_file(path) if module.startswith(FILE) else importlib.import_module(module)
        )
    if not hasattr(loaded, attribute):
        raise OutsideError(f"{module}: defines no {attribute}")
    return getattr(loaded, attribute)


def _installed(parts: list[str]) -> Path | None:
    """Return the file of a module where Python looks for modules; None without one."""
    try:
        spec = importlib.util.find_spec(parts[0])
    except (ImportError, ValueError):
        return None
    if spec is None:
        return None
    if len(parts) == 1:
        return Path(spec.origin) if spec.origin and spec.origin.endswith(".py") else None
    folders = map(Path, spec.submodule_search_locations or ())
    return next((p for p in (in_folder(folder, parts[1:]) for folder in folders) if p), None)


def _above(module: str) -> list[str]:
    """Return the packages that a module lies in and that have code."""
    parts = module.split(".")
    above = [parts[:end] for end in range(1, len(parts))]
    found = [p for p in above if in_folder(Path.cwd(), p) or _installed(p)]
    return [".".join(p) for p in found]


def _named(tree: ast.Module, package: str) -> Iterator[str]:
    """Yield the full names of what a module of a package imports, modules and others."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1]
            start = [*(above if node.level else []), *filter(None, [node.module])]
            if start and start[0]:
                yield ".".join(start)
                yield from (".".join([*start, alias.name]) for alias in node.names)


def module_of_file(path: Path) -> ModuleType:
    """Return the module of a file, imported once in a process for as long as it stays as it is.

    Raises:
        Exception: whatever the module raises.
    """
    stamp = f"{path}\n{path.stat().st_mtime_ns}"
    name = f"_{path.stem}_{hashlib.sha256(stamp.encode()).hexdigest()[:12]}"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None and spec.loader is not None, path  # it ends in .py
        module = sys.modules[name] = importlib.util.module_from_spec(spec)
        try:
            spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[name]
            raise
    return sys.modules[name]


@contextmanager
def _working_directory_first() -> Iterator[None]:
    """Look for modules in the working directory first; afterwards last, for later imports."""
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        yield
    finally:
        sys.path.remove(here)
        if here not in sys.path:
            sys.path.append(here)


def check_not_ours(kind: str, noun: str, entries: dict[str, str]) -> None:
    """Check that a name is not that of a kind of the library.

    Args:
        kind: `module:Class`.
        noun: what the kinds are.
        entries: the registered ones: `module:Class` by name.

    Raises:
        OutsideError: it is, or its module is the library's; with what to write instead.
    """
    module, _ = parted(kind)
    path = source_file(module) if module.startswith(FILE) else None
    if module in entries:
        raise OutsideError(
            f"{kind}: {module} is a registered {noun}; write {module}, or rename the module"
        )
    for name, entry in entries.items():
        if kind == entry:
            raise OutsideError(f"{kind} is the registered {noun} {name}; write {name}")
    ours = PACKAGE in path.resolve().parents if path else module.split(".")[0] == PACKAGE.name
    if ours:
        raise OutsideError(f"{kind}: a module of the library itself; {noun}s: {', '.join(entries)}")
