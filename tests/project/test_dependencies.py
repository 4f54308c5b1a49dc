"""What the workflow imports is what pyproject.toml declares for run time."""

import ast
import re
import sys
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from test_environment import PROJECT, ROOT

OWN = {"incbayes", *(path.stem for path in (ROOT / "workflow" / "scripts").glob("*.py"))}

NOT_IMPORTED = {
    "snakemake-executor-plugin-slurm",  # Snakemake finds it by its name
}
"""Declared, and used by what imports them in our stead."""

IMPORT = re.compile(r"^\s*(?:from\s+([A-Za-z_][\w.]*)\s+import\s|import\s+([A-Za-z_][\w.]*))", re.M)


def imported(path: Path) -> Iterator[str]:
    """Yield the packages that a file imports, at its head or within a function."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".py":  # the grammar of rules is not Python's
        names = [a or b for a, b in IMPORT.findall(text)]
    else:
        nodes = list(ast.walk(ast.parse(text)))
        names = [a.name for node in nodes if isinstance(node, ast.Import) for a in node.names]
        names += [
            node.module for node in nodes if isinstance(node, ast.ImportFrom) and not node.level
        ]
    for name in names:
        yield name.partition(".")[0]


def packages_of_workflow() -> dict[str, str]:
    """Return the packages that the workflow imports, each with a file that does."""
    files = [ROOT / "Snakefile", *(ROOT / "workflow").rglob("*.py")]
    files += (ROOT / "workflow").rglob("*.smk")
    return {
        package: str(file.relative_to(ROOT))
        for file in files
        for package in imported(file)
        if package not in sys.stdlib_module_names and package not in OWN
    }


def declared() -> set[str]:
    return {canonicalize_name(Requirement(text).name) for text in PROJECT["dependencies"]}


def test_every_import_is_declared():
    providers = packages_distributions()
    # Packages of one namespace, or of no distribution, are not in the listing.
    lacking = {
        package: file
        for package, file in packages_of_workflow().items()
        if not {canonicalize_name(name) for name in providers.get(package, [package])} & declared()
    }
    assert lacking == {}


def test_everything_declared_is_imported():
    providers = packages_distributions()
    used = {
        canonicalize_name(name)
        for package in packages_of_workflow()
        for name in providers.get(package, [package])
    }
    assert declared() - used == NOT_IMPORTED
