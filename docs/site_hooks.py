"""What the site of mkdocs.yml has beside the pages of docs/.

A page may link to any file of the checkout, as it is read there too: such files are taken into the
site, below `checkout/`, and links to them are set right. The pages of the API, one a folder of the
library, are made of the names of its modules; mkdocstrings fills them from the docstrings.
"""

import ast
import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from mkdocs.structure.files import File, Files

import incbayes

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
LIBRARY = ROOT / "workflow" / "incbayes"
CHECKOUT, API = "checkout", "api"
LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#|/)([^)\s#]+)")
FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


def on_config(config):
    """Add the pages of the API to the navigation."""
    pages = [f"{API}/{room.name}.md" for room in _rooms()]
    config["nav"].append({"API": [f"{API}/index.md", *pages]})
    return config


def on_files(files: Files, config) -> Files:
    """Add the files of the checkout that pages link to, and the pages of the API."""
    for path in sorted(_linked_files()):
        files.append(File.generated(config, _in_site(path), abs_src_path=str(path)))
    files.append(File.generated(config, f"{API}/index.md", content=_api_index()))
    for room in _rooms():
        files.append(File.generated(config, f"{API}/{room.name}.md", content=_api_page(room)))
    return files


def on_page_markdown(markdown: str, page, config, files) -> str:
    """Set links between docs/ and the rest of the checkout right."""
    here = PurePosixPath(page.file.src_uri)
    inside = here.parts[0] == CHECKOUT
    source = ROOT.joinpath(*here.parts[1:]) if inside else DOCS / here

    def moved(match: re.Match) -> str:
        target = _in_checkout(source.parent, match[1])
        return match[1] if target is None else os.path.relpath(_in_site(target), here.parent)

    return LINK.sub(moved, markdown)


def _linked_files() -> set[Path]:
    """Return the files outside of docs/ that its pages link to, or pages that these link to."""
    found: set[Path] = set()
    waiting = [*DOCS.glob("*.md")]
    while waiting:
        page = waiting.pop()
        new = set(_links_out(page)) - found
        found |= new
        waiting += [path for path in new if path.suffix == ".md"]
    return found


def _links_out(page: Path) -> Iterator[Path]:
    """Yield the files outside of docs/ that a page links to."""
    for target in LINK.findall(FENCED.sub("", page.read_text(encoding="utf-8"))):
        path = _in_checkout(page.parent, target)
        if path is not None and not path.is_relative_to(DOCS):
            yield path


def _in_checkout(folder: Path, target: str) -> Path | None:
    """Return the file of the checkout that a link in `folder` leads to, if there is one."""
    path = Path(os.path.normpath(folder / target))
    return path if path.is_relative_to(ROOT) and path.is_file() else None


def _in_site(path: Path) -> str:
    """Return where the site has a file of the checkout."""
    if path.is_relative_to(DOCS):
        return path.relative_to(DOCS).as_posix()
    return f"{CHECKOUT}/{path.relative_to(ROOT).as_posix()}"


def _rooms() -> list[Path]:
    """Return the folders of the library, each with a docstring of its own."""
    return sorted(path.parent for path in LIBRARY.glob("*/__init__.py"))


def _api_index() -> str:
    """Return the page that lists what the library offers by itself, and its rooms."""
    offered = [
        f"- [`incbayes.{name}`][{module}.{name}]" for name, module in incbayes._OFFERED.items()
    ]
    rooms = []
    for room in _rooms():
        words = ast.get_docstring(ast.parse((room / "__init__.py").read_text(encoding="utf-8")))
        rooms.append(f"| [`{room.name}`]({room.name}.md) | {words.splitlines()[0]} |")
    head = ["# API", "What a program needs of the library is offered by `incbayes` itself:"]
    table = ["| folder | what it holds |", "|---|---|", *rooms]
    return "\n\n".join([*head, "\n".join(offered), "## Folders", "\n".join(table)]) + "\n"


def _api_page(room: Path) -> str:
    """Return the page of a room: what its docstring says, then each of its modules."""
    modules = sorted(path for path in room.rglob("*.py") if not path.name.startswith("_"))
    names = [".".join(path.relative_to(LIBRARY.parent).with_suffix("").parts) for path in modules]
    return "\n\n".join([f"# {room.name}", *(f"::: {name}" for name in names)]) + "\n"
