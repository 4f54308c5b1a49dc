"""Adapter of rule prepare_data."""

from pathlib import Path

from process import job

from incbayes.data.prepared import prepare

dataset = snakemake.wildcards.dataset
with job(snakemake, f"data {dataset}"):
    prepare(
        dataset,
        {"kind": dataset},
        Path(snakemake.config["data_root"]),
        snakemake.output.train,
        snakemake.output.test,
        snakemake.output.checksums,
    )
