"""The page of a published study in Markdown, and its ledger within the project's README.

Knows what the report's tables and ledger return and how Markdown looks; computes no number.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2

from incbayes.core.durations import duration
from incbayes.figures.context import FigureContext, context_of
from incbayes.report import tables
from incbayes.report.claims_table import (
    Ledger,
    ledger_row,
    on_statements,
    verdict_counts,
    verdict_groups,
)
from incbayes.report.escapes import for_markdown
from incbayes.report.html import Numbers
from incbayes.report.methods import replicates
from incbayes.report.next_table import next_table
from incbayes.report.provenance import sources, stage_seconds
from incbayes.report.templates import environment
from incbayes.study.chains import chains_left_out, chosen_experiments
from incbayes.study.model import Study

BEGIN, END = "<!-- ledger -->", "<!-- /ledger -->"


def published_page(study: Study, shown: Numbers) -> str:
    """Return the page of a study, whose links are to the files that are published beside it.

    Args:
        study: in its resolved form.
        shown: the numbers, as the report beside it shows them.
    """
    records, ledger, provenance = shown.records, shown.ledger, shown.provenance
    context = context_of(study)
    chosen = chosen_experiments(study)
    summary = tables.summarise(records, context)
    differences = tables.compare_parts(records, context)
    results = []
    for name in chosen:
        found = [
            tables.summary_table(summary, name, "predictive", context),
            tables.parts_table(differences, name, context),
        ]
        results.append({"title": context.experiments[name], "tables": list(filter(None, found))})
    return _template().render(
        study=study,
        replicates=replicates(set().union(*tables.replicate_counts(records, study).values())),
        tempering=context.tempering,
        missing=_missing(study, context),
        ledger=_ledger(ledger, context) if ledger else None,
        next=next_table(shown.steps, study, context),
        advice=shown.advice,
        results=results,
        figures=shown.figures,
        sources=sources(provenance, study),
        machines=_machines(provenance["runs"]),
        begin=BEGIN,
        end=END,
    )


def _ledger(ledger: Ledger, context: FigureContext) -> dict[str, Any]:
    """Return the ledger for the template."""
    return {
        "rows": [ledger_row(entry, context) for entry in ledger.primary],
        "exploratory": [ledger_row(entry, context) for entry in ledger.exploratory],
        "counts": verdict_counts(ledger),
        "groups": verdict_groups(ledger),
        "statements": on_statements(ledger),
        "picture": ledger.picture,
        "against_paper": ledger.against_paper,
    }


def _missing(study: Study, context: FigureContext) -> list[str]:
    """Return the experiments that are not run, and in brackets what is not of others."""
    return [
        context.experiments[name] + (f" ({'; '.join(methods)})" if methods else "")
        for name, methods in chains_left_out(study).items()
    ]


def with_ledgers(readme: str, root: Path) -> str:
    """Return the README with the ledger of every published study between its marks.

    Args:
        readme: its text; without marks it stays as it is.
        root: folder of the README, which `results/published/` lies in.
    """
    before, found, rest = readme.partition(BEGIN)
    _, closed, after = rest.partition(END)
    if not (found and closed):
        return readme
    pages = sorted(root.glob("results/published/*/README.md"))
    ledgers = "".join(_section(page, root) for page in pages)
    return f"{before}{BEGIN}\n\n{ledgers}{END}{after}"


def _section(page: Path, root: Path) -> str:
    """Return title, picture and numbers of verdicts of a published page, linked from the root."""
    text, folder = page.read_text(encoding="utf-8"), page.parent.relative_to(root).as_posix()
    title = text.partition("\n")[0].removeprefix("# ")
    ledger = text.partition(BEGIN)[2].partition(END)[0].partition("\n- **")[0].strip()
    ledger = ledger.replace("](figures/", f"]({folder}/figures/")
    return f"### [{title}]({folder}/README.md)\n\n{ledger}\n\n"


def _template() -> jinja2.Template:
    """Return the template of a page; in Markdown the words of a study stay as they are."""
    templates = environment(autoescape=False)
    templates.filters["cell"] = for_markdown
    templates.keep_trailing_newline = True
    return templates.get_template("published.md.j2")


def _machines(runs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return stages and time of each kind of machine that fitted some."""
    times = stage_seconds(runs, "device", "threads", "torch")
    return [
        {
            "device": {"cpu": "a CPU"}.get(device, device),
            "threads": threads,
            "torch": torch,
            "stages": len(seconds),
            "time": duration(sum(seconds)),
        }
        for (device, threads, torch), seconds in times.items()
    ]
