"""A digest of the library code that a result depends on, so that old results go stale.

Snakemake does not see what a script imports. Rules put this digest into their params:
editing a family refits the methods of that family and nothing else. Editing a comment or a
docstring refits nothing, and neither does a new line in a registry: the `__init__` of a
package holds names only, and does not count.
"""

import ast
import hashlib
from functools import cache
from pathlib import Path

PACKAGE = "incbayes"
ROOT = Path(__file__).parent


@cache
def code_digest(*modules: str) -> str:
    """Return the digest of `modules` and of every module of the library that they import.

    A registry names its entries in strings, which are not followed: name the modules of
    the kinds that are used.

    Args:
        modules: dotted names, e.g. `incbayes.inference.stage`, `incbayes.families.ffg`.
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
        if module not in found:
            found.add(module)
            waiting.extend(_imports(module))
    return found


def _path(module: str) -> Path | None:
    """Return the file of a module of the library; None for packages and all else."""
    parts = module.split(".")
    if parts[0] != PACKAGE:
        return None
    path = ROOT.joinpath(*parts[1:]).with_suffix(".py")
    return path if len(parts) > 1 and path.is_file() else None


@cache
def _imports(module: str) -> list[str]:
    found = []
    for node in ast.walk(_tree(module)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.append(node.module)
            found += [f"{node.module}.{alias.name}" for alias in node.names]
    return [name for name in found if _path(name)]


def _tree(module: str) -> ast.Module:
    path = _path(module)
    if path is None:
        raise ModuleNotFoundError(f"{module}: no such module in {ROOT}")
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def _code(module: str) -> str:
    """Return the module's code without comments and docstrings."""
    tree = _tree(module)
    documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    for node in ast.walk(tree):
        if isinstance(node, documented) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(tree)
