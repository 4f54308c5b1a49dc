"""Adapter of rule collect."""

from pathlib import Path

from process import job

from incbayes.collect import collect_records, write_records

with job(snakemake, "records"):
    records = collect_records(map(Path, snakemake.input.metrics))
    for path in snakemake.output:
        write_records(records, Path(path))
