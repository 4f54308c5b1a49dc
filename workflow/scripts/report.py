"""Adapter of rule report."""

from pathlib import Path

from process import job

from incbayes.report.escapes import from_scripts
from incbayes.report.make import Made, ReportFiles, ReportSources, make_report
from incbayes.study.model import study_of

with job(snakemake, "report") as console:
    given, output, params = snakemake.input, snakemake.output, snakemake.params
    roots = [*given.seals, *given.runs, given.figures_seal, *given.ledger_seal]
    make_report(
        study_of(from_scripts(params.study)),
        Made(
            from_scripts(params.command),
            params.fitting,
            params.weights,
            from_scripts(params.unfinished),
        ),
        ReportSources(
            records=Path(given.records),
            training=[Path(path) for path in given.training],
            posteriors=[Path(path).with_name("posterior.safetensors") for path in given.runs],
            checksums=dict(zip(params.images, map(Path, given.checksums), strict=True)),
            drift=[Path(path) for path in given.drift],
            seals=[Path(path) for path in roots],
            figures=Path(given.figures_seal),
            ledger=[Path(path) for path in given.ledger],
            benchmarks=Path(params.benchmarks),
            checkout=Path(snakemake.scriptdir),
        ),
        ReportFiles(
            Path(output.page),
            Path(output.provenance),
            Path(output.advice),
            Path(output.seal),
        ),
        console.log,
    )
