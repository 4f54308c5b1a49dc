"""A digest of the code that a result depends on, so that old results go stale.

Snakemake does not see what a script imports, and goes by the time stamp of the script itself,
which a clone or a checkout changes. Rules therefore put this digest into their params: editing a
family refits the methods of that family and nothing else. Editing a comment or a docstring refits
nothing, and neither does a new line in a registry: `kinds` and the `__init__` of a package hold
names only, and do not count.
"""

import ast
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from incbayes.core.errors import UserError
from incbayes.core.outside import imported_sources, source_file, source_tree

PACKAGE, SCRIPTS = "incbayes", "scripts"
ROOT = Path(__file__).parent.parent

WITHOUT_EFFECT = frozenset({"incbayes.jobs.console", "incbayes.kinds"})
"""What jobs say while they run, and the names of kinds, whose modules are named to `code_digest`.

Not followed, as neither can change a result.
"""


BLOCKS = ("body", "orelse", "finalbody", "handlers", "cases")
"""Fields of a statement that hold statements, or what holds some."""


class CodeError(UserError, ImportError):
    """A module of the library that is absent, or is not Python."""

    @classmethod
    def of(cls, path: Path, error: SyntaxError) -> "CodeError":
        """Return the error that names file and line of a mistake."""
        code = f": {error.text.strip()}" if error.text and error.text.strip() else ""
        return cls(f"{path}, line {error.lineno}: {error.msg}{code}")


@cache
def code_digest(*modules: str) -> str:
    """Return the digest of `modules` and of every module of the library that they import.

    A registry names its entries in strings, which are not followed: name the modules of
    the kinds that are used.

    Args:
        modules: dotted names, e.g. `incbayes.families.ffg`, `scripts.fit` for a rule's script, or
            of a module outside the library, which may also be `file:PATH.py`.

    Raises:
        CodeError: one of them is absent, or is not Python; naming file and line.
    """
    digest = hashlib.sha256()
    for module in sorted(_closure(modules)):
        digest.update(_read(module).code)
    return digest.hexdigest()


def _closure(modules: tuple[str, ...]) -> set[str]:
    found: set[str] = set()
    waiting = list(modules)
    while waiting:
        module = waiting.pop()
        if module not in found and module not in WITHOUT_EFFECT:
            found.add(module)
            waiting.extend(_read(module).imports)
    return found


def _path(module: str) -> Path | None:
    """Return the file of a module of the library, or of a script; None for all else."""
    parts = module.split(".")
    roots = {PACKAGE: ROOT, SCRIPTS: ROOT.parent / SCRIPTS}
    if not _is_ours(module):
        return None
    path = roots[parts[0]].joinpath(*parts[1:]).with_suffix(".py")
    return path if len(parts) > 1 and path.is_file() else None


def _is_ours(module: str) -> bool:
    """Return whether a module is the library's or a script, by its name."""
    return module.partition(".")[0] in (PACKAGE, SCRIPTS)


@dataclass(frozen=True)
class _Module:
    """What of a module counts.

    Attributes:
        imports: the modules whose code counts too, by name.
        code: its name, and its code without comments and docstrings.
    """

    imports: list[str]
    code: bytes


@cache
def _read(module: str) -> _Module:
    tree = module_tree(module)
    imports = _imports(module, tree)
    return _Module(imports, f"{module}\n{_code(tree)}\n".encode())


def _imports(module: str, tree: ast.Module) -> list[str]:
    """Return the names of the modules of ours, or of a user's own, that a module imports."""
    found = []
    for node in _statements(tree):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.append(node.module)
            found += [f"{node.module}.{alias.name}" for alias in node.names]
    if module.startswith(f"{SCRIPTS}."):  # scripts import one another by their bare names
        found += [f"{SCRIPTS}.{name}" for name in found]
    theirs = [] if _is_ours(module) else imported_sources(module)
    return [name for name in [*found, *theirs] if _path(name) or name in theirs]


def module_file(module: str) -> Path:
    """Return the file of a module of the library, or of a user's own.

    Raises:
        CodeError: there is none.
        OutsideError: there is none outside the library.
    """
    path = _path(module) if _is_ours(module) else source_file(module)
    if path is None:
        raise CodeError(f"{module}: no such module in {ROOT}")
    return path


def module_tree(module: str) -> ast.Module:
    """Return the syntax tree of a module of the library.

    Raises:
        CodeError: there is no such module, or it is not Python; naming file and line.
        OutsideError: the same of one outside the library.
    """
    if not _is_ours(module):
        return source_tree(module)
    path = module_file(module)
    try:
        return ast.parse(path.read_bytes(), filename=str(path))
    except SyntaxError as error:
        raise CodeError.of(path, error) from error
    except ValueError as error:  # a null byte, in some versions of Python
        raise CodeError(f"{path}: {error}") from error


def _statements(tree: ast.Module) -> Iterator[ast.AST]:
    """Yield a module and its statements at every depth, without expressions: most of it."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        for key in BLOCKS:
            waiting.extend(getattr(node, key, ()))


def _code(tree: ast.Module) -> str:
    """Return code without comments and docstrings, which are taken out of the tree."""
    documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    for node in _statements(tree):
        if isinstance(node, documented) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(tree)
