"""Adapter of the rules prepare_part and prepare_stream_test."""

from pathlib import Path

from process import job

from incbayes.jobs.part_data import prepare_part
from incbayes.study.source_state import recorded

name = snakemake.params.part
with job(snakemake, f"data {snakemake.wildcards.stream} {name or 'test'}") as console:
    folder = Path(snakemake.output.checksums).parent
    data_root = Path(snakemake.config["data_root"])
    with recorded(snakemake.params.state, snakemake.input, folder):
        prepare_part(snakemake.params.dataset, data_root, name, folder, console.log)
