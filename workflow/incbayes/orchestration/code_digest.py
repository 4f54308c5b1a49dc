"""A digest of the code that a result depends on, so that old results go stale.

Snakemake does not see what a script imports, and goes by the time stamp of the script itself,
which a clone or a checkout changes. Rules therefore put this digest into their params: editing a
family refits the methods of that family and nothing else. Editing a comment or a docstring refits
nothing, and neither does a new line in a registry: `kinds` and the `__init__` of a package hold
names only, and do not count.
"""

import ast
import hashlib
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
        digest.update(f"{module}\n{_code(module)}\n".encode())
    return digest.hexdigest()


def _closure(modules: tuple[str, ...]) -> set[str]:
    found: set[str] = set()
    waiting = list(modules)
    while waiting:
        module = waiting.pop()
        if module not in found | WITHOUT_EFFECT:
            found.add(module)
            waiting.extend(_imports(module))
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


@cache
def _imports(module: str) -> list[str]:
    found = []
    for node in ast.walk(module_tree(module)):
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


@cache
def _code(module: str) -> str:
    """Return the module's code without comments and docstrings."""
    tree = module_tree(module)
    documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    for node in ast.walk(tree):
        if isinstance(node, documented) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(tree)
