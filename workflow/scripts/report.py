"""Adapter of rule report."""

from pathlib import Path

from process import job

from incbayes.collect import collect_training, read_records
from incbayes.figures import FIGURES
from incbayes.figures.figure import describe_figure
from incbayes.files import write_json
from incbayes.report.convergence import stage_ends
from incbayes.report.html import write_report
from incbayes.report.ledger import read_ledger
from incbayes.report.provenance import collect_provenance, collect_timings
from incbayes.study import chosen_experiments

with job(snakemake, "report"):
    params, folder = snakemake.params, Path(snakemake.input.svg[0]).parent
    checksums = snakemake.input.checksums
    ledger = getattr(snakemake.input, "ledger", None)
    provenance = collect_provenance(
        params.command,
        params.fitting,
        map(Path, snakemake.input.posteriors),
        dict(zip(chosen_experiments(params.study), map(Path, checksums), strict=True)),
        Path(snakemake.scriptdir),
    )
    write_json(Path(snakemake.output.provenance), provenance)
    write_report(
        Path(snakemake.output.page),
        params.study,
        read_records(Path(snakemake.input.records)),
        stage_ends(collect_training(map(Path, snakemake.input.training)), params.study),
        [describe_figure(name, folder) for name in FIGURES],
        collect_timings(Path(params.benchmarks)),
        provenance,
        read_ledger(*map(Path, ledger)) if ledger else None,
    )
