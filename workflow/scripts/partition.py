"""Adapter of rule partition."""

from pathlib import Path

from process import job

from incbayes.jobs.partition import PartsRequest, run_partition
from incbayes.study.model.base import read
from incbayes.study.model.partition import PartitionSettings

names, given, output = snakemake.wildcards, snakemake.input, snakemake.output
with job(snakemake, f"{names.experiment} parts T{names.T} {names.block}"):
    block = dict(snakemake.params.block)
    block["partition"] = read(PartitionSettings, block["partition"])
    request = PartsRequest(experiment=names.experiment, **block)
    run_partition(request, int(names.T), Path(given.checksums), Path(output.parts))
