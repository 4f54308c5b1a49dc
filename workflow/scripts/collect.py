"""Adapter of rule collect."""

from pathlib import Path

from incbayes.collect import collect_records, write_records
from incbayes.jobs.console import job

with job("records", snakemake.log[0]):
    records = collect_records(map(Path, snakemake.input.metrics))
    write_records(records, Path(snakemake.output.parquet), Path(snakemake.output.csv))
