"""Adapter of rule prepare_data."""

from pathlib import Path

from process import job

from incbayes.data.prepared import prepare

with job(snakemake, f"data {snakemake.wildcards.dataset}") as console:
    folder = Path(snakemake.output.checksums).parent
    data_root = Path(snakemake.config["data_root"])
    prepare(snakemake.params.dataset, data_root, folder, console.log)
