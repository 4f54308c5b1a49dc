"""Adapter of rule prepare_data."""

from pathlib import Path

from process import job

from incbayes.data.prepared import prepare
from incbayes.study.source_state import recorded

with job(snakemake, f"data {snakemake.wildcards.dataset}") as console:
    folder = Path(snakemake.output.checksums).parent
    data_root = Path(snakemake.config["data_root"])
    with recorded(snakemake.params.state, snakemake.input, folder):
        prepare(snakemake.params.dataset, data_root, folder, console.log)
