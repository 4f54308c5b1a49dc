"""Makes the report of a study from its files, all of which it verifies first."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from incbayes.core.files import atomic_write, write_json
from incbayes.data.prepared import load_checksums
from incbayes.figures.against_paper import write_against_paper
from incbayes.figures.claims import write_claims_figure
from incbayes.figures.context import context_of
from incbayes.figures.write import sealed_figures, written_figure
from incbayes.kinds import FIGURES
from incbayes.report.advice import Advice, advise
from incbayes.report.arrivals import collect_arrivals
from incbayes.report.claims_table import sealed_ledger
from incbayes.report.convergence import stage_ends
from incbayes.report.html import Numbers, seal_report, write_report
from incbayes.report.next_table import steps_of
from incbayes.report.provenance import Origin, collect_provenance, collect_timings
from incbayes.results.collect import collect_training, sealed_records
from incbayes.results.verification import verify
from incbayes.study.chains import chosen_experiments
from incbayes.study.model import Study
from incbayes.study.tables import is_number


@dataclass(frozen=True)
class ReportSources:
    """Files that a report is made from.

    Attributes:
        records: metrics.parquet.
        training: the training.csv of every stage.
        posteriors: of every stage.
        checksums: of the data set of every experiment that is run; of a stream, of its parts.
        drift: of every stage of a stream, what the stage before said of its part.
        seals: from which everything else that a report shows can be reached.
        figures: the seal of the figures.
        ledger: claims.json and claims.csv; empty where the study claims nothing.
        benchmarks: folder of the times that rules took.
        checkout: a folder within the checkout whose code ran.
    """

    records: Path
    training: Sequence[Path]
    posteriors: Sequence[Path]
    checksums: Mapping[str, Path]
    drift: Sequence[Path]
    seals: Sequence[Path]
    figures: Path
    ledger: Sequence[Path]
    benchmarks: Path
    checkout: Path


@dataclass(frozen=True)
class ReportFiles:
    """Files that a report becomes.

    Attributes:
        page: the report.
        provenance: of its numbers.
        advice: what is to be looked after, a line each, for the end of the run.
        seal: of all of them.
    """

    page: Path
    provenance: Path
    advice: Path
    seal: Path


@dataclass(frozen=True)
class Made:
    """How a study was made.

    Attributes:
        command: that makes it again.
        code: digest of all code that fits and scores.
        weights: SHA-256 of the file of weights of each experiment that has one.
        unfinished: chains that a partial report leaves out, and why.
    """

    command: str
    code: str
    weights: Mapping[str, str]
    unfinished: Sequence[Mapping[str, Any]]


def make_report(
    study: Study, made: Made, sources: ReportSources, files: ReportFiles, say: Callable[[str], None]
) -> None:
    """Write the report of a study in normal form.

    Raises:
        SealError: a file is damaged or edited, or was not made from what lies there now.
    """
    name, folder = study.study_id, sources.figures.parent
    records, seal = sealed_records(sources.records, name)
    verified = verify(sources.seals).check()
    say(f"verified {verified.count} files")
    training = collect_training(sources.training)
    training.check_posteriors(seal)
    parents, ledger = {"records": seal, "figures": sealed_figures(folder, name, seal)}, None
    drawn: list[Path] = []
    if sources.ledger:
        entries, table = sources.ledger
        ledger, parents["claims"] = sealed_ledger(entries, table, name, seal)
        context = context_of(study)
        pictures = [
            write(ledger.entries, context, files.page.parent / "figures")
            for write in (write_claims_figure, write_against_paper)
        ]
        ledger = replace(ledger, picture=pictures[0], against_paper=pictures[1])
        drawn = [path for of in pictures for path in (of.svg, of.png, of.pdf, of.csv)]
    origin = Origin(made.command, made.code, sources.checkout, made.weights)
    provenance = collect_provenance(
        origin, sources.posteriors, sources.checksums, seal, verified.summary()
    )
    write_json(files.provenance, provenance)
    advice = advise(study, records, training.frame, spreads_of(study, sources.checksums))
    write_advice(files.advice, advice)
    shown = Numbers(
        records,
        stage_ends(training.frame, study),
        [written_figure(figure, folder, context_of(study)) for figure in FIGURES],
        collect_timings(sources.benchmarks),
        provenance,
        ledger,
        made.unfinished,
        collect_arrivals(sources.drift) if sources.drift else None,
        steps_of(study, records, provenance["runs"]) if study.claims else (),
        advice,
    )
    write_report(files.page, study, shown)
    made_files = [files.page, files.provenance, files.advice, *drawn]
    seal_report(files.seal, name, made_files, parents)


def spreads_of(study: Study, checksums: Mapping[str, Path]) -> dict[str, float]:
    """Return the standard deviation of the target of each experiment whose target is a number.

    It is over the training rows; of a stream over those of its first part.

    Args:
        study: in its resolved form.
        checksums: as in `ReportSources`.

    Raises:
        SealError: a file is missing or malformed.
    """
    spreads = {}
    for name, experiment in chosen_experiments(study).items():
        found = [
            path for of, path in checksums.items() if of == name or of.startswith(f"{name}, part ")
        ]
        if is_number(experiment.dataset) and found:
            spreads[name] = float(load_checksums(found[0])["std"][-1])
    return spreads


def write_advice(path: Path, advice: Sequence[Advice]) -> None:
    """Write the lines of advice, which `orchestration.report_line` shows when the run ends."""
    with atomic_write(path) as partial:
        partial.write_text("".join(f"{found.line}\n" for found in advice), encoding="utf-8")
