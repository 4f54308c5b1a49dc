"""Adapter of rule prepare_data."""

from pathlib import Path

from process import job

from incbayes.data.prepared import prepare
from incbayes.study import chosen_experiments
from incbayes.study_data import data_sets

name = snakemake.wildcards.dataset
# The name of a folder stands for all that its data set is made with.
dataset = data_sets(chosen_experiments(snakemake.config))[name]
with job(snakemake, f"data {name}"):
    prepare(
        dataset["kind"],
        dataset,
        Path(snakemake.config["data_root"]),
        snakemake.output.train,
        snakemake.output.test,
        snakemake.output.checksums,
    )
