"""Adapter of rule partition."""

from pathlib import Path

from incbayes.data.partition import partition, write_partitions
from incbayes.data.prepared import load_checksums, open_split
from incbayes.jobs.console import job
from incbayes.streams import numpy_stream

experiment, number = snakemake.wildcards.experiment, int(snakemake.wildcards.T)
with job(f"{experiment} parts T{number} {snakemake.wildcards.block}", snakemake.log[0]):
    checksums = load_checksums(Path(snakemake.input.checksums))
    train = open_split(snakemake.input.train, checksums["train"]["sha256"])
    cuts = {
        replicate: partition(
            train.labels.numpy(),
            len(checksums["classes"]),
            parts=number,
            **snakemake.params.partition,
            rng_source=numpy_stream(snakemake.params.seed, experiment, replicate, "source"),
            rng_parts=numpy_stream(snakemake.params.seed, experiment, replicate, "parts"),
        )
        for replicate in snakemake.params.replicates
    }
    write_partitions(snakemake.output[0], cuts)
