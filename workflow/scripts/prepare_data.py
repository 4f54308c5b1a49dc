"""Adapter of rule prepare_data."""

from pathlib import Path

from incbayes.data.prepared import prepare
from incbayes.jobs.console import job

dataset = snakemake.wildcards.dataset
with job(f"data {dataset}", snakemake.log[0]):
    prepare(
        dataset,
        {"kind": dataset},
        Path(snakemake.config["data_root"]),
        snakemake.output.train,
        snakemake.output.test,
        snakemake.output.checksums,
    )
