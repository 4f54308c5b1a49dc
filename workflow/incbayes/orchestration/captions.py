"""The captions of figures for Snakemake's own report, from where the figures state them.

Read from the syntax tree of a figure's module, as planning is not to import matplotlib.
"""

import ast
from pathlib import Path

from incbayes.core.files import atomic_write
from incbayes.kinds import FIGURES
from incbayes.orchestration.code_digest import CodeError, module_file, module_tree
from incbayes.report.escapes import for_rst

FOLDER = Path(".snakemake/incbayes/captions")
"""Where they are written, below the folder that Snakemake runs in."""


def caption_of(name: str) -> str:
    """Return the `caption` that the module of the figure `name` gives its figure.

    Raises:
        CodeError: the module is not Python, or gives none that is plain text.
    """
    module, attribute = FIGURES.entry(name)
    for node in module_tree(module).body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Call):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            named = any(isinstance(t, ast.Name) and t.id == attribute for t in targets)
            for keyword in node.value.keywords if named else ():
                if keyword.arg == "caption" and isinstance(keyword.value, ast.Constant):
                    return str(keyword.value.value)
    raise CodeError(
        f'{module_file(module)}: {attribute} has no caption="…" in so many words, which the '
        "report reads without importing the module"
    )


def write_captions(template: Path, folder: Path = FOLDER) -> dict[str, Path]:
    """Write the caption of every figure as reStructuredText; return the absolute paths by name.

    Args:
        template: what Snakemake renders of it, given `caption`.
        folder: where the files go; one that is the same already is left as it is.

    Raises:
        CodeError: a figure states no caption.
    """
    words = template.read_text(encoding="utf-8")
    written = {}
    for name in FIGURES:
        path = written[name] = folder.absolute() / f"{name}.rst"
        caption = for_rst(caption_of(name))
        text = f"{{% set caption %}}{{% raw %}}{caption}{{% endraw %}}{{% endset %}}\n{words}"
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_write(path) as partial:
                partial.write_text(text, encoding="utf-8")
    return written
