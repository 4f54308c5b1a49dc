"""Adapter of rule republish."""

from pathlib import Path

from process import job

from incbayes.report.provenance import collect_timings
from incbayes.report.publication import PublicationError, publish, read_published, restated

with job(snakemake, "publication"):
    params, folder = snakemake.params, Path(snakemake.params.folder)
    published = read_published(folder)
    if published is None:
        raise PublicationError(f"{folder}: nothing is published there")
    publish(folder, restated(published, params.study), collect_timings(Path(params.benchmarks)))
