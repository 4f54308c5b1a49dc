"""The report of a study: one HTML page that needs nothing beside itself.

Knows how to turn frames, figures and provenance into a page; computes no number of its own
beyond what `tables` and `provenance` return.
"""

import base64
import csv
import io
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd
import yaml
from markupsafe import Markup

from incbayes.claims.next_runs import NextRuns
from incbayes.core.durations import duration
from incbayes.core.files import atomic_write
from incbayes.core.seal import Seal, read_seal, seal_path, write_seal
from incbayes.figures.base import FigureFile
from incbayes.figures.context import FigureContext, context_of
from incbayes.kinds import METRICS
from incbayes.metrics.named import metric_of
from incbayes.report import tables
from incbayes.report.advice import Advice
from incbayes.report.arrivals import arrival_table
from incbayes.report.claims_table import Ledger, ledger_row, on_statements, verdict_counts
from incbayes.report.convergence import convergence_table
from incbayes.report.findings import against_paper, found
from incbayes.report.methods import describe_experiment, describe_method, overrides, replicates
from incbayes.report.next_table import next_table
from incbayes.report.provenance import rule_costs, sources, stage_costs, stage_seconds
from incbayes.report.tables import Table
from incbayes.report.templates import FOLDER, environment
from incbayes.report.tuning import search_tables, unsearched
from incbayes.study.chains import chosen_experiments
from incbayes.study.datasets import TAKEN_BACK
from incbayes.study.model import Outcome, Study, shown_study

ARTIFACT = "report"


@dataclass(frozen=True)
class Numbers:
    """What a report shows of a study.

    Attributes:
        records: every record of the study.
        ends: how training ended, as `convergence.stage_ends` returns it.
        figures: in the order of the page; the first stands above the tables.
        timings: as `provenance.collect_timings` returns them, of the last of the sources.
        provenance: as `provenance.collect_provenance` returns it.
        ledger: of the study's claims, which the page opens with; None for a study without claims.
        unfinished: `name` and `cause` of each chain that the page lacks, as it is a partial one.
        steps: what to run next, as `next_table.steps_of` returns it.
        arrivals: as `arrivals.collect_arrivals` returns them; None for a study without streams.
        advice: what is to be looked after before the numbers are believed.
    """

    records: pd.DataFrame
    ends: pd.DataFrame
    figures: Sequence[FigureFile]
    timings: pd.DataFrame
    provenance: Mapping[str, Any]
    ledger: Ledger | None = None
    unfinished: Sequence[Mapping[str, str]] = ()
    arrivals: pd.DataFrame | None = None
    steps: Sequence[NextRuns] = ()
    advice: Sequence[Advice] = ()


def write_report(out: Path, study: Study, shown: Numbers) -> None:
    """Write the report of a study as one self-contained HTML page.

    Args:
        out: the page; links to the figures' files are relative to its folder.
        study: in its resolved form.
        shown: the numbers.
    """
    figures, ledger, provenance = shown.figures, shown.ledger, shown.provenance
    context = context_of(study)
    counts = tables.replicate_counts(shown.records, study)
    summary = tables.summarise(shown.records, context)
    template = environment(autoescape=True).get_template("report.html.j2")
    page = template.render(
        study=study,
        unfinished=shown.unfinished,
        advice=shown.advice,
        replicates=replicates(set().union(*counts.values())),
        style=Markup((FOLDER / "report.css").read_text("utf-8")),
        script=Markup((FOLDER / "report.js").read_text("utf-8")),
        ledger=_ledger(ledger, figures, context, out.parent) if ledger else None,
        next=next_table(shown.steps, study, context),
        figures=[_figure(figure, out.parent) for figure in figures],
        results=_results(shown.records, summary, context),
        columns=tables.column_meanings(summary),
        convergence=_convergence(shown.ends, context),
        arrivals=_arrivals(shown.arrivals, context),
        taken_back=_taken_back(study),
        budgets=_budgets(shown.records, context),
        overrides=overrides(study),
        tempering=context.tempering,
        draws_apart=context.draws_apart,
        of_numbers=[
            title for name, title in context.experiments.items() if name in context.of_numbers
        ],
        search=_search(study, study.tuned, context) if study.tuned else None,
        experiments=_experiments(study, counts, context),
        config=yaml.safe_dump(shown_study(study), sort_keys=False, allow_unicode=True, width=90),
        sources=sources(provenance, study),
        costs=_costs(shown.timings, provenance, context),
        runs=_runs(provenance),
    )
    with atomic_write(out) as partial:
        partial.write_text(page, encoding="utf-8")


def seal_report(path: Path, study: str, files: Sequence[Path], parents: Mapping[str, Seal]) -> Seal:
    """Seal the report of a study and its provenance.

    Args:
        path: of the seal.
        study: its id.
        files: what is sealed.
        parents: the seals of records, figures and claims that the report shows.
    """
    return write_seal(path, ARTIFACT, {"study": study}, files, parents)


def sealed_provenance(path: Path, study: str, records: Seal) -> dict[str, Any]:
    """Return the provenance that a report shows, verified to be that of a study's records.

    Raises:
        SealError: it is damaged or edited, or of other records.
    """
    report = path.with_name(f"{ARTIFACT}.html")
    seal = read_seal(seal_path(report), ARTIFACT, {"study": study}, {"records": records})
    return seal.read(path, lambda path: json.loads(path.read_text(encoding="utf-8")))


def _figure(figure: FigureFile, folder: Path) -> dict[str, Any]:
    """Return a figure for the template, its picture as a data URI."""
    picture = base64.b64encode(figure.svg.read_bytes()).decode()
    return {
        "name": figure.name,
        "title": figure.title,
        "caption": figure.caption,
        "alt": figure.alt,
        "module": figure.module,
        "reason": figure.reason,
        # As an image and not inline: element names and styles of two figures do not meet.
        "source": f"data:image/svg+xml;base64,{picture}",
        "files": [
            (path.suffix[1:], quote(Path(os.path.relpath(path, folder)).as_posix()))
            for path in (figure.csv, figure.pdf, figure.png, figure.svg)
            if path.exists()  # a published figure is kept in one format
        ],
    }


def _ledger(
    ledger: Ledger, figures: Sequence[FigureFile], context: FigureContext, folder: Path
) -> dict[str, Any]:
    """Return the ledger for the template; a figure is linked to where the page shows it."""
    # The first figure opens the results; each other one has a section of its own name.
    places = {f.name: f.name if place else "results" for place, f in enumerate(figures)}
    titles = {figure.name: figure.title for figure in figures}
    listed = {}
    for kind, entries in (("rows", ledger.primary), ("exploratory", ledger.exploratory)):
        listed[kind] = [ledger_row(entry, context) for entry in entries]
        for row in listed[kind]:
            shown = titles.get(row["figure"])
            row["figure"] = shown and (places[row["figure"]], shown)
    return {
        **listed,
        "found": found(ledger),
        "differences": against_paper(ledger, context),
        "counts": verdict_counts(ledger),
        "statements": on_statements(ledger),
        "picture": _figure(ledger.picture, folder) if ledger.picture else None,
        "against_paper": _figure(ledger.against_paper, folder) if ledger.against_paper else None,
        "source": _csv_uri(ledger.csv),
    }


def _results(
    records: pd.DataFrame, summary: pd.DataFrame, context: FigureContext
) -> list[dict[str, Any]]:
    """Return the tables of each experiment that has results."""
    methods = tables.compare_methods(records, context)
    parts = tables.compare_parts(records, context)
    results = []
    for experiment, title in context.experiments.items():
        found = [
            tables.summary_table(summary, experiment, "predictive", context),
            tables.comparison_table(methods, experiment, context),
            tables.parts_table(parts, experiment, context),
            tables.summary_table(summary, experiment, "mean", context),
        ]
        shown = [_download(table) for table in found if table is not None]
        if shown:
            results.append({"name": experiment, "title": title, "tables": shown})
    return results


def _convergence(ends: pd.DataFrame, context: FigureContext) -> list[dict[str, Any]]:
    """Return the table of how training ended of each experiment that has stages."""
    found = {
        title: convergence_table(ends, experiment, context)
        for experiment, title in context.experiments.items()
    }
    return [_download(table) | {"title": title} for title, table in found.items() if table]


def _arrivals(arrivals: pd.DataFrame | None, context: FigureContext) -> list[dict[str, Any]]:
    """Return the table of what the parts of each stream said."""
    if arrivals is None:
        return []
    found = {
        title: arrival_table(arrivals, experiment, context)
        for experiment, title in context.experiments.items()
    }
    return [_download(table) | {"title": title} for title, table in found.items() if table]


def _taken_back(study: Study) -> dict[str, list[str]]:
    """Return the parts of streams that were taken back, by the title of their experiment."""
    return {
        experiment.title: list(experiment.dataset.options[TAKEN_BACK])
        for experiment in study.experiments.values()
        if experiment.dataset.options.get(TAKEN_BACK)
    }


def _search(study: Study, outcome: Outcome, context: FigureContext) -> dict[str, Any]:
    """Return the search whose outcome the study uses, for the template."""
    return {
        "tables": [_download(table) for table in search_tables(study, context)],
        "unsearched": unsearched(study, context),
        "decided_by": METRICS[outcome.metric].superlative,
    }


def _download(table: Table) -> dict[str, Any]:
    """Return a table for the template, with its full precision as a data URI.

    There values are in the unit of the records, which a column names: shares are no percentages.
    """
    frame = table.frame
    if "metric" in frame:
        units = {name: tables.unit_of_records(metric_of(name)) for name in set(frame["metric"])}
        frame = frame.assign(unit=frame["metric"].map(units))
    content = frame.to_csv(index=False, lineterminator="\n", float_format="%.10g")
    return {"table": table, "file": f"{table.name}.csv", "source": _csv_uri(content)}


def _csv_uri(content: str) -> str:
    return f"data:text/csv;charset=utf-8,{quote(content)}"


def _budgets(records: pd.DataFrame, context: FigureContext) -> list[dict[str, Any]]:
    """Return how many numbers of each experiment were made at which budget."""
    counts = records.groupby(["budget", "experiment"], sort=True).size()
    return [
        {
            "budget": budget,
            "experiment": context.experiments[experiment],
            "values": count,
            "reduced": context.reduced and budget == context.budget,
        }
        for (budget, experiment), count in counts.items()
    ]


def _experiments(
    study: Study, counts: Mapping[str, set[int]], context: FigureContext
) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "title": context.experiments[name],
            "facts": describe_experiment(study, name, counts[name]),
            "methods": [describe_method(study, name, method) for method in experiment.methods],
        }
        for name, experiment in chosen_experiments(study).items()
    ]


def _costs(
    timings: pd.DataFrame, provenance: Mapping[str, Any], context: FigureContext
) -> dict[str, Any]:
    """Return the cost of rules and of stages as rows of text."""
    rules = rule_costs(timings)
    stages = stage_costs(provenance["runs"])
    return {
        "rules": [
            [
                row.rule,
                str(row.jobs),
                duration(row.total),
                duration(row.median),
                duration(row.longest),
                "–" if pd.isna(row.max_rss_mb) else f"{row.max_rss_mb:.0f}",
            ]
            for row in rules.itertuples()
        ],
        "total": duration(rules["total"].sum()),
        "stages": [
            [
                context.experiments[row.experiment],
                context.methods[row.method],
                str(row.T),
                str(row.stages),
                f"{row.seconds:.1f}",
                f"{row.device}, {row.threads} thread{'s' if row.threads != 1 else ''}",
            ]
            for row in stages.itertuples()
        ],
    }


def _runs(provenance: Mapping[str, Any]) -> dict[str, Any]:
    """Return the posteriors with their digests, and the machines that fitted them."""
    runs = provenance["runs"]
    machines = stage_seconds(runs, "host", "device", "threads", "torch")
    columns = ["experiment", "method", "T", "block", "t", "sha256"]
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([run[column] for column in columns] for run in runs)
    return {
        "columns": columns,
        "rows": [[str(run[column]) for column in columns] for run in runs],
        "machines": [[*map(str, k), str(len(t)), duration(sum(t))] for k, t in machines.items()],
        "source": _csv_uri(buffer.getvalue()),
    }
