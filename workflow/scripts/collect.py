"""Adapter of rule collect."""

from pathlib import Path

from process import job

from incbayes.results.collect import collect_records, seal_records, write_records

with job(snakemake, "records"):
    collected, output = collect_records(map(Path, snakemake.input.metrics)), snakemake.output
    files = [Path(output.parquet), Path(output.csv)]
    for path in files:
        write_records(collected.frame, path)
    seal_records(Path(output.seal), snakemake.params.study, collected, files)
